"""From recordings, labels and synthetic signals to batches of windows.

Tables of any size: what does not fit into memory is read by shards, in an order that a seed repeats and that processes
which train together share without a word. Knows torch's tensors, but no network.
"""
