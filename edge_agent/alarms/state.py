"""How an alarm stands with the people it calls: frozen nouns and their bytes. What changes them is in `lifecycle`.

The words are those of OPC UA Part 9 and ISA-18.2: an alarm is active or not, acknowledged or not, shelved by an
operator for a time, suppressed by a maintenance window, latched until somebody has acknowledged it. To these comes
"held": kept back because too many alarms open at once.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from edge_agent.records import Alarm, Severity

MEMORY_VERSION = 1

Event = Literal[
    "opened",
    "updated",
    "acknowledged",
    "labelled",
    "shelved",
    "unshelved",
    "suppressed",
    "unsuppressed",
    "released",
    "latched",
    "superseded",
    "recommissioned",
    "handed_over",
    "restarted",
    "closed",
]
"""Why a revision was made."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody has seen the alarm."""

    by: str
    time_ns: int
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nobody is called: why, since when and until when.

    Attributes:
        until_ns: None where no time is set: a one-shot shelf ends with the alarm, a suppression when it is lifted.
    """

    by: str
    since_ns: int
    until_ns: int | None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One alarm and how it stands.

    Attributes:
        alarm: as it was last said; its revision counts what was said, here and by the pipeline.
        active: the machine still behaves unusually.
        told: readers have been called, so they are told of all that follows.
        held: kept back by flood control.
        ended_ns: time of the sensor data at which a latched alarm's machine was calm again.
        shelf, suppression: as they were last said.
    """

    alarm: Alarm
    active: bool = True
    told: bool = False
    held: bool = False
    ended_ns: int | None = None
    acknowledgement: Acknowledgement | None = None
    shelf: Quiet | None = None
    suppression: Quiet | None = None

    @property
    def masked(self) -> bool:
        """Shelved or suppressed."""
        return self.shelf is not None or self.suppression is not None

    @property
    def hidden(self) -> bool:
        """Nobody is called for it."""
        return self.held or self.masked


@dataclass(frozen=True, slots=True)
class Telling:
    """A revision to publish.

    Attributes:
        live: call the readers; otherwise only the retained message of the alarm says it.
        first: the first live revision of this alarm, which must not be merged with a later one.
    """

    record: Record
    event: Event
    live: bool
    first: bool = False

    @property
    def alarm(self) -> Alarm:
        """The alarm with its revision."""
        return self.record.alarm


@dataclass(frozen=True, slots=True)
class Past:
    """An alarm that has closed: what an operator may still acknowledge or name.

    Attributes:
        finding: what was wrong with which sensor; empty where it was an alarm of the machine.
    """

    id: str
    machine: str
    severity: Severity
    onset_ns: int
    closed_ns: int
    told: bool
    acknowledgement: Acknowledgement | None = None
    finding: str = ""


@dataclass(frozen=True, slots=True)
class Calls:
    """Whether people are called for a machine, and how its alarm stands."""

    record: Record | None = None
    shelf: Quiet | None = None
    suppression: Quiet | None = None


@dataclass(frozen=True, slots=True)
class Raised:
    """When readers were called, and for which machine."""

    time_ns: int
    machine: str


@dataclass(slots=True)
class Memory:
    """All that outlives a restart. `records` holds at most one alarm a machine."""

    version: int = MEMORY_VERSION
    records: dict[str, Record] = field(default_factory=dict)
    shelves: dict[str, Quiet] = field(default_factory=dict)
    suppressions: dict[str, Quiet] = field(default_factory=dict)
    raised: list[Raised] = field(default_factory=list)
    held_total: int = 0
    history: list[Past] = field(default_factory=list)


def encode(memory: Memory) -> bytes:
    """The memory as bytes; equal memories are equal bytes."""
    return msgspec.msgpack.encode(memory, order="deterministic")


def decode(raw: bytes) -> Memory | None:
    """The memory of `encode`; None where the bytes are damaged or of another version."""
    try:
        memory = msgspec.msgpack.decode(raw, type=Memory)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return memory if memory.version == MEMORY_VERSION else None


def closed(record: Record) -> Record:
    """The record at its end."""
    alarm = record.alarm
    at_ns = alarm.closed_ns or record.ended_ns or alarm.time_ns
    return replace(record, active=False, alarm=replace(alarm, state="closed", closed_ns=at_ns))
