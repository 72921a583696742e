"""One incident from first sign to final calm, as it is kept: frozen nouns, their bytes, how two become one. Pure.

What was kept by an earlier release, or twice because of a crash in between, is put together without doubling anything.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec
import numpy as np
from msgspec import Struct, structs

from edge_agent.records import Alarm, Float32

_ACTIONS_LIMIT = 60
_FIRST_ACTIONS = 10
WINDOW_CHANNELS = 12
"""Channels whose rows are kept of the worst window, the guiltiest first."""


class IncidentAction(Struct, frozen=True, omit_defaults=True):
    """What somebody, or the agent itself, did about it.

    Attributes:
        what: a command's name, or an event of the alarm's life.
        by: who; empty where it was the agent.
        fault: what somebody said that it was.
    """

    time_ns: int
    what: str
    by: str = ""
    comment: str = ""
    fault: str = ""


class IncidentWindow(Struct, frozen=True):
    """The rows of the worst window.

    Attributes:
        time_ns: of its last row.
        score: what it scored.
        channels: C names, the guiltiest first.
        rows: [T, C] single precision, row by row.
    """

    time_ns: int
    score: float
    channels: tuple[str, ...]
    rows: bytes

    def values(self) -> Float32:
        """[T, C] in physical units, NaN where nothing was observed."""
        n_channels = max(1, len(self.channels))
        whole = len(self.rows) // (4 * n_channels) * 4 * n_channels
        return np.frombuffer(self.rows[:whole], np.float32).reshape(-1, n_channels)


class IncidentCurve(Struct, frozen=True):
    """The highest score of each stretch, from just before it began until it ended; NaN where there was none."""

    start_s: float
    stretch_s: float
    scores: bytes

    def values(self) -> Float32:
        """The scores."""
        return np.frombuffer(self.scores[: len(self.scores) // 4 * 4], np.float32)


class Incident(Struct, frozen=True, tag="incident", omit_defaults=True):
    """One alarm's whole life.

    Attributes:
        alarm: as it was last said.
        worst: as it was said when it was at its worst: what its channels did.
        summary: the sentence that was said then.
        ended: why it closed; empty while it is open.
        fault: what a person named it.
        family: equal for machines of the same channels.
        partial: only that it was, not how: from an earlier release, or from a history that was lost.
    """

    alarm: Alarm
    worst: Alarm
    summary: str
    actions: tuple[IncidentAction, ...] = ()
    ended: str = ""
    fault: str = ""
    family: str = ""
    window: IncidentWindow | None = None
    curve: IncidentCurve | None = None
    partial: bool = False

    @property
    def id(self) -> str:
        """The alarm's."""
        return self.alarm.id

    @property
    def closed_ns(self) -> int:
        """When the machine was normal again."""
        return self.alarm.closed_ns or self.alarm.time_ns

    @property
    def peak_score(self) -> float:
        """At its worst, whether or not that was said."""
        return max(self.alarm.peak_score, self.worst.peak_score)


class Amendment(Struct, frozen=True, tag="amendment", omit_defaults=True):
    """Something done about an incident that is in the history already."""

    id: str
    action: IncidentAction


class Forgotten(Struct, frozen=True, tag="forgotten"):
    """A person wants nothing to be known of a machine: all that was added of it until now goes."""

    machine: str

    @property
    def id(self) -> str:
        """Of no incident."""
        return ""


Entry = Incident | Amendment | Forgotten
"""What is added to the history."""


def encode(entry: Entry) -> bytes:
    """An entry as bytes."""
    return msgspec.msgpack.encode(entry)


def decode(raw: bytes) -> Entry | None:
    """What `encode` wrote, by this release or one that adds fields; None where it is damaged."""
    try:
        return msgspec.msgpack.decode(raw, type=Entry)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def family_of(channels: Iterable[str]) -> str:
    """Equal for machines of the same channels, in whatever order they are told."""
    return hashlib.sha256("\0".join(sorted(channels)).encode()).hexdigest()[:12]


def with_actions(
    known: Iterable[IncidentAction], more: Iterable[IncidentAction]
) -> tuple[IncidentAction, ...]:
    """All of them, each once, by time and then as they came; of very many the first and the last."""
    every = sorted(dict.fromkeys((*known, *more)), key=lambda action: action.time_ns)
    if len(every) > _ACTIONS_LIMIT:
        every = [*every[:_FIRST_ACTIONS], *every[_FIRST_ACTIONS - _ACTIONS_LIMIT :]]
    return tuple(every)


def amended(incident: Incident, action: IncidentAction) -> Incident:
    """The incident with what was done about it."""
    return structs.replace(
        incident,
        actions=with_actions(incident.actions, (action,)),
        fault=action.fault or incident.fault,
    )


def joined(known: Incident, new: Incident) -> Incident:
    """An incident that closed, opened again and closed, or that is written a second time, as one."""
    if new.partial:
        return known
    actions = with_actions(known.actions, new.actions)
    fault = new.fault or known.fault
    if known.partial:
        return structs.replace(new, actions=actions, fault=fault)
    last = new if new.closed_ns >= known.closed_ns else known
    worse = new if new.worst.score >= known.worst.score else known
    windows = [window for window in (known.window, new.window) if window is not None]
    onset_ns = min(known.alarm.onset_ns, new.alarm.onset_ns)
    peak = max(known.peak_score, new.peak_score)
    return Incident(
        alarm=replace(last.alarm, onset_ns=onset_ns, peak_score=peak),
        worst=worse.worst,
        summary=worse.summary,
        actions=actions,
        ended=last.ended,
        fault=fault,
        family=new.family or known.family,
        window=max(windows, key=lambda window: window.score, default=None),
        curve=new.curve or known.curve,
    )


def signature(alarm: Alarm) -> dict[str, tuple[str, float]]:
    """By what an incident is known again: of each channel that it names the symptom and its share."""
    return {channel.name: (channel.symptom, channel.contribution) for channel in alarm.channels}


def likeness(one: Mapping[str, tuple[str, float]], other: Mapping[str, tuple[str, float]]) -> float:
    """How alike two signatures are, 0 to 1: what they share of what either names (weighted Jaccard).

    A channel that shows another symptom counts a third of what it would.
    """
    shared = union = 0.0
    for name in one.keys() | other.keys():
        symptom, share = one.get(name, ("", 0.0))
        other_symptom, other_share = other.get(name, ("", 0.0))
        shared += min(share, other_share) * (1.0 if symptom == other_symptom else 1 / 3)
        union += max(share, other_share)
    return shared / union if union > 0 else 0.0
