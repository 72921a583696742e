"""The running agent: threads, clocks, wiring of the configuration, reload, health."""
