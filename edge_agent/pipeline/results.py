"""What a step of the pipeline brings to light: frozen nouns without any behaviour."""

from dataclasses import dataclass

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
    accepted: tuple[Frame, ...] = ()
    """What went into the machines' rows, in this order."""
    touched: tuple[str, ...] = ()
    """Machines that may have changed."""
    failures: tuple[Failure, ...] = ()
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
