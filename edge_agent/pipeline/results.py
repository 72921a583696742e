"""What the pipeline tells others of a step and of its machines: frozen nouns without any behaviour."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_agent.commissioning.budget import Promise
from edge_agent.commissioning.drift import Drift
from edge_agent.commissioning.seen_once import SeenOnce
from edge_agent.commissioning.threshold_tracking import DRIFTED
from edge_agent.diagnose.fault_library import FaultLibrary
from edge_agent.pipeline.acceptance import Acceptance
from edge_agent.records import Alarm, Float32, Frame, Profile, ScoreBlock
from edge_agent.signals.channel_kinds import ChannelKind


@dataclass(frozen=True, slots=True)
class CommissionRequest:
    """A machine has given its normal rows and wants to be learnt.

    Attributes:
        rows: [R, C] in physical units, NaN where hidden.
        observed: [R, C] cells that were observed; the others are hidden or hold an older value. None: unknown.
        seams: rows before which time leaps.
        beside: the machine is learnt already, and goes on being watched meanwhile.
        known: its profile, which is to know the states that people have accepted, of which it holds the rows.
        period_ns: median step between rows, 0 where times say nothing.
        time_ns: event time of the last row.
    """

    machine: str
    channels: tuple[str, ...]
    rows: Float32
    period_ns: int
    hop_rows: int
    time_ns: int
    observed: NDArray[np.bool_] | None = None
    seams: tuple[int, ...] = ()
    beside: bool = False
    known: Profile | None = None


Stage = Literal["gathering", "learning", "comparing", "waiting", "failed"]
"""Waiting: for a person, who takes the new profile or keeps the old one."""
Why = Literal["asked", "new channels"]


@dataclass(frozen=True, slots=True)
class SuccessorStatus:
    """How far a machine's next profile is.

    Attributes:
        new: channels that the profile that watches does not have.
        rows, rows_wanted: gathered, or compared.
        paused: an alarm is open: its rows are not gathered.
        told: what the comparison said, or why nothing was learnt.
    """

    stage: Stage
    why: Why
    by: str
    new: tuple[str, ...]
    rows: int
    rows_wanted: int
    paused: bool
    told: str = ""


MachineState = Literal["commissioning", "learning", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """What the status message says of one machine.

    Attributes:
        threshold_ratio: the threshold in use relative to the one that was learnt; None while nothing is learnt.
        drift: how far its normal rows and scores have moved since it was learnt.
        learnt_ns: when it was learnt, by the time of its data; None while it is not.
        kinds: (channel, kind) of its channels that are not analog.
        notices: ids of what it does that was never learnt and is no fault.
        seen_once: stretches of the learnt time that were unlike all others.
        ready_ns: when the rows that it is to be learnt from will be here about, by the time and pace of its rows; None
            while none are gathered, and while nothing is known of their pace.
        promise: its budget of false alarms and what that is worth; None while nothing is learnt.
        unwatched: it was learnt, and is not watched; the reason says why.
        turned_away: every message of it is; the reason says why.
        by_exception: it reports changes only, so that a pause says nothing.
        successor: how far its next profile is, if one is on its way.
        previous: whether the profile before this one can be had back.
        unsettled: its open alarm is quiet and not over; reopened: how often that has come back.
    """

    state: MachineState
    rows_heard: int
    rows_wanted: int
    channels: tuple[str, ...]
    last_time_ns: int | None
    last_score: float | None
    threshold: float | None
    open_alarm: str | None
    reason: str = ""
    threshold_ratio: float | None = None
    drift: Drift = field(default_factory=Drift)
    learnt_ns: int | None = None
    kinds: tuple[tuple[str, ChannelKind], ...] = ()
    notices: tuple[str, ...] = ()
    seen_once: tuple[SeenOnce, ...] = ()
    ready_ns: int | None = None
    promise: Promise | None = None
    unwatched: bool = False
    turned_away: bool = False
    by_exception: bool = False
    successor: SuccessorStatus | None = None
    previous: bool = False
    unsettled: bool = False
    reopened: int = 0

    @property
    def drifted(self) -> bool:
        """Whether its threshold has followed it so far that it is no longer the machine that was learnt."""
        return self.threshold_ratio is not None and self.threshold_ratio > DRIFTED


@dataclass(frozen=True, slots=True)
class MachineView:
    """A machine's latest rows beside what is usual, for people to look at.

    Attributes:
        rows: [R, C] in physical units, NaN where hidden.
        low, high: [C] where 98 % of the normal rows lay, NaN of a counter; None while nothing is learnt.
        period_ns: median step between rows, 0 where times say nothing.
        faults: what people have called this machine's alarms.
        hidden: channels that the score leaves out, because their sensors are under suspicion.
        kinds: (channel, kind) of its channels that are not analog.
        modes: of operation, in words; empty where it has one.
        accepted: what is normal of it because people said so.
    """

    channels: tuple[str, ...]
    rows: Float32
    low: Float32 | None
    high: Float32 | None
    last_time_ns: int | None
    period_ns: int
    learnt_ns: int | None
    learnt_rows: int
    faults: tuple[str, ...]
    hidden: tuple[str, ...] = ()
    kinds: tuple[tuple[str, ChannelKind], ...] = ()
    modes: tuple[str, ...] = ()
    accepted: tuple[Acceptance, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """A machine's next profile was compared: it may take over where that is favourable, else a person decides."""

    machine: str
    favourable: bool
    told: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception that one message (named by its topic) or one machine brought about: a bug, contained."""

    subject: str
    error: str


@dataclass(frozen=True, slots=True)
class StepResults:
    """What one step brought to light."""

    alarms: tuple[Alarm, ...] = ()
    findings: tuple[Alarm, ...] = ()
    """What is wrong with sensors, and notices of machines; no machine counts as anomalous for it."""
    scores: tuple[ScoreBlock, ...] = ()
    commissions: tuple[CommissionRequest, ...] = ()
    relearn: tuple[CommissionRequest, ...] = ()
    """Of machines that are learnt: a next profile beside the one that watches."""
    compared: tuple[Compared, ...] = ()
    accepted: tuple[Frame, ...] = ()
    """What went into the machines' rows, in this order."""
    touched: tuple[str, ...] = ()
    """Machines that may have changed."""
    failures: tuple[Failure, ...] = ()
    turned_away: tuple[str, ...] = ()
    """Machines of which, from this step on, every message is turned away; why, their status says."""
    gone: tuple[str, ...] = ()
    """Machines that gave way to others, known again or not."""
    moved: tuple[Profile, ...] = ()
    """Profiles whose threshold has moved since they were last told of: worth keeping."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """An alarm was named.

    Attributes:
        fault: the name as it is spelt from now on.
        library: all of the machine's named alarms, to be stored.
        alarm: the revision that says so, where the alarm is open.
    """

    fault: str
    library: FaultLibrary
    alarm: Alarm | None


class Observer(Protocol):
    """Who is shown what turns bring; must not raise, nor take long."""

    def observe_step(self, step: StepResults) -> None:
        """The pipeline has made a step."""

    def observe_profile(self, profile: Profile) -> None:
        """A machine's profile is new or has changed, and is kept."""

    def observe_forgotten(self, machine: str) -> None:
        """A person wants nothing to be known of a machine any more."""
