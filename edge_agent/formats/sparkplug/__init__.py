"""Sparkplug B: the payload, an edge node's state, and the host application's state chart."""
