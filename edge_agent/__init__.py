"""The edge agent: watches machines from a factory gateway; never imports torch."""

__version__ = "0.1.0"
