"""A plant of several kinds of machines before one agent, over a real broker."""
