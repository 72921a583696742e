"""Calling people, in the running agent: what is around the book of `edge_agent.notify`, that is threads and state."""
