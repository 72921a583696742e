"""The agent's state at one moment, as metrics and health pages show it; frozen nouns without any behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edge_agent.records import Ledger


@dataclass(frozen=True, slots=True)
class AlarmSeries:
    """What is told of a machine's present alarm.

    Attributes:
        shelved: nobody is called for it, by an operator's word or for maintenance.
        channels: (name, share of the score, 0 to 1) of those that carry it, the first ones most.
    """

    fault: str
    severity: str
    acknowledged: bool
    shelved: bool
    channels: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class MachineSeries:
    """What is told of one machine."""

    state: str
    rows: int
    score: float | None
    threshold: float | None
    alarm_open: bool
    threshold_ratio: float | None = None
    findings_open: int = 0
    notices_open: int = 0
    data_s: float | None = None
    input_drift: float | None = None
    score_drift: float | None = None
    scored_share: float | None = None
    learnt_s: float | None = None
    budget_per_week: float | None = None
    budget_expected: float | None = None
    budget_spent: float | None = None
    unwatched: bool = False
    turned_away: bool = False
    by_exception: bool = False
    unsettled: bool = False
    alarm: AlarmSeries | None = None


@dataclass(frozen=True, slots=True)
class ConnectionSeries:
    """What is told of one MQTT client."""

    connected: bool
    connects: int
    replaced: int
    hung_up: int = 0


@dataclass(frozen=True, slots=True)
class OutboxSeries:
    """What is told of the outbox; made = delivered + merged + dropped + waiting, in alert messages."""

    made: int = 0
    delivered: int = 0
    merged: int = 0
    dropped: int = 0
    waiting: int = 0
    all_dropped: int = 0
    messages: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class StateSeries:
    """What is told of the state on disk."""

    degraded: bool = False
    commits: int = 0
    failures: int = 0
    set_aside: int = 0
    bytes: int = 0
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class HistorySeries:
    """What is told of the history on disk.

    Attributes:
        waiting: incidents that it does not have yet. dropped: given up because it could not be written for too long.
        crowded_out: incidents that went because there was no more room.
    """

    degraded: bool = False
    waiting: int = 0
    dropped: int = 0
    crowded_out: int = 0
    written: int = 0
    failures: int = 0
    set_aside: int = 0
    bytes: int = 0
    rows_passed_over: int = 0


@dataclass(frozen=True, slots=True)
class AlarmManagerSeries:
    """What is told of alarms and commands.

    Attributes:
        commands: (command, result) -> how many; bounded by the known commands and results.
        states: how many of the present alarms are in each state.
        held: alarms that flood control has kept back.
    """

    commands: Mapping[tuple[str, str], int] = field(default_factory=dict)
    states: Mapping[str, int] = field(default_factory=dict)
    held: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class ShareSeries:
    """What is told of a group that shares machines."""

    foreign: int = 0
    active: int = 0
    members: int = 0
    handed: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class NotifySeries:
    """What is told of the messages of one `[[notify]]`; made = confirmed + given_up + waiting."""

    made: int = 0
    confirmed: int = 0
    given_up: int = 0
    waiting: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the agent at one moment."""

    ledger: Ledger = field(default_factory=Ledger)
    queued: int = 0
    wait_s: float = 0.0
    heard_share: float = 1.0
    machines: Mapping[str, MachineSeries] = field(default_factory=dict)
    alarms_opened: int = 0
    alarm_manager: AlarmManagerSeries = field(default_factory=AlarmManagerSeries)
    alerts_sent: int = 0
    alerts_acknowledged: int = 0
    alerts: OutboxSeries = field(default_factory=OutboxSeries)
    internal_errors: int = 0
    gave_way: int = 0
    state: StateSeries = field(default_factory=StateSeries)
    connections: Mapping[str, ConnectionSeries] = field(default_factory=dict)
    build: tuple[str, str, str, str] = ("", "", "", "")
    reloads: Mapping[str, int] = field(default_factory=dict)
    sparkplug: Mapping[str, int] = field(default_factory=dict)
    bundle_expires_s: float | None = None
    waveforms: Mapping[tuple[str, str], float] = field(default_factory=dict)
    share: ShareSeries | None = None
    cycles: Mapping[str, int] = field(default_factory=dict)
    history: HistorySeries = field(default_factory=HistorySeries)
    notify: Mapping[str, NotifySeries] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the agent lives and whether it can do its work, with what is amiss."""

    alive: bool = False
    amiss: tuple[str, ...] = ("starting",)


def frozen(ledger: Ledger) -> Ledger:
    """A copy that does not change while it is read."""
    return replace(
        ledger,
        rejected=dict(ledger.rejected),
        values_rejected=dict(ledger.values_rejected),
        windows_skipped=dict(ledger.windows_skipped),
    )
