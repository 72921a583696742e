"""What the page answers: a fixed set of files and documents, and commands for those who have the token.

Nothing here touches the pipeline: see `exchange`.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import unquote

from edge_agent.alarms.audit import AuditEntry
from edge_agent.alarms.requests import PAYLOAD_LIMIT_BYTES
from edge_agent.records import ReceivedMessage
from edge_agent.web import documents
from edge_agent.web.auth import TokenGuard, host_allowed, same_origin
from edge_agent.web.exchange import Exchange
from edge_agent.web.past import PastPages
from edge_agent.web.server import HttpRequest, HttpResponse

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
_FRAMES = "/api/frame/"
_NAMED = frozenset({"machine", "incident", "curve"})
_TABLE = "incidents.csv"
_DOCUMENTS = _NAMED | {"state", "model", _TABLE}
_REFUSALS = {
    "no_token_set": (403, "this page is for reading only: no token is set"),
    "wrong_token": (401, "the token is not the right one"),
    "too_often": (429, "too many wrong tokens: wait a minute"),
}


@dataclass(frozen=True, slots=True)
class _StaticFile:
    body: bytes
    kind: str
    etag: str


def _files() -> dict[str, _StaticFile]:
    """Every file that is served, in memory: no path of a request ever reaches the disk."""
    found = {}
    for file in resources.files("edge_agent.web").joinpath("static").iterdir():
        if kind := _KINDS.get(file.name.rpartition(".")[2]):
            body = file.read_bytes()
            found[f"/{file.name}"] = _StaticFile(body, kind, f'"{hashlib.sha256(body).hexdigest()[:20]}"')
    return found | {"/": found["/index.html"]}


class CommandGate:
    """From a request with a token to a command, as if it had come over MQTT."""

    def __init__(
        self, exchange: Exchange, guard: TokenGuard, *, topic: str, offered: tuple[str, ...]
    ) -> None:
        self._exchange = exchange
        self._guard = guard
        self._topic = topic
        self._offered = offered

    def refused(self, authorization: str, address: str) -> tuple[int, bytes] | None:
        """Status and reason where the token is not the right one; None where it is."""
        admission = self._guard.judge(authorization, address)
        if admission == "welcome":
            return None
        status, why = _REFUSALS[admission]
        return status, _problem(admission, why)

    def pass_on(self, name: str, body: bytes, *, authorization: str, address: str) -> tuple[int, bytes]:
        """Status and answer: the reply to the command, as MQTT's readers get it, or why it was not asked."""
        if (refused := self.refused(authorization, address)) is not None:
            return refused
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


