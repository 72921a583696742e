"""The state directory: database, journal, atomic files."""
