"""The command `record`: what is heard, in tables on disk. Scores nothing and publishes nothing.

Threads: the MQTT client's network thread fills the inbox; this one decodes, appends to the spool, acknowledges, and
now and then turns the spool into tables. A message is acknowledged only after its rows are on disk.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from edge_agent.config.file import Config
from edge_agent.errors import StateError
from edge_agent.logs import get_logger
from edge_agent.mqtt.duplicates import UsedMarks, digest
from edge_agent.mqtt.inbox import Batch, Inbox, Receipt
from edge_agent.mqtt.ingest import Ingest
from edge_agent.recordings import spool as spools
from edge_agent.recordings.archive import Archive
from edge_agent.recordings.spool import Spool
from edge_agent.recordings.timeline import DAY_NS
from edge_agent.records import Decoded, Frame, Reject, RejectReason
from edge_agent.service.wiring import broker_address, message_decoder
from edge_agent.store import atomic_file

log = get_logger()

FIGURES = "figures.json"
_SPOOL = "spool"
_TURN_S = 0.25
"""Rows of this time share one flush to disk; so much of QoS 0 may be lost in a crash."""
_BATCH_MESSAGES = 2000
_RETRY_S = 1.0


class RecordingCounts(msgspec.Struct):
    """What became of the messages; received = accepted + duplicate + rejected + shed."""

    received: int = 0
    accepted: int = 0
    duplicate: int = 0
    shed: int = 0
    rejected: dict[str, int] = msgspec.field(default_factory=dict)
    values_rejected: dict[str, int] = msgspec.field(default_factory=dict)
    rows: int = 0
    rows_dropped: int = 0
    days_dropped: int = 0
    rows_set_aside: int = 0
    rows_lost_waiting: int = 0
    disk_faults: int = 0


class Recorder:
    """One recorder, from start to farewell."""

    def __init__(self, config: Config, *, folder: Path) -> None:
        self.figures = RecordingCounts()
        self.archive = Archive(folder, disk_bytes=config.record.disk_bytes)
        self._config = config
        self._topics = [source.subscription for source in config.source if source.takes_rows]
        self._folder = folder
        self._decode = message_decoder(config, monotonic=time.monotonic)
        self._is_own = config.is_own
        self._spool = Spool(folder / _SPOOL)
        self._begun_s = 0.0
        self._marks = UsedMarks()
        self._channels: dict[str, set[str]] = {}
        self._stop = threading.Event()
        self._inbox = Inbox(
            messages_limit=config.broker.queue_messages,
            bytes_limit=config.broker.queue_bytes,
            shed_after_s=config.broker.shed_after_s,
            monotonic=time.monotonic,
        )

    def stop(self) -> None:
        """Ask the recorder to leave. May be called from any thread."""
        self._stop.set()

    def run(self) -> None:
        """Record until `stop`.

        Raises:
            EdgeAgentError: it cannot start, or its last rows cannot be turned into tables (the spool keeps them).
        """
        self.open()
        ingest = Ingest(
            broker_address(self._config),
            client_id=f"{self._config.client_id}-record",
            filters=self._topics,
            inbox=self._inbox,
            payload_limit_bytes=self._config.limits.payload_bytes,
            wall_clock_ns=time.time_ns,
            report=log.info,
        )
        ingest.start()
        log.info("recording", folder=str(self._folder), topics=self._topics)
        try:
            while not self._stop.is_set():
                self._stop.wait(_TURN_S)
                ingest.revive(time.monotonic())
                receipts = self._retry_until_kept(self._inbox.drain(limit=_BATCH_MESSAGES, timeout_s=0.0))
                ingest.acknowledge(receipts)
        finally:
            self._inbox.close()
            ingest.stop()
            self.close()

    def open(self) -> None:
        """Find what an earlier recorder left; what it had not turned into tables is turned now.

        Raises:
            StateError: the folder cannot be used. RecordingError: pyarrow is missing.
        """
        self._figures_of_before()
        self.archive.open()
        left = self._spool.finished()
        self._work_off()
        self._spool.begin(max([self.archive.newest, *(number for number, _ in left)]) + 1)
        self._begun_s = time.monotonic()
        for aside in self.archive.damaged:
            log.warning("recording_set_aside", path=str(aside))

    def keep_batch(self, batch: Batch) -> tuple[Receipt, ...]:
        """Keep a batch; returns what may be acknowledged.

        Raises:
            StateError: its rows are not on disk, and nothing of it was counted.
        """
        batch = batch.without(self._is_own)
        figures, frames, used = (
            msgspec.json.decode(msgspec.json.encode(self.figures), type=RecordingCounts),
            [],
            [],
        )
        figures.received += len(batch.arrivals) + batch.shed
        figures.shed += batch.shed
        for arrival in batch.arrivals:
            receipt, content = arrival.receipt, digest(arrival.delivery)
            if receipt is not None and receipt.again and self._marks.was_used(receipt.mid, content):
                figures.duplicate += 1
                continue
            decoded = self._decode(arrival.delivery)
            kept = self._kept(decoded)
            if isinstance(kept, Reject):
                _count(figures.rejected, [kept.reason])
            else:
                figures.accepted += 1
                _count(figures.values_rejected, [reason for frame in kept for _, reason in frame.bad_values])
                frames += kept
            if receipt is not None:
                used.append((receipt.mid, content))
        if frames:
            self._spool.append(frames)
        for mid, content in used:
            self._marks.mark_used(mid, content)
        self._marks.take_new_marks()
        self.figures = figures
        if self._due():
            self.rotate()
        return batch.receipts

    def rotate(self) -> None:
        """Turn the spool into tables and begin another one; where that fails the spool is kept and tried later."""
        self._begun_s = time.monotonic()
        try:
            if self._spool.bytes:
                self._spool.begin(self._spool.number + 1)
        except StateError as error:
            self._tell_fault(error)
        self._work_off()

    def _work_off(self) -> StateError | None:
        """Turn what waits into tables; one that cannot be turned keeps back no other. Returns what went wrong.

        What waits takes no more than half of the disk's share: beyond that the oldest is given up, and counted.
        """
        failed: StateError | None = None
        for number, path in self._spool.finished():
            try:
                self._to_tables(number, path)
            except StateError as error:
                self._tell_fault(error)
                failed = error
        if failed is not None:
            self._bound_waiting()
        return failed

    def _bound_waiting(self) -> None:
        try:
            waiting = [(path, path.stat().st_size) for _, path in self._spool.finished()]
            while waiting and sum(size for _, size in waiting) > self._config.record.disk_bytes // 2:
                path, _ = waiting.pop(0)
                self.figures.rows_lost_waiting += sum(len(frame.rows) for frame in spools.read(path))
                path.unlink()
                log.error("recording_given_up", path=str(path), rows=self.figures.rows_lost_waiting)
        except (OSError, StateError):
            return  # a disk that cannot even be read takes nothing more, either

    def close(self) -> None:
        """Leave nothing in the spool.

        Raises:
            StateError: the tables cannot be written; the next recorder will.
        """
        self._spool.close()
        if (failed := self._work_off()) is not None:
            raise failed
        log.info("stopped", **msgspec.to_builtins(self.figures))

    def _retry_until_kept(self, batch: Batch) -> tuple[Receipt, ...]:
        """As `keep_batch`; a disk that fails is tried again and again, while the broker and the inbox wait."""
        while True:
            try:
                return self.keep_batch(batch)
            except StateError as error:
                self._tell_fault(error)
                if self._stop.wait(_RETRY_S):
                    return ()

    def _due(self) -> bool:
        record = self._config.record
        return (
            self._spool.bytes >= record.segment_bytes or time.monotonic() - self._begun_s >= record.segment_s
        )

    def _to_tables(self, number: int, path: Path) -> None:
        rows = self.archive.take_frames(spools.read(path), number=number)
        for at, (machine, frames, reason) in enumerate(self.archive.refused):
            kept = self._spool.set_aside(
                f"rows-{number:010d}-{at}", frames, limit_bytes=self._config.record.segment_bytes
            )
            self.figures.rows_set_aside += sum(len(frame.rows) for frame in frames)
            log.error("recording_rows_set_aside", machine=ascii(machine[:60]), reason=reason[:200], kept=kept)
        try:
            path.unlink()
        except OSError as error:
            raise StateError(path, error.strerror or "cannot be removed") from error
        before = (self.archive.rows_dropped, self.archive.days_dropped)
        self.archive.tidy(today=time.time_ns() // DAY_NS, reserved_bytes=self._config.record.segment_bytes)
        self.figures.rows += rows
        self.figures.rows_dropped += self.archive.rows_dropped - before[0]
        self.figures.days_dropped += self.archive.days_dropped - before[1]
        atomic_file.write(
            self._folder / FIGURES, msgspec.json.format(msgspec.json.encode(self.figures), indent=1)
        )
        log.info("recorded", rows=rows, bytes=self.archive.bytes, days_dropped=self.figures.days_dropped)

    def _figures_of_before(self) -> None:
        try:
            self.figures = msgspec.json.decode((self._folder / FIGURES).read_bytes(), type=RecordingCounts)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            self.figures = RecordingCounts()

    def _kept(self, decoded: Decoded) -> list[Frame] | Reject:
        """The frames of a message that are kept, or why none is."""
        if isinstance(decoded, Reject):
            return decoded
        found = (decoded,) if isinstance(decoded, Frame) else decoded.frames
        bounded = [self._bounded(frame) for frame in found]
        kept = [frame for frame in bounded if isinstance(frame, Frame)]
        return kept or next(one for one in bounded if isinstance(one, Reject))

    def _bounded(self, frame: Frame) -> Frame | Reject:
        """The frame, or why a flood of machines or channels ends here."""
        limits = self._config.limits
        known = self._channels.get(frame.machine)
        if known is None:
            if len(self._channels) >= limits.machines:
                return Reject("too_many_machines")
            known = self._channels[frame.machine] = set()
        if len(known | set(frame.channels)) > limits.channels:
            return Reject("too_many_channels")
        known.update(frame.channels)
        return frame

    def _tell_fault(self, error: StateError) -> None:
        self.figures.disk_faults += 1
        log.error("recording_not_written", path=str(error.path), reason=error.reason)


def _count(counts: dict[str, int], reasons: Iterable[RejectReason]) -> None:
    for reason, number in Counter(reasons).items():
        counts[reason] = counts.get(reason, 0) + number
