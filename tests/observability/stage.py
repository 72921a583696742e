"""A real Prometheus and Alertmanager around a real agent, and whoever is called: a webhook that remembers."""

import json
import re
import subprocess
import threading
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks import ROOT
from benchmarks.harness.patience import free_port, wait_until
from tests.observability.programs import program

RULES = ROOT / "deploy/prometheus/rules"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_S = 10
_SPANS = re.compile(r"(?<=\[)(\d+)([smhd])(?=\])|(?<= for: )(\d+)([smhd])$", re.MULTILINE)
"""Ranges of an expression, and how long it must hold."""


def quickened(rules: str) -> str:
    """The same rules for tests that cannot wait: nothing lasts above 10 seconds."""

    def shortened(span: re.Match[str]) -> str:
        number, unit = (part for part in span.groups() if part)
        return f"{min(int(number) * _SECONDS[unit], _LONGEST_S)}s"

    return _SPANS.sub(shortened, rules)


class Webhook:
    """What Alertmanager sends, in order: (alert name, firing or resolved)."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                heard.extend((alert["labels"]["alertname"], alert["status"]) for alert in told["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited name
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Watchers:
    """Both programs with the rules of the repository, at a pace for tests (`quick`) or as they ship."""

    def __init__(self, folder: Path, *, agent_port: int, webhook_port: int, quick: bool = True) -> None:
        self.port, alertmanager = free_port(), free_port()
        (folder / "rules").mkdir(parents=True)
        for rules in RULES.glob("*.yml"):
            text = rules.read_text()
            (folder / "rules" / rules.name).write_text(quickened(text) if quick else text)
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
            "rule_files: [rules/*.yml]\n"
            f'alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]}}\n'
            "scrape_configs:\n  - job_name: edge-agent\n"
            f'    static_configs: [{{targets: ["127.0.0.1:{agent_port}"]}}]\n'
        )
        (folder / "alertmanager.yml").write_text(
            "route: {receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 1s}\n"
            "receivers:\n  - name: hook\n    webhook_configs:\n"
            f'      - {{url: "http://127.0.0.1:{webhook_port}/", send_resolved: true}}\n'
        )
        prometheus = program("prometheus", package="prometheus")
        alerting = program("prometheus-alertmanager", "alertmanager", package="prometheus-alertmanager")
        self._processes = [
            _begin(
                folder,
                prometheus,
                "--config.file=prometheus.yml",
                f"--storage.tsdb.path={folder}/tsdb",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ),
            _begin(
                folder,
                alerting,
                "--config.file=alertmanager.yml",
                f"--storage.path={folder}/alertmanager",
                f"--web.listen-address=127.0.0.1:{alertmanager}",
                "--cluster.listen-address=",
            ),
        ]
        wait_until(lambda: self.up("/-/ready"), what="Prometheus")

    def up(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression yields now."""
        words = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.port}/api/v1/query?{words}", timeout=10
        ) as answer:
            result = json.load(answer)["data"]["result"]
        return list(result)

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


def _begin(folder: Path, tool: str, *words: str) -> subprocess.Popen[bytes]:
    with (folder / f"{Path(tool).name}.log").open("wb") as log:
        return subprocess.Popen([tool, *words], cwd=folder, stdout=log, stderr=log)
