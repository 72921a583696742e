"""What the pipeline is told, and what a step of it brings to light: frozen nouns without any behaviour."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_agent.commissioning.settings import BudgetSettings
from edge_agent.detect.trigger import TriggerSettings
from edge_agent.diagnose.fault_library import Casebook
from edge_agent.diagnose.fault_naming import NamingSettings
from edge_agent.pipeline.condition import AlarmSettings
from edge_agent.records import Alarm, Float32, Frame, Profile, ScoreBlock
from edge_agent.sensors.monitor import QualitySettings
from edge_agent.signals.channel_rules import ChannelRule
from edge_agent.signals.settings import WindowSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """What the pipeline needs to know; the defaults are the product's.

    Attributes:
        commission_rows: N, calm rows that a new machine is learnt from.
        machines_limit, channels_limit: bounds against floods of topics and of channel names.
        seed: of everything random in learning.
        channel_rules: what people know of channels before anything is learnt.
    """

    commission_rows: int = 3600
    machines_limit: int = 1000
    channels_limit: int = 256
    seed: int = 0
    decide: TriggerSettings = field(default_factory=TriggerSettings)
    alarm: AlarmSettings = field(default_factory=AlarmSettings)
    naming: NamingSettings = field(default_factory=NamingSettings)
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    quality: QualitySettings = field(default_factory=QualitySettings)
    window: WindowSettings = field(default_factory=WindowSettings)
    channel_rules: tuple[ChannelRule, ...] = ()


@dataclass(frozen=True, slots=True)
class CommissionRequest:
    """A machine has given its calm rows and wants to be learnt.

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
class Step:
    """What one step brought to light."""

    alarms: tuple[Alarm, ...] = ()
    findings: tuple[Alarm, ...] = ()
    """What is wrong with sensors; no machine counts as anomalous for it."""
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
        casebook: all of the machine's named alarms, to be stored.
        alarm: the revision that says so, where the alarm is open.
    """

    fault: str
    casebook: Casebook
    alarm: Alarm | None
