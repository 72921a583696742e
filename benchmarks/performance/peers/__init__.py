"""What a user would pick instead of the agent, on the same stream in the same run."""
