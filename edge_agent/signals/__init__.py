"""From frames to windows and numbers: grid, rows, gaps, windows, features."""
