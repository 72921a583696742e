"""The edge agent: watches machines from a factory gateway; never imports torch."""
