"""HTTP itself, whoever answers: bounds on connections and their lives, and nobody who dawdles keeps others out."""

import contextlib
import gzip
import http.client
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from edge_agent.web.server import HttpRequest, HttpResponse, HttpServer, Limits, of_one
from tests.support.http_client import ask, raw

CONNECTIONS = 4
SHARE = 3
"""Of them for one address."""


class Toy:
    """Answers /small at once, /large with more than any buffer holds, and /slow when it is told to."""

    body_limit_bytes = 100
    kind = "text/plain"

    def __init__(self) -> None:
        self.go = threading.Event()

    def answer(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/slow":
            self.go.wait(60)
        body = b"x" * (32 << 20) if request.path == "/large" else request.body or b"small"
        return HttpResponse(413 if request.too_long else 200, body, self.kind)

    def malformed(self, status: int) -> HttpResponse:
        return HttpResponse(status, b"no", "text/plain")


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def port(toy: Toy) -> Iterator[int]:
    limits = Limits(connections=CONNECTIONS, lifetime_s=3.0, silence_s=2.0)
    server = HttpServer(("127.0.0.1", 0), toy, name="test", limits=limits)
    assert server.port is None
    server.start()
    yield server.port or 0
    server.stop()


def begun(port: int, sent: bytes) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), timeout=60)
    line.sendall(sent)
    return line


def test_requests_are_passed_on_and_answered_under_a_name_without_versions(port: int) -> None:
    status, headers, body = ask(port, "GET", "/small?not=this")
    assert (status, body, headers["server"]) == (200, b"small", "edge-agent")
    assert ask(port, "POST", "/small", body="hello")[2] == b"hello"
    assert ask(port, "POST", "/small", body="x" * 101)[0] == 413, "and it was not read"


def test_other_methods_and_garbage_are_answered_without_repeating_them(port: int) -> None:
    assert ask(port, "PUT", "/small")[0] == 501
    assert raw(port, b"<script>\r\n\r\n").endswith(b"no")


@pytest.mark.parametrize(
    "dawdle", [b"", b"GET /small HT", b"POST /small HTTP/1.1\r\nContent-Length: 9\r\n\r\nx"]
)
def test_who_does_not_send_all_of_a_request_gives_way_to_the_next(port: int, dawdle: bytes) -> None:
    with contextlib.ExitStack() as held:
        lines = [held.enter_context(begun(port, dawdle)) for _ in range(CONNECTIONS)]
        for _ in range(2 * CONNECTIONS):
            assert ask(port, "GET", "/small")[0] == 200
        assert lines[0].recv(1) == b"", "the oldest was hung up on"


def test_who_does_not_read_an_answer_gives_way_to_the_next(port: int) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(CONNECTIONS):
            held.enter_context(begun(port, b"GET /large HTTP/1.1\r\n\r\n"))
        time.sleep(0.2)
        for _ in range(2 * CONNECTIONS):
            assert ask(port, "GET", "/small")[0] == 200


def test_requests_that_are_being_answered_are_left_in_peace(port: int, toy: Toy) -> None:
    with contextlib.ExitStack() as held:
        lines = [held.enter_context(begun(port, b"GET /slow HTTP/1.1\r\n\r\n")) for _ in range(SHARE)]
        time.sleep(0.2)
        with pytest.raises((http.client.HTTPException, OSError)):
            ask(port, "GET", "/small")
        toy.go.set()
        assert all(line.makefile("rb").read().endswith(b"small") for line in lines)
    end = time.monotonic() + 60
    while True:
        with contextlib.suppress(http.client.HTTPException, OSError):
            assert ask(port, "GET", "/small")[0] == 200
            break
        assert time.monotonic() < end
        time.sleep(0.05)


def test_one_address_cannot_take_the_room_of_the_others(toy: Toy) -> None:
    server = HttpServer(("::", 0), toy, name="test", limits=Limits(connections=CONNECTIONS))
    server.start()
    try:
        port = server.port or 0
        with contextlib.ExitStack() as held:
            for _ in range(2 * CONNECTIONS):  # all of one address, and none of them gives way
                held.enter_context(begun(port, b"GET /slow HTTP/1.1\r\n\r\n"))
            time.sleep(0.2)
            other = http.client.HTTPConnection("::1", port, timeout=60)
            other.request("GET", "/small")
            assert other.getresponse().read() == b"small"
            other.close()
            toy.go.set()
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("address", "one"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_caller_is_a_network_where_addresses_cost_nothing(address: str, one: str) -> None:
    assert of_one(address) == one


def test_where_no_thread_can_be_had_one_caller_is_turned_away_and_the_server_lives(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for _ in range(2 * CONNECTIONS):
            with pytest.raises((http.client.HTTPException, OSError)):
                ask(port, "GET", "/small")
    assert ask(port, "GET", "/small")[0] == 200


def test_who_sends_a_byte_now_and_then_is_hung_up_on(port: int) -> None:
    with begun(port, b"GET / HT") as line:
        began_s = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - began_s < 60:
                line.sendall(b"x")
                time.sleep(0.1)
        assert time.monotonic() - began_s < 40, "hung up, although it was never silent"


@pytest.mark.parametrize(
    ("offer", "packed"),
    [
        ("gzip, br", True),
        ("br;q=1, GZIP ; q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("", False),
        ("br", False),
    ],
)
def test_long_documents_are_packed_for_who_takes_that(toy: Toy, port: int, offer: str, packed: bool) -> None:  # noqa: FBT001 - of the table
    toy.kind = "application/json"
    body = "[" + "1, " * 400 + "1]"
    toy.body_limit_bytes = 5000
    _, headers, answer = ask(port, "POST", "/echo", body=body, headers={"Accept-Encoding": offer})
    assert headers["vary"] == "Accept-Encoding"
    assert ("content-encoding" in headers) == packed
    assert (gzip.decompress(answer) if packed else answer).decode() == body
    assert int(headers["content-length"]) == len(answer)


@pytest.mark.parametrize(
    ("kind", "body"), [("text/plain", "x" * 2000), ("image/jpeg", "x" * 2000), ("text/css", "x" * 999)]
)
def test_metrics_pictures_and_short_answers_go_as_they_are(toy: Toy, port: int, kind: str, body: str) -> None:
    toy.kind, toy.body_limit_bytes = kind, 5000
    _, headers, answer = ask(port, "POST", "/echo", body=body, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in headers
    assert answer.decode() == body
