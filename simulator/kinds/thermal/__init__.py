"""Machines in which heat or a level moves: boilers, furnaces, coolers, exchangers, tanks, mixers."""
