"""What a turn leaves behind, as bytes: sample blocks, buffers and mementos, and when which of them is due. No file.

Modes, and what a crash may cost in each (alarms and alerts are never at stake: their state is written when it changes):

- full: every accepted sample is written before its message is acknowledged. Nothing is lost.
- snapshot: each machine's rows are written every `snapshot_s`. Rows since then are missing from its windows.
- off: no rows are written. Every machine fills its window afresh, and one that is being learnt begins again.
"""

import struct
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np

from edge_agent.pipeline.machine import Memento
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import StepResults
from edge_agent.records import Frame
from edge_agent.signals.row_buffer import BufferState

Mode = Literal["full", "snapshot", "off"]

_LAYOUTS_LIMIT = 20_000
"""A flood of ever different sets of channels starts the journal afresh instead of filling the disk."""
_TURN_BYTES = 262_144
"""Rings written in one turn: hundreds of machines fall due at once, and a turn must stay short."""
_MARKED_TURNS = 256
"""Newest turns that are kept for their marks, see `mqtt.duplicates`, even when every buffer is newer than they are."""
_MACHINE, _BUFFER, _LAYOUT, _BESIDE = "machine/", "ring/", "layout/", "beside/"
_HEAD = struct.Struct("<II")


class Layout(msgspec.Struct, frozen=True, array_like=True):
    """What many frames have in common."""

    machine: str
    channels: tuple[str, ...]
    stamped: bool
    partial: bool
    by_exception: bool = False


class _WrittenBuffer(msgspec.Struct, array_like=True):
    turn: int
    buffer: BufferState


@dataclass(frozen=True, slots=True)
class Changes:
    """What one transaction writes.

    Attributes:
        turn: number of the turn.
        states: by name; None where a name is to be forgotten.
        block: samples of this turn. marks: of its messages.
        keep_from: blocks of earlier turns are not needed any more.
        alarm_windows: kept of alarms, by name, read only when asked for; None where they are to be forgotten.
        whole: these are all states there are, and no block is needed: everything written before goes.
        stay: names of the windows kept of alarms that do not go with it.
    """

    turn: int
    states: Mapping[str, bytes | None] = field(default_factory=dict)
    block: bytes = b""
    marks: bytes = b""
    keep_from: int | None = None
    alarm_windows: Mapping[str, bytes | None] = field(default_factory=dict)
    whole: bool = False
    stay: frozenset[str] = frozenset()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.states or self.block or self.marks or self.alarm_windows or self.whole)


@dataclass(frozen=True, slots=True)
class JournalContents:
    """What an earlier process left, decoded.

    Attributes:
        blocks: (turn, raw block), rising.
        damaged: names that could not be read.
    """

    turn: int
    mementos: Mapping[str, Memento]
    buffers: Mapping[str, tuple[int, BufferState]]
    layouts: Mapping[int, Layout]
    blocks: Sequence[tuple[int, bytes]]
    damaged: tuple[str, ...]
    beside: Mapping[str, bytes] = field(default_factory=dict)
    """Machines' next profiles on their way."""

    def frames(self) -> Iterable[Frame]:
        """The frames that are newer than their machine's buffer, in order."""
        for turn, block in self.blocks:
            for frame in decode_block(block, self.layouts):
                buffer = self.buffers.get(frame.machine)
                if buffer is None or turn > buffer[0]:
                    yield frame


