"""What the metrics' address answers."""

import json
from collections.abc import Iterator

import pytest

from edge_agent.metrics.exporter import Exporter
from edge_agent.metrics.snapshot import Health
from edge_agent.web.metrics_routes import MetricsRoutes
from edge_agent.web.server import HttpServer
from tests.support.http_client import ask


@pytest.fixture
def healths() -> list[Health]:
    """The last one is what the agent says of itself."""
    return [Health()]


@pytest.fixture
def port(healths: list[Health]) -> Iterator[int]:
    routes = MetricsRoutes(Exporter(), health=lambda: healths[-1], names=("gateway.plant",))
    server = HttpServer(("127.0.0.1", 0), routes, name="metrics")
    server.start()
    yield server.port or 0
    server.stop()


def get(port: int, path: str) -> tuple[int, bytes]:
    status, _, body = ask(port, "GET", path)
    return status, body


def test_health_and_readiness_are_different_questions(port: int, healths: list[Health]) -> None:
    assert get(port, "/healthz")[0] == 503  # not started yet
    healths.append(Health(alive=True, amiss=("broker: ingest is not connected",)))
    assert get(port, "/healthz")[0] == 200
    status, body = get(port, "/readyz")
    assert status == 503
    assert json.loads(body)["amiss"] == ["broker: ingest is not connected"]
    healths.append(Health(alive=True, amiss=()))
    assert get(port, "/readyz")[0] == 200


def test_the_page_is_served_and_other_paths_are_not(port: int) -> None:
    status, body = get(port, "/metrics")
    assert status == 200
    assert b"process_resident_memory_bytes" in body
    assert get(port, "/")[0] == 404
    assert ask(port, "POST", "/metrics")[0] == 501


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/"])
def test_a_name_that_a_stranger_points_here_gets_nothing(port: int, path: str) -> None:
    status, _, body = ask(port, "GET", path, headers={"Host": f"evil.example:{port}"})
    assert status == 421
    assert b"[metrics] names" in body
    assert ask(port, "GET", path, headers={"Host": f"gateway.plant:{port}"})[0] != 421
