"""The network: an encoder with a level of its own, an optional head of classes, and its quantised form.

What it computes is the contract with the agent (docs/training.md); how it is trained is not said here.
"""
