"""The model bundle: read, verified, signed, rolled back."""
