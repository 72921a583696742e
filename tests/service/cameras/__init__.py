"""Cameras of the running agent."""
