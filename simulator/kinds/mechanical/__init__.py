"""Machines in which something turns, travels or presses: pumps, motors, compressors, axes, robots."""
