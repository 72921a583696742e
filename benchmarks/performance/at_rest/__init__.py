"""What the agent costs that has little to do: its processor, and its page of metrics."""
