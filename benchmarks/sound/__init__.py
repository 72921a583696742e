"""Sound and vibration as an inspection: faults that nobody has shown, by what a machine usually sounds like."""
