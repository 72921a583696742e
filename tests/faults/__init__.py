"""Faults on purpose: everything around a real agent is broken, and every alert is counted."""
