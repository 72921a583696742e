"""What a step of the pipeline brings to light: frozen nouns without any behaviour."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_agent.diagnose.fault_library import FaultLibrary
from edge_agent.records import Alarm, Float32, Frame, Profile, ScoreBlock


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