class Journal:
    """Knows what has been written and what is due. Belongs to one thread."""

    def __init__(self, mode: Mode, *, snapshot_s: float, layouts_limit: int = _LAYOUTS_LIMIT) -> None:
        self._mode = mode
        self._layouts_limit = layouts_limit
        self._snapshot_s = snapshot_s
        self._turn = 0
        self._layouts: dict[tuple[str, tuple[str, ...], bool, bool, bool], int] = {}
        self._saved: dict[str, Memento] = {}
        self._unsaved: dict[
            str, tuple[int, float]
        ] = {}  # machine -> (first turn, time) after its buffer; oldest first
        self._beside: set[str] = set()  # machines whose next profile is written down

    @property
    def overgrown(self) -> bool:
        """Whether so many layouts are known that everything should be written afresh."""
        return len(self._layouts) > self._layouts_limit

    def begin(self, turn: int) -> None:
        """Number turns from the one after this."""
        self._turn = turn

    def changes_of_turn(
        self,
        step: StepResults,
        pipeline: Pipeline,
        *,
        marks: bytes,
        changed: Iterable[str] = (),
        now_s: float,
    ) -> Changes:
        """What to write after a step.

        Args:
            step: what the step brought.
            pipeline: after the step.
            marks: of the step's messages.
            changed: machines that changed outside of the step: installed or failed.
            now_s: monotonic.
        """
        self._turn += 1
        states: dict[str, bytes | None] = {}
        for name in step.gone:
            states |= {_MACHINE + name: None, _BUFFER + name: None}
            self._saved.pop(name, None)
            self._unsaved.pop(name, None)
        due = self._save_mementos(step, pipeline, changed=changed, states=states)
        block = b""
        if self._mode == "full" and step.accepted:
            block = encode_block(step.accepted, lambda frame: self._number(frame, states))
        if self._mode != "off":
            for name in step.touched:
                self._unsaved.setdefault(name, (self._turn, now_s))
        keep_from = self._save_buffers(pipeline, due=due, states=states, now_s=now_s)
        if self._mode != "off":
            written = {name.removeprefix(_BUFFER) for name in states if name.startswith(_BUFFER)}
            self._save_beside(pipeline, {*written, *changed}, states)
        return Changes(
            turn=self._turn,
            states=states,
            block=block,
            marks=marks if self._mode == "full" else b"",
            keep_from=keep_from,
        )

    def all_changes(self, pipeline: Pipeline) -> Changes:
        """All that is known, for a new or a recovered database."""
        self._turn += 1
        self._layouts.clear()
        self._unsaved.clear()
        self._saved = {name: pipeline.memento(name) for name in pipeline.statuses()}
        states = {_MACHINE + name: msgspec.msgpack.encode(memento) for name, memento in self._saved.items()}
        if self._mode != "off":
            states |= {_BUFFER + name: self._encode_buffer(pipeline, name) for name in self._saved}
            self._beside.clear()
            beside: dict[str, bytes | None] = {}
            self._save_beside(pipeline, self._saved, beside)
            states |= {name: raw for name, raw in beside.items() if raw is not None}
        return Changes(turn=self._turn, states=states, whole=True)

    def last_changes(self, pipeline: Pipeline) -> Changes:
        """The buffers that are not written yet, before a wanted end."""
        self._turn += 1
        states: dict[str, bytes | None] = {
            _BUFFER + name: self._encode_buffer(pipeline, name) for name in self._unsaved
        }
        self._save_beside(pipeline, self._unsaved, states)
        self._unsaved.clear()
        return Changes(turn=self._turn, states=states, keep_from=max(0, self._turn - _MARKED_TURNS))

    def _save_beside(self, pipeline: Pipeline, names: Iterable[str], states: dict[str, bytes | None]) -> None:
        """Write down what is on its way beside the profiles of these machines; forget what is not any more."""
        on_their_way = pipeline.relearner.names()
        states |= dict.fromkeys([_BESIDE + name for name in self._beside - on_their_way])
        self._beside &= on_their_way
        for name in on_their_way.intersection(names):
            states[_BESIDE + name] = pipeline.relearner.save(name)
            self._beside.add(name)

    def _save_mementos(
        self,
        step: StepResults,
        pipeline: Pipeline,
        *,
        changed: Iterable[str],
        states: dict[str, bytes | None],
    ) -> list[str]:
        """Write down what differs; returns the machines whose rows were rearranged: their buffer is due at once."""
        names = {score.windows.machine for score in step.scores}
        names |= {name for name in step.touched if not self._changes_by_scores_alone(name)}
        names |= set(changed)
        due = []
        for name in sorted(names):
            memento, before = pipeline.memento(name), self._saved.get(name)
            if memento == before:
                continue
            states[_MACHINE + name] = msgspec.msgpack.encode(memento)
            self._saved[name] = memento
            if before is not None and (memento.profile, memento.state) != (before.profile, before.state):
                due.append(name)
        return due

    def _changes_by_scores_alone(self, name: str) -> bool:
        """Whether a machine changes by nothing but scores."""
        saved = self._saved.get(name)
        return saved is not None and bool(saved.profile)

    def _save_buffers(
        self, pipeline: Pipeline, *, due: Iterable[str], states: dict[str, bytes | None], now_s: float
    ) -> int | None:
        """Write the buffers that are due; returns the oldest turn whose block is still needed, if that moved."""
        if self._mode == "off":
            return None
        written = 0
        for name in due:
            states[_BUFFER + name] = self._encode_buffer(pipeline, name)
            self._unsaved.pop(name, None)
            written += 1
        size = 0
        while self._unsaved and size < _TURN_BYTES:
            name, (_, since_s) = next(iter(self._unsaved.items()))
            if now_s - since_s < self._snapshot_s:
                break
            del self._unsaved[name]
            buffer = states[_BUFFER + name] = self._encode_buffer(pipeline, name)
            size += len(buffer)
            written += 1
        if not written:
            return None
        oldest = next(iter(self._unsaved.values()), (self._turn, 0.0))[0]
        return max(0, min(oldest, self._turn - _MARKED_TURNS))

    def _encode_buffer(self, pipeline: Pipeline, name: str) -> bytes:
        return msgspec.msgpack.encode(_WrittenBuffer(self._turn, pipeline.buffer_state(name)))

    def _number(self, frame: Frame, states: dict[str, bytes | None]) -> int:
        """The number of a frame's layout; a new one is written down."""
        key = (frame.machine, frame.channels, frame.stamped, frame.partial, frame.by_exception)
        number = self._layouts.get(key)
        if number is None:
            number = self._layouts[key] = len(self._layouts)
            states[f"{_LAYOUT}{number}"] = msgspec.msgpack.encode(key if frame.by_exception else key[:4])
        return number


