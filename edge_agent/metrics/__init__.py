"""The table of metrics, and the page that Prometheus reads.

Here: what series there are (`series`), the frozen nouns that the service fills (`snapshot`), how they become series at
the moment of a scrape (`collectors`), the histograms (`histogram`, `exporter`), and the latest features of fast samples
(`waveform_gauges`).

Not here: what is counted and when (each room counts its own), sockets and threads (`web.server` serves the page), what
is well or amiss (`service.health`).

Rules:
- Every series stands in one table, and docs/metrics.md is written from it.
- One scrape reads one snapshot: the ledger on a page always adds up.
- Labels come from lists with a bound, so that a flood of topics cannot fill Prometheus.
- Nothing else in the agent imports prometheus_client.
"""
