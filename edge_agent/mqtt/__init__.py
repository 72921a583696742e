"""Bytes to and from the broker: connections, queues, duplicates, load shedding."""
