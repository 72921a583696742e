"""The table of metrics and what fills it."""
