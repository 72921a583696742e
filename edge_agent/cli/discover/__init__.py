"""The command `discover`: listens at a broker, and proposes a configuration for what it heard."""
