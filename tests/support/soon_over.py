"""Incidents that are over soon, for stories of a few minutes."""

SOON_OVER = {"off_delay_s": {"warning": 20.0, "major": 20.0, "critical": 20.0}, "reopen_s": 0.0}
"""The section `alarms`; what comes back is another incident."""