def decode_states(states: Mapping[str, bytes], blocks: Sequence[tuple[int, bytes]]) -> JournalContents:
    """What was written down, decoded; what cannot be read is named and left out."""
    mementos: dict[str, Memento] = {}
    beside: dict[str, bytes] = {}
    buffers: dict[str, tuple[int, BufferState]] = {}
    layouts: dict[int, Layout] = {}
    damaged = []
    for name, raw in states.items():
        try:
            if name.startswith(_MACHINE):
                mementos[name.removeprefix(_MACHINE)] = msgspec.msgpack.decode(raw, type=Memento)
            elif name.startswith(_BUFFER):
                buffer = msgspec.msgpack.decode(raw, type=_WrittenBuffer)
                buffers[name.removeprefix(_BUFFER)] = (buffer.turn, buffer.buffer)
            elif name.startswith(_BESIDE):
                beside[name.removeprefix(_BESIDE)] = raw
            elif name.startswith(_LAYOUT):
                layouts[int(name.removeprefix(_LAYOUT))] = msgspec.msgpack.decode(raw, type=Layout)
        except (msgspec.MsgspecError, ValueError):
            damaged.append(name)
    turn = max([at for at, _ in blocks] + [at for at, _ in buffers.values()], default=0)
    return JournalContents(turn, mementos, buffers, layouts, blocks, tuple(damaged), beside)


def encode_block(frames: Sequence[Frame], number: Callable[[Frame], int]) -> bytes:
    """Frames as columns: layout numbers, row counts, event times, single-precision values as in the buffers."""
    numbers, counts, times, values = array("I"), array("I"), array("q"), array("f")
    for frame in frames:
        numbers.append(number(frame))
        counts.append(len(frame.rows))
        times.extend(frame.times_ns)
        if isinstance(frame.rows, np.ndarray):
            values.frombytes(frame.rows.astype(np.float32, copy=False).tobytes())
        else:
            for row in frame.rows:
                values.extend(row)
    return b"".join(
        [_HEAD.pack(len(numbers), len(times)), *(part.tobytes() for part in (numbers, counts, times, values))]
    )


def decode_block(raw: bytes, layouts: Mapping[int, Layout]) -> list[Frame]:
    """The frames of a block; those whose layout is not known, and a block that is cut short, are left out."""
    n_frames, n_rows = _HEAD.unpack_from(raw)
    at = _HEAD.size
    numbers = np.frombuffer(raw, np.uint32, n_frames, at).tolist()
    counts = np.frombuffer(raw, np.uint32, n_frames, at + 4 * n_frames).tolist()
    times = np.frombuffer(raw, np.int64, n_rows, at + 8 * n_frames).tolist()
    values = np.frombuffer(raw, np.float32, offset=at + 8 * n_frames + 8 * n_rows)
    frames, row, cell = [], 0, 0
    for number, count in zip(numbers, counts, strict=True):
        layout = layouts.get(number)
        if layout is None:
            break
        size = count * len(layout.channels)
        frames.append(
            Frame(
                machine=layout.machine,
                channels=layout.channels,
                times_ns=times[row : row + count],
                rows=values[cell : cell + size].reshape(count, len(layout.channels)),
                stamped=layout.stamped,
                partial=layout.partial,
                by_exception=layout.by_exception,
            )
        )
        row, cell = row + count, cell + size
    return frames
