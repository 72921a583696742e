"""Metrics and health pages in Prometheus' text form.

Counters and gauges are read from a `Snapshot` that the service replaces, so that one scrape sees one consistent ledger;
only the histograms live here.
"""

import json
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from prometheus_client import (
    CollectorRegistry,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from edge_agent.errors import UsageError
from edge_agent.metrics.collectors import HistogramCollector, SnapshotCollector
from edge_agent.metrics.histogram import BatchHistogram
from edge_agent.metrics.series import BY_NAME
from edge_agent.metrics.snapshot import Health, Snapshot

_FAST_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
DECISION_S = (0.005, 0.01, *(step / 40 for step in range(1, 9)), 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Close together around 150 ms: between edges far apart a quantile is a guess."""
_SLOW_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Telemetry:
    """The metrics and their page."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self._registry = CollectorRegistry()
        self._registry.register(SnapshotCollector(lambda: self.snapshot))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self.step_seconds = self._histogram("edge_agent_step_seconds", _FAST_S)
        self.inference_seconds = self._histogram("edge_agent_inference_seconds", _FAST_S)
        self.decision_seconds = BatchHistogram(DECISION_S)
        self._registry.register(HistogramCollector("edge_agent_decision_seconds", self.decision_seconds))
        self.commit_seconds = self._histogram("edge_agent_commit_seconds", _FAST_S)
        self.commission_seconds = self._histogram("edge_agent_commission_seconds", (*_SLOW_S, 120.0))
        self._server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int | None:
        """The port of the page; None while it is not served."""
        return int(self._server.server_address[1]) if self._server else None

    def page(self) -> bytes:
        """The metrics in Prometheus' text form."""
        return generate_latest(self._registry)

    def serve(self, *, host: str, port: int, health: Callable[[], Health]) -> None:
        """Serve /metrics, /healthz and /readyz from a thread of its own; port 0 takes a free one.

        Raises:
            UsageError: the address is taken or not ours.
        """
        telemetry, judged = self, health

        class Handler(_Handler):
            source = telemetry
            health = staticmethod(judged)

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise UsageError(f"metrics page: cannot listen on {host}:{port} ({error.strerror})") from error
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, name="metrics-page", daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _histogram(self, name: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(name, BY_NAME[name].help, registry=self._registry, buckets=buckets)


class _Handler(BaseHTTPRequestHandler):
    """Three pages and nothing else."""

    source: Telemetry
    health: Callable[[], Health]
    timeout = 10

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(200, self.source.page(), CONTENT_TYPE_LATEST)
        elif path in {"/healthz", "/readyz"}:
            health = self.health()
            good = health.alive and (path == "/healthz" or not health.amiss)
            body = json.dumps({"ok": good, "amiss": list(health.amiss)}).encode()
            self._answer(200 if good else 503, body, "application/json")
        else:
            self._answer(404, b"/metrics /healthz /readyz\n", "text/plain")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited name
        """Say nothing: scrapes are no news."""
