"""Does the score find what is wrong: recordings with labels, beside published figures and baselines."""
