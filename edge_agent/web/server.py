"""HTTP for the page: a fixed set of files and documents, and commands for those who have the token. Bounded.

Each connection carries one request, has a thread of its own, and lives for `_LIFETIME_S` at most; beyond
`_CONNECTIONS` at a time callers are turned away. Nothing here touches the pipeline: see `exchange`.
"""

import hashlib
import json
import re
import socket
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from threading import BoundedSemaphore, Lock, Thread
from typing import Any
from urllib.parse import unquote

from edge_agent.alarms.audit import AuditEntry
from edge_agent.alarms.requests import PAYLOAD_LIMIT_BYTES
from edge_agent.records import ReceivedMessage
from edge_agent.web import documents
from edge_agent.web.auth import TokenGuard, host_allowed, same_origin
from edge_agent.web.exchange import Exchange

_CONNECTIONS = 32
_LIFETIME_S = 20.0
_SILENCE_S = 8.0
_NAME_LIMIT = 300
_BY_LIMIT = 100
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}
_JSON = "application/json"
_REFUSALS = {
    "no_token_set": (403, "this page is for reading only: no token is set"),
    "wrong_token": (401, "the token is not the right one"),
    "too_often": (429, "too many wrong tokens: wait a minute"),
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    kind: str
    etag: str


def _files() -> dict[str, _File]:
    """Every file that is served, in memory: no path of a request ever reaches the disk."""
    found = {}
    for file in resources.files("edge_agent.web").joinpath("static").iterdir():
        if kind := _KINDS.get(file.name.rpartition(".")[2]):
            body = file.read_bytes()
            found[f"/{file.name}"] = _File(body, kind, f'"{hashlib.sha256(body).hexdigest()[:20]}"')
    return found | {"/": found["/index.html"]}


class Desk:
    """From a request with a token to a command on the agent's own desk."""

    def __init__(
        self, exchange: Exchange, guard: TokenGuard, *, topic: str, offered: tuple[str, ...]
    ) -> None:
        self._exchange = exchange
        self._guard = guard
        self._topic = topic
        self._offered = offered

    def take(self, name: str, body: bytes, *, authorization: str, address: str) -> tuple[int, bytes]:
        """Status and answer: the reply of the desk, as MQTT's readers get it, or why it was not asked."""
        verdict = self._guard.judge(authorization, address)
        if verdict != "welcome":
            status, why = _REFUSALS[verdict]
            return status, _problem(verdict, why)
        if name == "token":
            return 200, b"{}"
        if name not in self._offered:
            return 404, _problem("unknown_command", f"offered here: {', '.join(self._offered)}")
        fields = _object(body)
        request, by = fields.get("id"), fields.get("by")
        if not isinstance(request, str) or not re.fullmatch(r"[A-Za-z0-9_-]{8,64}", request):
            return 400, _problem("malformed", "id: 8 to 64 letters, digits, _ or -")
        if not isinstance(by, str) or not by.strip() or len(by) > _BY_LIMIT:
            return 400, _problem("malformed", f"by: who asks, up to {_BY_LIMIT} characters")
        payload = json.dumps({**fields, "by": f"{by.strip()} (page)"}).encode()
        entry = self._exchange.command(
            request, ReceivedMessage(f"{self._topic}/{name}", payload, retain=False)
        )
        if entry is None:
            return 503, _problem("busy", "the agent did not answer in time; look again before you repeat it")
        return _status(entry), entry.reply


def _status(entry: AuditEntry) -> int:
    return 409 if entry.result == "refused" else 200


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _problem(reason: str, detail: str) -> bytes:
    return json.dumps({"result": "refused", "reason": reason, "detail": detail}).encode()


class Server:
    """The page at its address."""

    def __init__(
        self, address: tuple[str, int], *, exchange: Exchange, desk: Desk, names: tuple[str, ...]
    ) -> None:
        """Take the address.

        Raises:
            OSError: it is taken or not ours.
        """

        class Handler(_Handler):
            pass

        Handler.exchange, Handler.desk, Handler.names, Handler.files = exchange, desk, names, _files()
        self._http = _Bounded(address, Handler)

    @property
    def port(self) -> int:
        """The port, also where a free one was asked for."""
        return int(self._http.server_address[1])

    def start(self) -> None:
        """Serve from threads of its own."""
        Thread(target=self._http.serve_forever, name="page", daemon=True).start()

    def stop(self) -> None:
        """Serve no more."""
        self._http.shutdown()
        self._http.server_close()


class _Bounded(ThreadingHTTPServer):
    """So many connections at a time, each for so long."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._room = BoundedSemaphore(_CONNECTIONS)
        self._open: dict[socket.socket, float] = {}
        self._lock = Lock()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for the connection, or the door."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        with self._lock:
            self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The connection, from its first byte to its last."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.pop(request, None)
            self._room.release()

    def service_actions(self) -> None:
        """Every half second: hang up on those who dawdle."""
        now_s = time.monotonic()
        with self._lock:
            for request, since_s in self._open.items():
                if now_s - since_s > _LIFETIME_S:
                    _hang_up(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is no news."""


def _hang_up(request: socket.socket) -> None:
    try:
        request.shutdown(socket.SHUT_RDWR)
    except OSError:  # it has gone meanwhile
        return


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    exchange: Exchange
    desk: Desk
    names: tuple[str, ...]
    files: dict[str, _File]
    timeout = _SILENCE_S

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if not self._ours():
            return
        if (file := self.files.get(path)) is not None:
            if self.headers.get("If-None-Match") == file.etag:
                self._answer(304, b"", file.kind, etag=file.etag)
            else:
                self._answer(200, file.body, file.kind, etag=file.etag)
        elif path.startswith("/api/"):
            self._document(path.removeprefix("/api/"))
        else:
            self._refuse(404, "not_found", "no such page")

    def _document(self, path: str) -> None:
        kind, _, quoted = path.partition("/")
        name = unquote(quoted)
        if kind not in {"state", "machine", "model"} or (kind == "machine") != bool(name):
            return self._refuse(404, "not_found", "no such document")
        if len(name) > _NAME_LIMIT:
            return self._refuse(404, "unknown_machine", "no machine of this name is known")
        view = self.exchange.view(name or None)
        if view is None:
            return self._refuse(503, "busy", "the agent does not answer; is it overloaded?")
        body = (
            documents.machine(view, name)
            if kind == "machine"
            else documents.model(view.bundle)
            if kind == "model"
            else documents.state(view)
        )
        if body is None:
            return self._refuse(404, "unknown_machine", "no machine of this name is known")
        return self._answer(200, body, _JSON)

    def do_POST(self) -> None:
        kind, _, name = self.path.removeprefix("/api/").partition("/")
        if not self._ours():
            return None
        if kind != "command" or not self.path.startswith("/api/"):
            return self._refuse(404, "not_found", "no such page")
        if not same_origin(self.headers, self.headers.get("Host", "")):  # type: ignore[arg-type]
            return self._refuse(403, "foreign_origin", "another page's request")
        if self.headers.get_content_type() != _JSON:
            return self._refuse(415, "malformed", f"Content-Type: {_JSON}")
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > PAYLOAD_LIMIT_BYTES:
            return self._refuse(413, "too_large", f"Content-Length up to {PAYLOAD_LIMIT_BYTES}")
        status, body = self.desk.take(
            name,
            self.rfile.read(int(length)),
            authorization=self.headers.get("Authorization", ""),
            address=str(self.client_address[0]),
        )
        return self._answer(status, body, _JSON)

    def _ours(self) -> bool:
        """Whether the request means this machine; answers it where not."""
        if host_allowed(self.headers.get("Host", ""), self.names):
            return True
        self._refuse(421, "unknown_host", "this name is not among [page] names")
        return False

    def _refuse(self, status: int, reason: str, detail: str) -> None:
        self._answer(status, _problem(reason, detail), _JSON)

    def _answer(self, status: int, body: bytes, kind: str, *, etag: str = "") -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache" if etag else "no-store")
        if etag:
            self.send_header("ETag", etag)
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses: in our form, so that nothing of the request is repeated as HTML."""
        del message, explain
        self.close_connection = True
        self._refuse(code, "malformed", "no request that is understood here")

    def version_string(self) -> str:
        """Whom one speaks to, without versions."""
        return "edge-agent"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited name
        """Say nothing: the audit log has the commands."""
