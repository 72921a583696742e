"""The demonstration: simulated machines, a broker in the process, and a screen."""
