"""How good a bundle is, judged by the agent's own scorer on labelled recordings.

`measures` knows arrays alone; benchmarks use it too.
"""
