"""Sparkplug B, the one format with a state: its payload, an edge node's state, the host application's state chart.

- `payload`: bytes to metrics and back; keeps nothing between two messages.
- `edge_node`: one node as its host sees it: births, aliases, order, the latest values.
- `host`: many nodes, and what a host must say. Pure: connection, clock and chance are `service.sparkplug`'s.
- `sparkplug_b_pb2` is generated from `sparkplug_b.proto`; only `payload` knows it.
"""
