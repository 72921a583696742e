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

from edge_agent.records import Profile

_ENTRIES = "accepted_entries"
LIMIT = 100
"""Of one machine: more is no list of exceptions, but a machine to be learnt again."""


class Acceptance(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is normal because somebody said so.

    Attributes:
        alarm: id of the notice or alarm that told of it.
        fault: what that called it.
        time_ns: when it was accepted, by the gateway's clock.
        channel, value: of a value of a state, and of a state that changes more often.
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


NotAcceptedReason = Literal["unknown_machine", "unknown_alarm", "not_acceptable", "too_many"]
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
