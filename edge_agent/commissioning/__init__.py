"""What is normal for a machine: baseline, threshold from a budget, drift, relearning."""
