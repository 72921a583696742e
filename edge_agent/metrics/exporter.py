"""The metrics in Prometheus' text form; `web` serves them.

Counters and gauges are read from a `Snapshot` that the service replaces, so that one scrape sees one consistent ledger;
only the histograms live here.
"""

from collections.abc import Sequence

from prometheus_client import (
    CollectorRegistry,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from edge_agent.metrics.collectors import HistogramCollector, samples_of
from edge_agent.metrics.histogram import BatchHistogram
from edge_agent.metrics.series import BY_NAME, TABLE
from edge_agent.metrics.snapshot import Snapshot
from edge_agent.metrics.text import text_of

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""Of the page."""
_FAST_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
DECISION_S = (0.005, 0.01, *(step / 40 for step in range(1, 9)), 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Close together around 150 ms: between edges far apart a quantile is a guess."""
_SLOW_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Exporter:
    """The metrics and their page."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self.step_seconds = self._histogram("edge_agent_step_seconds", _FAST_S)
        self.inference_seconds = self._histogram("edge_agent_inference_seconds", _FAST_S)
        self.decision_seconds = BatchHistogram(DECISION_S)
        self._registry.register(HistogramCollector("edge_agent_decision_seconds", self.decision_seconds))
        self.commit_seconds = self._histogram("edge_agent_commit_seconds", _FAST_S)
        self.commission_seconds = self._histogram("edge_agent_commission_seconds", (*_SLOW_S, 120.0))

    def page(self) -> bytes:
        """The metrics in Prometheus' text form."""
        return text_of(TABLE, samples_of(self.snapshot)).encode() + generate_latest(self._registry)

    def _histogram(self, name: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(name, BY_NAME[name].help, registry=self._registry, buckets=buckets)
