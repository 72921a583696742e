"""What the metrics' address answers: the series for Prometheus, and health for whoever watches over the agent."""

import json
from collections.abc import Callable

from edge_agent.metrics.exporter import CONTENT_TYPE, Exporter
from edge_agent.metrics.snapshot import Health
from edge_agent.web.server import HttpRequest, HttpResponse


class MetricsRoutes:
    """Three pages and nothing else, as the HTTP server's responder."""

    body_limit_bytes = 0

    def __init__(self, exporter: Exporter, *, health: Callable[[], Health]) -> None:
        self._exporter = exporter
        self._health = health

    def answer(self, request: HttpRequest) -> HttpResponse:
        """/metrics; /healthz: whether the agent lives; /readyz: whether it can do all of its work."""
        if request.method != "GET":
            return self.malformed(501)
        if request.path == "/metrics":
            return HttpResponse(200, self._exporter.page(), CONTENT_TYPE)
        if request.path in {"/healthz", "/readyz"}:
            health = self._health()
            good = health.alive and (request.path == "/healthz" or not health.amiss)
            body = json.dumps({"ok": good, "amiss": list(health.amiss)}).encode()
            return HttpResponse(200 if good else 503, body, "application/json")
        return HttpResponse(404, b"/metrics /healthz /readyz\n", "text/plain")

    def malformed(self, status: int) -> HttpResponse:
        """What is no request."""
        return HttpResponse(status, b"/metrics /healthz /readyz\n", "text/plain")
