"""The trainer: pre-trains, fine-tunes, calibrates, evaluates and exports what the agent runs."""
