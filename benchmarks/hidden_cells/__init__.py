"""Who knows a hidden cell best: the masked autoencoder, lines, Gaussians or the shipped encoder."""