class PageRoutes:
    """The page, as the HTTP server's responder."""

    body_limit_bytes = PAYLOAD_LIMIT_BYTES

    def __init__(
        self, exchange: Exchange, gate: CommandGate, *, names: tuple[str, ...], past: PastPages
    ) -> None:
        """`names` are those under which the page may be asked for, beside addresses and the host's own."""
        self._exchange = exchange
        self._past = past
        self._gate = gate
        self._names = names
        self._files = _files()

    def answer(self, request: HttpRequest) -> HttpResponse:
        """A file, a document, or what became of a command."""
        if not host_allowed(request.headers.get("Host", ""), self._names):
            return _refusal(421, "unknown_host", "this name is not among [page] names")
        if request.method == "POST":
            return self._command(request)
        if (file := self._files.get(request.path)) is not None:
            fresh = request.headers.get("If-None-Match") == file.etag
            return _response(304 if fresh else 200, b"" if fresh else file.body, file.kind, etag=file.etag)
        if request.path.startswith(_FRAMES):
            return self._frame(request)
        if request.path.startswith("/api/"):
            return self._document(request.path.removeprefix("/api/"))
        return _refusal(404, "not_found", "no such page")

    def malformed(self, status: int) -> HttpResponse:
        """What is no request: answered without repeating anything of it."""
        return _refusal(status, "malformed", "no request that is understood here")

    def _document(self, path: str) -> HttpResponse:
        kind, _, quoted = path.partition("/")
        span, _, rest = quoted.partition("/") if kind == "curve" else ("", "", quoted)
        name = unquote(rest)
        if kind not in _DOCUMENTS or (kind in _NAMED) != bool(name):
            return _refusal(404, "not_found", "no such document")
        if len(name) > _NAME_LIMIT:
            return _refusal(404, "unknown_machine", "no machine of this name is known")
        if kind == "curve":
            return _found(self._past.curve(span, name), "no such span")
        view = self._exchange.view(name if kind == "machine" else None)
        if view is None:
            return _refusal(503, "busy", "the agent does not answer; is it overloaded?")
        if kind == _TABLE:
            table = self._past.table(view)
            return (
                _response(200, table, "text/csv; charset=utf-8")
                if table is not None
                else _refusal(503, "not_readable", "the history cannot be read")
            )
        if kind == "machine":
            past = {**self._past.listed(view, name), "alike": self._past.alike(view, name)}
            return _found(documents.machine(view, name, past), "no machine of this name is known")
        if kind == "incident":
            return _found(self._past.incident(view, name), "no incident of this id is kept")
        return _found(
            documents.model(view.bundle)
            if kind == "model"
            else documents.state(view, self._past.listed(view)),
            "no such document",
        )

    def _frame(self, request: HttpRequest) -> HttpResponse:
        """A camera's newest picture, `/api/frame/machine/camera`, or an unusual one, with its id behind that.

        Either may show people, so it takes the token.
        """
        refused = self._gate.refused(request.headers.get("Authorization", ""), request.address)
        if refused is not None:
            return _response(*refused, _JSON)
        machine, _, rest = request.path.removeprefix(_FRAMES).partition("/")
        camera, _, suspect = rest.partition("/")
        name = unquote(machine)
        view = self._exchange.view(name) if 0 < len(name) <= _NAME_LIMIT else None
        closeup = None if view is None else view.closeups.get(name)
        cameras = () if closeup is None else closeup.cameras
        found = next((one for one in cameras if one.name == unquote(camera)), None)
        if found is None:
            return _refusal(404, "unknown", "no picture of this camera is known")
        if suspect:
            kept = next((one.jpeg for one in found.suspects if one.id == unquote(suspect)), b"")
            if not kept:
                return _refusal(404, "unknown", "this picture is kept no more")
            return _response(200, kept, "image/jpeg")
        return _response(200, found.file, f"image/{found.kind}")

    def _command(self, request: HttpRequest) -> HttpResponse:
        kind, _, name = request.path.removeprefix("/api/").partition("/")
        if kind != "command" or not request.path.startswith("/api/"):
            return _refusal(404, "not_found", "no such page")
        if not same_origin(request.headers, request.headers.get("Host", "")):
            return _refusal(403, "foreign_origin", "another page's request")
        content, _, _ = request.headers.get("Content-Type", "").partition(";")
        if content.strip().lower() != _JSON:
            return _refusal(415, "malformed", f"Content-Type: {_JSON}")
        if request.too_long:
            return _refusal(413, "too_large", f"Content-Length up to {PAYLOAD_LIMIT_BYTES}")
        status, body = self._gate.pass_on(
            name,
            request.body,
            authorization=request.headers.get("Authorization", ""),
            address=request.address,
        )
        return _response(status, body, _JSON)


def _found(body: bytes | None, why_not: str) -> HttpResponse:
    return _refusal(404, "unknown", why_not) if body is None else _response(200, body, _JSON)


def _refusal(status: int, reason: str, detail: str) -> HttpResponse:
    return _response(status, _problem(reason, detail), _JSON)


def _response(status: int, body: bytes, kind: str, *, etag: str = "") -> HttpResponse:
    cache = {"Cache-Control": "no-cache", "ETag": etag} if etag else {"Cache-Control": "no-store"}
    return HttpResponse(status, body, kind, _HEADERS | cache)
