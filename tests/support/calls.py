"""Alarms for those who call people, a receiver that may be out, and an agent's part that may be killed at any moment.

python -m tests.support.calls FOLDER PORT     calls by what FOLDER/alarms.json says, until it is killed
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

from edge_agent.alarms.state import Acknowledgement, AlarmState
from edge_agent.config.file import Config
from edge_agent.notify.book import CallSubject
from edge_agent.records import Alarm, Severity
from edge_agent.service.notify.part import NotifyPart
from edge_agent.signals.machine_rules import facts_of
from edge_agent.store.database import Database
from edge_agent.store.journal import Changes
from edge_agent.store.state_writer import room_values

S = 1_000_000_000
RULES = 6
T0 = 1_700_000_000 * S


def open_alarm(
    name: str = "a1",
    *,
    severity: Severity = "major",
    fault: str = "clogged filter",
    acknowledged: bool = False,
    **more: Any,
) -> AlarmState:
    """An open alarm of `press-NAME` of which readers were called at `T0`."""
    found = Alarm(
        id=name,
        revision=1,
        machine=f"press-{name}",
        state="open",
        severity=severity,
        onset_ns=T0 - 60 * S,
        time_ns=T0,
        score=2.0,
        peak_score=2.0,
        threshold=1.0,
        fault=fault,
        fault_probability=0.9,
        channels=(),
        model="m",
    )
    seen = Acknowledgement("anna", T0) if acknowledged else None
    return AlarmState(found, **{"told": True, "called_ns": T0, "acknowledgement": seen, **more})


def subject_of(record: AlarmState) -> CallSubject:
    """What a message tells of it."""
    alarm = record.alarm
    return CallSubject(
        alarm=alarm.id,
        machine=alarm.machine,
        name=alarm.machine,
        location="hall 3",
        kind=alarm.kind,
        fault=alarm.fault,
        severity=alarm.severity,
        onset_ns=alarm.onset_ns,
        summary=f"{alarm.machine} has probably had {alarm.fault} (90 %).",
    )


Answer = Literal["ok", "error", "moved", "lost"]


class Receiver:
    """Takes posted JSON; `answers` says how the next requests end, the last one for all that follow."""

    def __init__(self) -> None:
        self.taken: list[tuple[float, dict[str, Any], dict[str, str]]] = []
        """Time, body and headers of what was answered with 200, or whose answer was lost on the way."""
        self.answer: Callable[[], Answer] = lambda: "ok"
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                how = receiver.answer()
                if how in ("ok", "lost"):
                    receiver.taken.append((time.time(), body, dict(self.headers.items())))
                if how == "lost":
                    self.close_connection = True
                    return
                self.send_response({"ok": 200, "error": 503, "moved": 302}[how])
                if how == "moved":
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(b"said \x1b[31mso")

            def log_message(self, *_: object) -> None:
                """Nothing of this is for the test's output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Be gone."""
        self._server.shutdown()
        self._server.server_close()


class StateWriterDouble:
    """Keeps values by one transaction a turn, as the agent's does."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self._database.open()
        self._values = room_values(self._database.read().states)
        self._changed: dict[str, bytes | None] = {}
        self._turn = 0

    def kept_values(self) -> dict[str, bytes]:
        """What was kept."""
        return self._values

    def keep_value(self, name: str, value: bytes | None) -> None:
        """Keep it with the next turn."""
        self._changed[f"room/{name}"] = value

    def write(self) -> None:
        """The turn's transaction."""
        self._turn += 1
        if self._changed:
            self._database.commit(Changes(self._turn, states=self._changed))
            self._changed = {}


def processor_of(writer: StateWriterDouble, records: dict[str, AlarmState], config: Config) -> Any:
    """As much of a turn processor as the part looks at."""
    kept = SimpleNamespace(records=records)
    manager = SimpleNamespace(lifecycle=SimpleNamespace(kept=kept))
    rules = [section.rule for section in config.machine]
    return SimpleNamespace(
        state_writer=writer,
        alarm_manager=manager,
        facts=lambda: {
            record.alarm.machine: facts_of(rules, record.alarm.machine) for record in records.values()
        },
    )


def main() -> None:
    """Call until killed."""
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    rule = {"kind": "json", "url": f"http://127.0.0.1:{port}/hook"}
    times = {"cool_down_s": 7.0, "group_s": 0.0, "over": False, "timeout_s": 1.0}
    config = Config.model_validate({"notify": [rule | times | {"name": f"hook-{n}"} for n in range(RULES)]})
    part = NotifyPart(config, report=lambda *_, **__: None)
    writer = StateWriterDouble(folder / "state.sqlite")
    records: dict[str, AlarmState] = {}
    processor = processor_of(writer, records, config)
    (folder / "up").touch()
    while True:
        names = json.loads((folder / "alarms.json").read_text())
        records.update({name: open_alarm(name) for name in names if name not in records})
        writer.write()
        part.finish(processor)
        time.sleep(0.02)


if __name__ == "__main__":
    main()
