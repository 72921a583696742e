"""Are ordinary machines left in peace, and is the one fault of their week found: nights, products, meters, doors."""
