"""Pages and pictures for people, from what stages measured; computes no measure itself."""
