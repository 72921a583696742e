"""The history as a part of the agent: what closed goes to its worker, and is forgotten here when the history has it.

The worker's thread alone writes the history. Where it cannot, what closed waits in the state's database, the watch goes
on, and health, metrics, log and page say what is not kept.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge_agent.alarms.incident_log import earlier
from edge_agent.config.file import Config
from edge_agent.errors import DatabaseError
from edge_agent.metrics.snapshot import HistorySeries, Snapshot
from edge_agent.mqtt.connection import Report
from edge_agent.pipeline.results import StepResults
from edge_agent.records import Frame
from edge_agent.service.parts import AgentPart
from edge_agent.service.turn import CLOCKS, Clocks, TurnProcessor
from edge_agent.store.history.database import HISTORY, HistoryDatabase, HistorySettings
from edge_agent.store.history.incident import Entry, Forgotten
from edge_agent.store.history.minutes import MinuteGatherer, Scored

_ROUND_S = 1.0
_RETRY_FIRST_S, _RETRY_LAST_S = 1.0, 60.0
_ENTRIES_A_ROUND = 20
_FORGET_EVERY_S = 600.0
_STEPS_WAITING = 250
"""Steps whose rows wait for the thread: some seconds of a disk that hangs."""
_MOMENTS_HELD = 300
_MINUTES_HELD = 50_000
"""Minutes that wait in memory where the history cannot be written."""
_MINUTES_A_SECOND, _LONGEST_FLUSH_S = 100, 10.0
"""A hundred machines are written once a second, a thousand every ten: so much of the newest minute a crash may cost."""
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
    rows_passed_over: int = 0


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
        self._gatherer = MinuteGatherer()
        self._steps: deque[tuple[Sequence[Frame], Sequence[Scored]]] = deque()
        self._resumed = False
        self._wrote_minutes_s = -_LONGEST_FLUSH_S
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

    def take_step(self, step: StepResults) -> None:
        """Have a step's rows and scores gathered soon; where too much waits they are passed over, and counted."""
        if not self._settings.minute_days or not (step.accepted or step.scores):
            return
        if len(self._steps) >= _STEPS_WAITING:
            self.counts.rows_passed_over += sum(len(frame.rows) for frame in step.accepted)
            return
        scored = [(block.windows.machine, block.windows.times_ns, block.value) for block in step.scores]
        self._steps.append((step.accepted, scored))

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
        """One round: gather and write what waits, let go of what is too old or too much."""
        now_s = self._clocks.monotonic_s()
        self._gather()
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

    def _gather(self) -> None:
        steps = [self._steps.popleft() for _ in range(len(self._steps))]
        self._gatherer.take_scores(one for _, scored in steps for one in scored)
        for _ in self._gatherer.take_frames(frame for frames, _ in steps for frame in frames):
            time.sleep(0)  # whoever waits for the interpreter has it now, and not in 5 ms
        self._gatherer.forget_moments(but=_MOMENTS_HELD)
        if len(self._gatherer.open) > _MINUTES_HELD:  # nothing can be written for long
            for place in sorted(self._gatherer.open, key=lambda place: place[1])[
                : max(1, _MINUTES_HELD // 10)
            ]:
                self.counts.rows_passed_over += self._gatherer.give_up(place)

    def _write_minutes(self, now_s: float) -> None:
        """What was gathered, once a second, of very many machines less often; before an incident that rests on it."""
        if not self._resumed:
            self._gatherer.restore(self._database.open_minutes())
            self._resumed = True
        pause_s = min(_LONGEST_FLUSH_S, len(self._gatherer.open) / _MINUTES_A_SECOND)
        if not self._gatherer.changed and not self._gatherer.moments:
            return
        if now_s - self._wrote_minutes_s < pause_s and not (self._entries or self._stopping):
            return
        over = self._database.write_minutes(self._gatherer, now_ns=self._clocks.wall_ns())
        self._gatherer.written(over)
        self._wrote_minutes_s = now_s
        self.counts.crowded_out += self._database.make_room(self._settings)

    def _write(self, now_s: float) -> None:
        self._write_minutes(now_s)
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
            for entry in entries.values():
                if isinstance(entry, Forgotten):
                    self._gatherer.forget(entry.machine)
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
        self._gatherer.changed.update(self._gatherer.open)
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

    def observe_step(self, step: StepResults) -> None:
        """Its rows and scores become minutes."""
        self.worker.take_step(step)

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
            rows_passed_over=counts.rows_passed_over,
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
