"""The command `replay`: recordings through the agent's own pipeline, or through two agents beside each other."""
