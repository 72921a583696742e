"""The state of an alarm towards the people it calls: frozen nouns and their bytes. What changes them is `lifecycle`.

The words are those of OPC UA Part 9 and ISA-18.2: an alarm is active or not, acknowledged or not, shelved by an
operator for a time, suppressed by a maintenance window, latched until somebody has acknowledged it. To these comes
"held": kept back because too many alarms open at once.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import Struct, field

from edge_agent.records import Alarm, Severity

KEPT_VERSION = 1

Event = Literal[
    "opened",
    "updated",
    "unsettled",
    "returned",
    "reopened",
    "recalled",
    "acknowledged",
    "labelled",
    "accepted",
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


class Masking(Struct, frozen=True):
    """Nobody is called for a machine: who said so, since when and until when.

    Attributes:
        until_ns: None where no time is set: a one-shot shelving ends with the alarm, a suppression when it is lifted.
    """

    by: str
    since_ns: int
    until_ns: int | None
    comment: str = ""


class Shelving(Masking, frozen=True):
    """An operator wants no calls."""


class Suppression(Masking, frozen=True):
    """Maintenance wants no calls."""


class AlarmState(Struct, frozen=True):
    """One alarm and how it stands; `name` is a field's name on the disk.

    Attributes:
        alarm: as it was last said; its revision counts what was said, here and by the pipeline.
        active: the machine still behaves unusually.
        told: readers have been called, so they are told of all that follows.
        held: kept back by flood control.
        ended_ns: time of the sensor data at which a latched alarm's machine was normal again.
        shelving, suppression: as they were last said.
        called_ns: when readers were first called since it opened; None: not yet, or by an older agent.
        recalled: they were called a second time.
    """

    alarm: Alarm
    active: bool = True
    told: bool = False
    held: bool = False
    ended_ns: int | None = None
    acknowledgement: Acknowledgement | None = None
    shelving: Shelving | None = field(default=None, name="shelf")
    suppression: Suppression | None = None
    called_ns: int | None = None
    recalled: bool = False

    @property
    def masked(self) -> bool:
        """Shelved or suppressed."""
        return self.shelving is not None or self.suppression is not None

    @property
    def hidden(self) -> bool:
        """Nobody is called for it."""
        return self.held or self.masked


@dataclass(frozen=True, slots=True)
class Notification:
    """A revision to publish.

    Attributes:
        live: call the readers; otherwise only the retained message of the alarm says it.
        first: the first live revision of this alarm, which must not be merged with a later one.
    """

    record: AlarmState
    event: Event
    live: bool
    first: bool = False

    @property
    def alarm(self) -> Alarm:
        """The alarm with its revision."""
        return self.record.alarm


@dataclass(frozen=True, slots=True)
class ClosedAlarm:
    """An alarm that has closed: what an operator may still acknowledge or name.

    Attributes:
        finding: what was wrong with which sensor; empty where it was an alarm of the machine.
        revision: the last one; an alarm that is reopened counts on. 0: an older agent wrote this down.
    """

    id: str
    machine: str
    severity: Severity
    onset_ns: int
    closed_ns: int
    told: bool
    acknowledgement: Acknowledgement | None = None
    finding: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class MachineCalls:
    """Whether people are called for a machine, and how its alarm stands."""

    record: AlarmState | None = None
    shelving: Shelving | None = None
    suppression: Suppression | None = None


@dataclass(frozen=True, slots=True)
class PastCall:
    """When readers were called, and for which machine."""

    time_ns: int
    machine: str


class KeptAlarms(Struct):
    """All of the alarms that outlives a restart; `name` is a field's name on the disk.

    Attributes:
        records: by the alarm's subject, a machine or one finding about a sensor of it.
        calls: the latest, for flood control.
    """

    version: int = KEPT_VERSION
    records: dict[str, AlarmState] = field(default_factory=dict)
    shelvings: dict[str, Shelving] = field(default_factory=dict, name="shelves")
    suppressions: dict[str, Suppression] = field(default_factory=dict)
    calls: list[PastCall] = field(default_factory=list, name="raised")
    held_total: int = 0
    history: list[ClosedAlarm] = field(default_factory=list)


def encode(kept: KeptAlarms) -> bytes:
    """What is kept as bytes; equal alarms are equal bytes."""
    return msgspec.msgpack.encode(kept, order="deterministic")


def decode(raw: bytes) -> KeptAlarms | None:
    """What `encode` wrote; None where the bytes are damaged or of another version."""
    try:
        kept = msgspec.msgpack.decode(raw, type=KeptAlarms)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return kept if kept.version == KEPT_VERSION else None
