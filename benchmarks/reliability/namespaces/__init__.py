"""How a plant of each kind is taken in: from `discover` to learnt machines, with nothing written by hand but a yes."""
