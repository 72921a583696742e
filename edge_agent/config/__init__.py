"""The TOML file: sections, checks, findings with line numbers."""
