"""Which HTTP server serves the page and the metrics: ours, waitress or cheroot? Memory, and callers with bad manners.

    python -m benchmarks.reliability.http_servers [SECONDS]

Each server runs in a process of its own and answers two things: 400 KB at once, as the metrics of 500 machines, and
the same after two seconds, as the page while the pipeline is busy. A crowd holds connections and behaves badly for so
many seconds, each of its members coming back when it is hung up on; an honest request is made five times a second, and
counts when it is answered within three. `unbounded` is a thread for each connection without a limit. Candidates that
are not installed are left out. docs/decisions/2026-11-30-http-server.md says what came of it.
"""

import contextlib
import http.client
import importlib.util
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from edge_agent.web.server import HttpRequest, HttpResponse, HttpServer, _Handler

BODY = b"edge_agent_score 0.123456789\n" * 14_000
SERVERS = ("unbounded", "ours", "waitress", "cheroot")
HALF, WHOLE, SLOW = (
    b"GET / HTTP/1.1\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n",
)
CROWDS = {
    "nobody else": (0, b""),
    "32 half-sent requests": (32, HALF),
    "1,100 half-sent requests": (1100, HALF),
    "64 that do not read": (64, WHOLE),
    "16 that wait for the pipeline": (16, SLOW),
}
_EVERY_S = 0.2
_PATIENCE_S = 3.0


class _Answers:
    """For our server."""

    body_limit_bytes = 0

    def answer(self, request: HttpRequest) -> HttpResponse:
        time.sleep(2.0 if request.path == "/slow" else 0.0)
        return HttpResponse(200, BODY, "text/plain")

    def malformed(self, status: int) -> HttpResponse:
        return HttpResponse(status, b"", "text/plain")


def _application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """For the others."""
    time.sleep(2.0 if environ["PATH_INFO"] == "/slow" else 0.0)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))])
    return [BODY]


def serve(name: str, port: int) -> None:
    """One server, for ever, with limits like ours where it has any."""
    if name == "ours":
        HttpServer(("127.0.0.1", port), _Answers(), name="http").start()
        threading.Event().wait()
    elif name == "unbounded":
        server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
        server.responder = _Answers()  # type: ignore[attr-defined]
        server.note_answering = lambda *_, **__: None  # type: ignore[attr-defined]
        server.daemon_threads = True
        server.serve_forever()
    elif name == "waitress":
        import waitress  # type: ignore[import-not-found]  # noqa: PLC0415 - measured alone

        bounds = {"connection_limit": 64, "channel_timeout": 20, "cleanup_interval": 5}
        waitress.serve(_application, host="127.0.0.1", port=port, threads=8, _quiet=True, **bounds)
    else:
        from cheroot import wsgi  # type: ignore[import-not-found]  # noqa: PLC0415 - measured alone

        bounds = {"numthreads": 8, "max": 32, "request_queue_size": 64, "timeout": 8}
        wsgi.Server(("127.0.0.1", port), _application, **bounds).start()


class Crowd:
    """Connections that are held open, and opened anew when they are hung up on."""

    def __init__(self, port: int, *, number: int, sent: bytes) -> None:
        self._port, self._number, self._sent = port, number, sent
        self._lines: list[socket.socket | None] = [None] * number
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for line in filter(None, self._lines):
            line.close()

    def _work(self) -> None:
        sent_s = time.monotonic()
        while not self._over.wait(0.05):
            dribble = self._sent != SLOW and time.monotonic() - sent_s > 2.0
            sent_s = time.monotonic() if dribble else sent_s
            for at, line in enumerate(self._lines):
                if self._over.is_set():
                    return
                self._lines[at] = self._kept(line, dribble=dribble)

    def _kept(self, line: socket.socket | None, *, dribble: bool) -> socket.socket | None:
        try:
            if line is None:
                line = socket.socket()
                line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                line.settimeout(0.1)
                line.connect(("127.0.0.1", self._port))
                line.sendall(self._sent)
                line.setblocking(False)
            elif dribble:
                line.send(b"X: y\r\n")
            elif self._sent != WHOLE and line.recv(65536) == b"":
                line.close()
                return None
        except BlockingIOError:
            return line
        except OSError:
            if line is not None:
                line.close()
            return None
        return line


def honest(port: int, seconds: float) -> dict[str, float]:
    """Share answered in time, and the slowest of every hundred among those, in milliseconds."""
    took_s: list[float] = []
    lost = 0
    end_s = time.monotonic() + seconds
    while (began_s := time.monotonic()) < end_s:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
        try:
            line.request("GET", "/")
            if line.getresponse().read() == BODY:
                took_s.append(time.monotonic() - began_s)
            else:
                lost += 1
        except (OSError, http.client.HTTPException):
            lost += 1
        finally:
            line.close()
        time.sleep(max(0.0, began_s + _EVERY_S - time.monotonic()))
    took_s.sort()
    slowest = took_s[int(len(took_s) * 0.99)] * 1000 if took_s else float("nan")
    return {"answered": len(took_s) / (len(took_s) + lost), "p99_ms": round(slowest, 1)}


def _figures(pid: int) -> dict[str, int]:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return {"rss_kb": int(lines["VmRSS"].split()[0]), "threads": int(lines["Threads"]), "files": files}


@contextlib.contextmanager
def _running(name: str) -> Iterator[tuple[int, int]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.reliability.http_servers", "serve", name, str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Print one line of JSON for each server and crowd."""
    if sys.argv[1:2] == ["serve"]:
        return serve(sys.argv[2], int(sys.argv[3]))
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    for name in SERVERS:
        if name in {"waitress", "cheroot"} and importlib.util.find_spec(name) is None:
            continue
        for crowd, (number, sent) in CROWDS.items():
            with _running(name) as (port, pid), Crowd(port, number=number, sent=sent):
                time.sleep(min(3.0, number / 16))
                told = honest(port, seconds)
                told |= _figures(pid)
            print(json.dumps({"server": name, "crowd": crowd, **told}), flush=True)
    return None


if __name__ == "__main__":
    main()
