"""The command `doctor`: everything that keeps an agent from its work, each with what to do. Repairs nothing."""
