"""Findings about sensors and sources, apart from the machine."""
