"""HTTP for the page and for the metrics: one request a connection, bounded. Knows no page, only who answers.

Each connection has a thread of its own and lives for `Limits.lifetime_s` at most. When one more comes than there is
room for, one that has not brought its whole request, or does not read its answer, gives way: the oldest of the address
that holds the most. One address may hold three quarters of the room; what it asks for beyond that, its own older ones
give way to. So whoever dawdles keeps nobody else out. A request that is being answered is left in peace; where all
are, the newest is turned away.
"""

import gzip
import ipaddress
import re
import socket
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Protocol

_PACKED = frozenset(
    {"application/json", "text/css", "text/csv", "text/html", "text/javascript", "image/svg+xml"}
)
"""What the page is made of. Metrics go as they are: whoever scrapes them is near, and asks all day."""
_PACKED_FROM_BYTES = 1000
_PACKED_LEVEL = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections there are at a time, and how long one may last and be silent."""

    connections: int = 24
    lifetime_s: float = 20.0
    silence_s: float = 8.0

    @property
    def address_connections(self) -> int:
        """How many of them one address may hold."""
        return max(1, self.connections * 3 // 4)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request.

    Attributes:
        method: GET or POST; no other is passed on.
        path: without what follows a question mark.
        headers: by name, whatever its case.
        body: empty where `too_long`.
        address: of who asks.
        too_long: whether the body's length is not said, or is above what is read.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    address: str
    too_long: bool = False


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One answer."""

    status: int
    body: bytes
    kind: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Responder(Protocol):
    """Who answers requests; called by many threads at once."""

    body_limit_bytes: int
    """Of a request; more is not read."""

    def answer(self, request: HttpRequest) -> HttpResponse:
        """The answer; may wait a while."""

    def malformed(self, status: int) -> HttpResponse:
        """The answer to what is no request that is understood here."""


class HttpServer:
    """One responder at one address."""

    def __init__(
        self, address: tuple[str, int], responder: Responder, *, name: str, limits: Limits = Limits()
    ) -> None:
        """`name` is the thread's."""
        self._address = address
        self._responder = responder
        self._name = name
        self._limits = limits
        self._http: _Bounded | None = None

    @property
    def port(self) -> int | None:
        """The port, also where a free one was asked for; None while nothing is served."""
        return None if self._http is None else int(self._http.server_address[1])

    def start(self) -> None:
        """Take the address and serve from threads of its own.

        Raises:
            OSError: it is taken or not ours.
        """
        self._http = _Bounded(self._address, self._responder, limits=self._limits)
        Thread(target=self._http.serve_forever, name=self._name, daemon=True).start()

    def stop(self) -> None:
        """Serve no more."""
        http, self._http = self._http, None
        if http is not None:
            http.shutdown()
            http.server_close()


@dataclass(slots=True)
class _Caller:
    since_s: float
    address: str
    answered: bool = False
    """Whether its request is being answered right now."""


class _Bounded(ThreadingHTTPServer):
    """So many connections at a time, each for so long."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], responder: Responder, *, limits: Limits) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.responder = responder
        self._limits = limits
        self._callers: dict[socket.socket, _Caller] = {}
        self._lock = Lock()

        class Handler(_Handler):
            timeout = limits.silence_s

        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for the connection, or the door."""
        address = of_one(str(client_address[0]))
        with self._lock:
            room = self._make_room(address)
            if room:
                self._callers[request] = _Caller(time.monotonic(), address)
        if not room:
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except (
            RuntimeError
        ):  # the process may have no more threads: this one is turned away, the next may have better luck
            with self._lock:
                self._callers.pop(request, None)
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The connection, from its first byte to its last."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._callers.pop(request, None)

    def note_answering(self, request: socket.socket, *, begun: bool) -> None:
        """A request is whole and being answered from now on, or its answer is there to be sent."""
        with self._lock:
            caller = self._callers.get(request)
            if caller is not None:
                caller.answered = begun

    def service_actions(self) -> None:
        """Every half second: hang up on those who dawdle."""
        now_s = time.monotonic()
        with self._lock:
            for request, caller in self._callers.items():
                if now_s - caller.since_s > self._limits.lifetime_s:
                    _hang_up(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is no news."""

    def _make_room(self, address: str) -> bool:
        """Whether there is room for one more of this address, after hanging up on who must give way to it."""
        held = Counter(caller.address for caller in self._callers.values())
        if held[address] >= self._limits.address_connections:
            return self._hang_up_on(address)
        if len(self._callers) < self._limits.connections:
            return True
        return any(self._hang_up_on(one) for one, _ in held.most_common())

    def _hang_up_on(self, address: str) -> bool:
        """Hang up on the oldest of an address that is not being answered; whether there was one."""
        for request, caller in self._callers.items():
            if caller.address == address and not caller.answered:
                del self._callers[request]
                _hang_up(request)
                return True
        return False


def of_one(address: str) -> str:
    """What the addresses of one caller have in common: of IPv6 the network of 64 bits, where all are one's own."""
    bare = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(bare, ipaddress.IPv4Address):
        return str(bare)
    if bare.ipv4_mapped is not None:
        return str(bare.ipv4_mapped)
    return str(ipaddress.ip_network((bare, 64), strict=False))


def _hang_up(request: socket.socket) -> None:
    try:
        request.shutdown(socket.SHUT_RDWR)
    except OSError:  # it has gone meanwhile
        return


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: _Bounded

    def do_GET(self) -> None:
        self._serve(b"", too_long=False)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        limit = self.server.responder.body_limit_bytes
        too_long = not length.isascii() or not length.isdigit() or int(length) > limit
        self._serve(b"" if too_long else self.rfile.read(int(length)), too_long=too_long)

    def _serve(self, body: bytes, *, too_long: bool) -> None:
        request = HttpRequest(
            method=self.command,
            path=self.path.partition("?")[0],
            headers=self.headers,  # type: ignore[arg-type]  # reads like a mapping
            body=body,
            address=str(self.client_address[0]),
            too_long=too_long,
        )
        self.server.note_answering(self.connection, begun=True)
        try:
            response = self.server.responder.answer(request)
        finally:
            self.server.note_answering(self.connection, begun=False)
        self._send(response)

    def _send(self, response: HttpResponse) -> None:
        self.send_response(response.status)
        body = response.body
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.kind.partition(";")[0] in _PACKED:
            self.send_header("Vary", "Accept-Encoding")
            if len(body) >= _PACKED_FROM_BYTES and self._takes_gzip():
                body = gzip.compress(body, _PACKED_LEVEL, mtime=0)
                self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", response.kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _takes_gzip(self) -> bool:
        """Whether who asks says so; a weight of 0 says that it does not."""
        if getattr(self, "headers", None) is None:
            return False  # refused before its headers were read
        for offer in self.headers.get("Accept-Encoding", "").lower().split(","):
            coding, _, weight = offer.replace(" ", "").partition(";")
            if coding == "gzip":
                return not re.fullmatch(r"q=0(\.0*)?", weight)
        return False

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses: in our form, so that nothing of the request is repeated as HTML."""
        del message, explain
        self.close_connection = True
        self._send(self.server.responder.malformed(code))

    def version_string(self) -> str:
        """Whom one speaks to, without versions."""
        return "edge-agent"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited name
        """Say nothing: the audit log has the commands, and scrapes are no news."""
