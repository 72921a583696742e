"""What people have said is normal of a machine: who said so and when, kept with what was learnt of it. Pure.

An acceptance needs no learning. It lies in the profile as an array of its own, so that whoever does not know of it
reads the profile as before, and what was accepted goes where the profile goes: over restarts, and to another agent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_agent.diagnose.fault_naming import UNKNOWN, FaultNaming
from edge_agent.records import Float32, Profile

_ENTRIES = "accepted_entries"
STATE = "state never learnt"
"""What an accepted alarm is called: the machine did what was never learnt, and may."""
_FEWEST_WINDOWS = 2
"""Lengths of a window that must be known of a state: a single one says too little of what is usual in it."""
LIMIT = 100
"""Of one machine: more is no list of exceptions, but a machine to be learnt again."""


class Acceptance(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is normal because somebody said so.

    Attributes:
        alarm: id of the notice or alarm that told of it.
        fault: what that called it.
        time_ns: when it was accepted, by the gateway's clock.
        channel, value: of a value of a state, and of a state that changes more often; of an alarm, the guiltiest.
        levels: of a standstill, where each channel stood, by name.
    """

    alarm: str
    fault: str
    by: str
    time_ns: int
    channel: str = ""
    value: float | None = None
    levels: dict[str, float] = {}


def read(memory: Mapping[str, NDArray[Any]]) -> tuple[Acceptance, ...]:
    """What is accepted by a profile's memory, oldest first; nothing where it cannot be read."""
    if _ENTRIES not in memory:
        return ()
    try:
        return msgspec.json.decode(memory[_ENTRIES].tobytes(), type=tuple[Acceptance, ...])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ()


def arrays(entries: Sequence[Acceptance]) -> dict[str, NDArray[Any]]:
    """The entries as part of a profile's memory."""
    return {_ENTRIES: np.frombuffer(msgspec.json.encode(entries), np.uint8).copy()}


NotAcceptedReason = Literal[
    "unknown_machine",
    "unknown_alarm",
    "not_acceptable",
    "too_many",
    "not_ready",
    "looks_like_a_fault",
    "busy",
]
"""Why something was not accepted, or not taken back; bounded, so that it can be counted."""


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """What was not accepted, or not taken back, and why in words; without a reason it was so already."""

    reason: NotAcceptedReason | None
    detail: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """Something was accepted, or taken back.

    Attributes:
        machine: its name.
        profile: of it, to be kept.
        detail: what follows from it, for people.
    """

    machine: str
    profile: Profile
    detail: str


def rows_of(
    naming: FaultNaming, alarm: str, profile: Profile, *, room: int | None
) -> list[Float32] | NotAccepted:
    """The rows of a machine's alarm in pieces [R, C], as many as there is room for, or why they are not accepted."""
    kept = naming.kept.get(alarm)
    if kept is None or kept.channels != profile.channels:
        return NotAccepted(
            "not_acceptable",
            "only what a notice tells of, or one of the machine's latest alarms, can be accepted; "
            "for another state that is normal learn the machine afresh while it is in it",
        )
    if room is None:
        return NotAccepted(
            "not_acceptable", "an older agent learnt the machine and kept no rows of it: learn it afresh"
        )
    try:
        looks_like, pieces = naming.resembled(alarm), kept.pieces()
    except OSError as error:
        return NotAccepted("not_acceptable", f"its rows cannot be read: {error.strerror or error}")
    if looks_like != UNKNOWN:
        return NotAccepted(
            "looks_like_a_fault", f"it looks like {looks_like}, which somebody named: that is no normal state"
        )
    rows = sum(len(piece) for piece in pieces)
    fewest = _FEWEST_WINDOWS * int(np.max(profile.memory["lengths"]))
    if rows < fewest:
        return NotAccepted("not_ready", f"{rows} rows of it are known, {fewest} are needed: wait a little")
    if room < fewest:
        return NotAccepted(
            "too_many", "what is accepted is a quarter of what was learnt: learn the machine afresh"
        )
    return _cut(pieces, room)


def _cut(pieces: list[Float32], room: int) -> list[Float32]:
    """The first and the last rows, where there are more than there is room for: how it came and how it went."""
    surplus = sum(len(piece) for piece in pieces) - room
    if surplus <= 0:
        return pieces
    rows = np.concatenate(pieces)
    if len(pieces) > 1:  # windows that do not overlap: whole ones, spread over the alarm
        chosen = np.linspace(0, len(pieces) - 1, max(1, room // len(pieces[0]))).astype(int)
        return [pieces[at] for at in np.unique(chosen)]
    return [rows[: room // 2], rows[len(rows) - room // 2 :]]
