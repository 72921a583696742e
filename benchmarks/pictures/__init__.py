"""Pictures: what the network that ships is worth, beside the same one untrained and features that were made by hand."""
