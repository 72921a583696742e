"""Faults on purpose: broker, agent, network, disk and clock are broken around a real agent, and every alert is counted."""
