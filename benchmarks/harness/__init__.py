"""What all benchmarks share: processes, where figures come from, and the page that holds them against the goals."""
