"""Machines learnt from ten minutes and from an hour: are faults found, and is it quiet, beside baselines."""
