"""What the page answers, and what it turns away, before an exchange that nobody works behind."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.alarms.requests import PAYLOAD_LIMIT_BYTES
from edge_agent.store.history.reader import HistoryReader
from edge_agent.web.auth import TokenGuard
from edge_agent.web.exchange import Exchange
from edge_agent.web.page_routes import CommandGate, PageRoutes
from edge_agent.web.past import PastPages
from edge_agent.web.server import HttpServer
from tests.support.http_client import ask, raw

TOKEN = "sixteen-characters-and-more"  # noqa: S105 - of this test alone
ORDER = json.dumps({"id": "request-1", "by": "Anna", "machine": "pump-1"})


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "token").write_text(TOKEN)
    exchange = Exchange(monotonic=time.monotonic, patience_s=0.05)
    guard = TokenGuard(tmp_path / "token", monotonic=time.monotonic)
    gate = CommandGate(exchange, guard, topic="agents/hall/command", offered=("ack", "shelve"))
    past = PastPages(HistoryReader(tmp_path / "history.sqlite"), wall_s=time.time)
    routes = PageRoutes(exchange, gate, names=("line.local",), past=past)
    server = HttpServer(("127.0.0.1", 0), routes, name="page")
    server.start()
    yield server.port or 0
    server.stop()


def order(port: int, name: str = "ack", body: str = ORDER, **headers: str) -> int:
    sent = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    sent |= {key.replace("_", "-"): value for key, value in headers.items()}
    return ask(port, "POST", f"/api/command/{name}", body=body, headers=sent)[0]


def test_every_file_of_the_page_is_served_under_a_policy_that_forbids_everything_foreign(port: int) -> None:
    for path in ("/", "/page.js", "/views.js", "/sensors.js", "/past.js", "/page.css", "/icon.svg"):
        status, headers, body = ask(port, "GET", path)
        assert (status, bool(body)) == (200, True)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["server"] == "edge-agent"
        assert ask(port, "GET", path, headers={"If-None-Match": headers["etag"]})[0] == 304


def test_what_is_not_served_is_not_found(port: int) -> None:
    for path in (
        "/nothing",
        "/../guard.py",
        "/static/page.js",
        "/%2e%2e/server.py",
        "/api/",
        "/api/machine/",
    ):
        assert ask(port, "GET", path)[0] == 404, path
    assert ask(port, "GET", "/api/state/x")[0] == 404
    assert ask(port, "GET", "/api/curve/century/pump-1")[0] == 404
    assert ask(port, "GET", "/api/incident/")[0] == 404
    assert ask(port, "GET", "/api/incidents.csv/x")[0] == 404
    assert ask(port, "GET", "/api/incidents.csv")[0] == 503  # nobody works behind the exchange


def test_a_name_that_a_stranger_points_here_reads_nothing_and_commands_nothing(port: int) -> None:
    for host in ("evil.example", "localhost.evil.example"):
        assert ask(port, "GET", "/", headers={"Host": host})[0] == 421
        assert order(port, Host=host) == 421
    assert ask(port, "GET", "/", headers={"Host": "line.local"})[0] == 200


def test_another_sites_page_commands_nothing_even_with_the_token(port: int) -> None:
    assert order(port, Origin="http://evil.example") == 403
    assert order(port, Sec_Fetch_Site="cross-site") == 403
    assert order(port, Content_Type="text/plain") == 415, "what a form can send without asking first"


def test_wrong_orders_are_refused_before_the_pipeline_hears_of_them(port: int) -> None:
    assert order(port, Authorization="Bearer wrong") == 401
    assert order(port, name="recommission") == 404
    assert order(port, body="[" * 4000) == 400
    assert order(port, body='{"id": "short", "by": "Anna"}') == 400
    assert order(port, body='{"id": "request-1", "by": " "}') == 400
    assert order(port, body="x" * (PAYLOAD_LIMIT_BYTES + 1)) == 413
    assert order(port) == 503, "a good one waits for the pipeline, of which there is none here"


def test_who_guesses_the_token_is_slowed_down(port: int) -> None:
    assert [order(port, Authorization="Bearer wrong") for _ in range(11)] == [401] * 10 + [429]
    assert order(port) != 429, "the right token is always welcome"


def test_other_methods_and_garbage_are_answered_without_repeating_them(port: int) -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE"):
        assert ask(port, method, "/")[0] == 501
    assert b"<script>" not in raw(port, b"GET /<script> HTTP/1.1\r\n\r\n")
    assert b" 414 " in raw(port, b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n").partition(b"\r\n")[0]
    assert b" 4" in raw(
        port, b"POST /api/command/ack HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"
    )


def test_a_picture_of_a_camera_takes_the_token_and_only_the_right_one(port: int, tmp_path: Path) -> None:
    def frame(**headers: str) -> tuple[int, str]:
        status, told, body = ask(port, "GET", "/api/frame/press-4/cam%201", headers=headers)
        return status, told["content-type"] if status == 200 else json.loads(body)["reason"]

    assert frame() == (401, "wrong_token")
    assert frame(Authorization="Bearer of-bad-news-all-day") == (401, "wrong_token")
    assert frame(Authorization=f"Bearer {TOKEN}") == (404, "unknown")
    (tmp_path / "token").unlink()
    assert frame(Authorization=f"Bearer {TOKEN}") == (403, "no_token_set")
