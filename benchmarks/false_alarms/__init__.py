"""Is the budget of false alarms kept, on simulated machines over weeks, beside other rules for a threshold."""
