"""Is anything lost: faults, hours of load, every format, every rule, and the whole way from recording to name."""
