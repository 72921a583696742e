"""What an agent can trust: the network as a verified bundle, its signature and its card. Trains nothing."""
