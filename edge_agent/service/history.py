"""The history as a part of the agent: what closed goes to its worker, and is forgotten here when the history has it.

The worker's thread alone writes the history. Where it cannot, what closed waits in the state's database, the watch goes
on, and health, metrics, log and page say what is not kept.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge_agent.alarms.incident_log import earlier
from edge_agent.config.file import Config
from edge_agent.errors import DatabaseError
from edge_agent.metrics.snapshot import HistorySeries, Snapshot
from edge_agent.mqtt.connection import Report
from edge_agent.service.parts import AgentPart
from edge_agent.service.turn import CLOCKS, Clocks, TurnProcessor
from edge_agent.store.history.database import HISTORY, HistoryDatabase, HistorySettings
from edge_agent.store.history.incident import Entry

_ROUND_S = 1.0
_RETRY_FIRST_S, _RETRY_LAST_S = 1.0, 60.0
_ENTRIES_A_ROUND = 20
_FORGET_EVERY_S = 600.0
_PATIENCE_S = 5.0
"""How long a leaving agent waits for the last round."""


@dataclass(slots=True)
class HistoryCounts:
    """What is counted of the history since the start.

    Attributes:
        written: entries that are in it now. crowded_out: incidents that went because there was no more room.
    """

    written: int = 0
    failures: int = 0
    set_aside: int = 0
    crowded_out: int = 0


class HistoryWorker:
    """Writes the history in a thread of its own, a round a second. `submit` and what follows it belong to the turn."""

    def __init__(
        self, database: HistoryDatabase, *, settings: HistorySettings, report: Report, clocks: Clocks = CLOCKS
    ) -> None:
        self.counts = HistoryCounts()
        self.failure = ""
        """Why nothing new is kept just now; "" where all is well."""
        self._database = database
        self._settings = settings
        self._report = report
        self._clocks = clocks
        self._changed = threading.Condition()
        self._entries: dict[str, Entry] = {}
        self._done: list[str] = []
        self._stopping = False
        self._pause_s, self._retry_s = 0.0, 0.0
        self._forgot_s: float | None = None
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def start(self) -> None:
        """Begin to write; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is there, and let go of the file."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE_S)

    # -- the pipeline's thread -------------------------------------------------------------------------------

    def adopt(self, settings: HistorySettings) -> None:
        """Keep so much from now on."""
        self._settings = settings
        self._forgot_s = None

    def submit(self, entries: Sequence[tuple[str, Entry]]) -> None:
        """Have these written soon, by the names under which they wait."""
        if entries:
            with self._changed:
                self._entries.update(entries)
                self._changed.notify_all()

    def drain_done(self) -> Sequence[str]:
        """Names of what is in the history since the last call."""
        if not self._done:
            return ()
        with self._changed:
            done, self._done = self._done, []
        return done

    def size_bytes(self) -> int:
        """Of the file and its log."""
        return self._database.size_bytes()

    # -- its own thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                if not (self._stopping or (self._entries and not self.failure)):
                    self._changed.wait(_ROUND_S)
                last = self._stopping
            try:
                self.work()
            except Exception as error:  # noqa: BLE001 - a thread's edge: the watch goes on, and the next round tries again
                self._failed(f"internal error: {error!r}")
            if last:
                self._database.close()
                return

    def work(self) -> None:
        """One round: write what waits, let go of what is too old or too much."""
        now_s = self._clocks.monotonic_s()
        if now_s < self._retry_s and not self._stopping:
            return
        for attempt in range(2):
            try:
                self._write(now_s)
            except DatabaseError as error:
                if attempt == 0 and error.corrupt and self._set_aside(error):
                    continue
                self._failed(str(error))
                return
            break
        if self.failure:
            self._report("history_recovered")
            self.failure, self._pause_s, self._retry_s = "", 0.0, 0.0

    def _write(self, now_s: float) -> None:
        while True:
            with self._changed:
                entries = dict([*self._entries.items()][:_ENTRIES_A_ROUND])
            if entries or self.failure or self._forgot_s is None:
                self._database.write(entries)
                self.counts.crowded_out += self._database.make_room(self._settings)
            if self._forgot_s is None or now_s - self._forgot_s >= _FORGET_EVERY_S:
                self._database.forget_old(self._settings, now_ns=self._clocks.wall_ns())
                self._forgot_s = now_s
            if not entries:
                return
            self.counts.written += len(entries)
            with self._changed:
                for name in entries:
                    del self._entries[name]
                self._done += entries

    def _failed(self, reason: str) -> None:
        self.counts.failures += 1
        if not self.failure:
            self._report("history_not_kept", path=str(self._database.path), reason=reason)
        self.failure = reason
        self._pause_s = min(_RETRY_LAST_S, max(_RETRY_FIRST_S, 2 * self._pause_s))
        self._retry_s = self._clocks.monotonic_s() + self._pause_s

    def _set_aside(self, error: DatabaseError) -> bool:
        """A corrupt file is renamed and a new one begun, which says so."""
        try:
            path = self._database.set_aside()
            self._database.note("begun", f"an earlier history could not be read and lies in {path.name}")
        except DatabaseError:
            return False
        self.counts.set_aside += 1
        self._report("history_set_aside", path=str(path), reason=error.reason)
        return True


class HistoryPart(AgentPart):
    """The history of one agent."""

    name = "history"

    def __init__(self, config: Config, *, report: Report, clocks: Clocks = CLOCKS) -> None:
        database = HistoryDatabase(config.agent.state_dir / HISTORY)
        self.worker = HistoryWorker(database, settings=config.history, report=report, clocks=clocks)
        self._begun: int | None = None
        self._waiting = 0
        self._dropped = 0

    def start(self) -> None:
        """Begin to write."""
        self.worker.start()

    def stop(self) -> None:
        """Write what is there."""
        self.worker.stop()

    # -- the pipeline's thread -------------------------------------------------------------------------------

    def adopt(self, config: Config) -> None:
        """Keep so much from now on."""
        self.worker.adopt(config.history)

    def finish(self, processor: TurnProcessor) -> None:
        """What the turn brought is on the disk: hand it on, and forget what the history has."""
        log = processor.alarm_manager.incidents
        if self._begun != self.worker.counts.set_aside:
            self._begun = self.worker.counts.set_aside
            self.worker.submit(_known_without(processor))
        log.confirm(self.worker.drain_done())
        self.worker.submit(log.take_waiting())
        self._waiting, self._dropped = len(log.waiting), log.dropped

    def add_figures(self, snapshot: Snapshot) -> Snapshot:
        """How it fares."""
        counts = self.worker.counts
        series = HistorySeries(
            degraded=bool(self.worker.failure),
            waiting=self._waiting,
            dropped=self._dropped,
            crowded_out=counts.crowded_out,
            written=counts.written,
            failures=counts.failures,
            set_aside=counts.set_aside,
            bytes=self.worker.size_bytes(),
        )
        return replace(snapshot, history=series)

    def amiss(self) -> Sequence[str]:
        """What is not kept, and why."""
        if not self.worker.failure:
            return ()
        said = f"history: curves are not kept, {self._waiting} incidents wait: {self.worker.failure}"
        return (f"{said}; {self._dropped} were given up" if self._dropped else said,)


def _known_without(processor: TurnProcessor) -> Sequence[tuple[str, Entry]]:
    """What the state alone knows of alarms that closed: from an earlier release, or beside a history that was lost."""
    fault_of = processor.pipeline.machines.fault_of
    return [
        (f"earlier/{past.id}", earlier(past, fault_of(past.machine, past.id)))
        for past in processor.alarm_manager.lifecycle.kept.history
    ]
