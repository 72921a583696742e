"""Agents that share machines: membership, ownership, hand-over."""
