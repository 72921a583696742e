"""What the metrics' address answers: the series for Prometheus, and health for whoever watches over the agent."""

import json
from collections.abc import Callable

from edge_agent.metrics.exporter import CONTENT_TYPE, Exporter
from edge_agent.metrics.snapshot import Health
from edge_agent.web.auth import host_allowed
from edge_agent.web.server import HttpRequest, HttpResponse


class MetricsRoutes:
    """Three pages and nothing else, as the HTTP server's responder."""

    body_limit_bytes = 0

    def __init__(
        self, exporter: Exporter, *, health: Callable[[], Health], names: tuple[str, ...] = ()
    ) -> None:
        """`names` are those under which the page may be asked for, beside addresses and the host's own."""
        self._exporter = exporter
        self._health = health
        self._names = names

    def answer(self, request: HttpRequest) -> HttpResponse:
        """/metrics; /healthz: whether the agent lives; /readyz: whether it can do all of its work."""
        if not host_allowed(request.headers.get("Host", "localhost"), self._names):
            return HttpResponse(421, b"this name is not among [metrics] names\n", "text/plain")
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
