"""What the page shows at one moment: frozen nouns, made by the pipeline's thread and read by those of requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from edge_agent.alarms.state import AlarmState, ClosedAlarm, MachineCalls
from edge_agent.detect.pictures.regions import Box
from edge_agent.metrics.snapshot import Health, Snapshot
from edge_agent.model.bundle import Bundle
from edge_agent.pipeline.programs.cycle_view import CycleView
from edge_agent.pipeline.results import MachineStatus, MachineView
from edge_agent.records import Float32
from edge_agent.signals.machine_rules import MachineFacts
from edge_agent.store.history.incident import Entry


@dataclass(frozen=True, slots=True)
class Curve:
    """Highest score of each stretch of machine time; `times_s` are the beginnings, in seconds since 1970."""

    times_s: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the model made of a machine's latest window.

    Attributes:
        channels: C names.
        expected: [C] the model's reconstruction of the window's last row, in physical units.
        shares: [C] each channel's share of the score.
        time_ns: of the last row.
    """

    channels: tuple[str, ...]
    expected: Float32
    shares: Float32
    time_ns: int


@dataclass(frozen=True, slots=True)
class SuspectView:
    """An unusual picture that can be answered; `jpeg` is only for who has the token."""

    id: str
    time_ns: int
    part: str
    score: float
    kind: str
    probability: float
    good: bool
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class CameraView:
    """A camera and its newest picture.

    Attributes:
        gathered, wanted: pictures that it is learnt from.
        score: None where the picture was not judged; `why` says why.
        map: 32 x 32 bytes by rows, over `crop`; empty where it was not judged.
        width, height: of the whole picture.
        file: as the camera sent it: only for who has the token. kind: jpeg, png or webp.
        parts: that count, of which `loud` are suspects and `alarm_at` are an alarm. None: the camera sees a scene.
        suspects: the latest first. kinds: what people called some.
    """

    name: str
    learnt: bool
    gathered: int
    wanted: int
    time_ns: int
    score: float | None
    why: str
    map: bytes
    boxes: tuple[Box, ...]
    width: int
    height: int
    crop: tuple[float, float, float, float]
    file: bytes
    kind: str
    parts: int | None = None
    loud: int = 0
    alarm_at: int = 0
    suspects: tuple[SuspectView, ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Closeup:
    """One machine that somebody looks at.

    Attributes:
        machine_view: its latest rows; None where the machine is not known any more.
        near, far: its scores of the last minutes and of the last day.
        past: its closed alarms, the latest first, each with the name that people gave it.
        kin: other machines of its type, where the configuration says one.
        cameras: that look at it.
        cycle: its latest whole one, where it runs programs.
    """

    machine_view: MachineView | None
    near: Curve
    far: Curve
    latest: Expectation | None
    past: tuple[tuple[ClosedAlarm, str], ...] = ()
    kin: tuple[str, ...] = ()
    cameras: tuple[CameraView, ...] = ()
    cycle: CycleView | None = None


@dataclass(frozen=True, slots=True)
class View:
    """The agent at one moment.

    Attributes:
        time_ns: wall clock.
        made_s: monotonic clock.
        silent_s: of each machine that has gone silent, for how long.
        spent: alarms of the last week that count against a machine's budget, of those that had some.
        trends: a short curve of each machine.
        facts: what people say of machines.
        records: alarms that are there. past: the latest that closed, each with its name.
        waiting: what the history does not have yet.
        commands: what may be ordered from here; empty where there is no token.
        zone: in which times are told.
    """

    time_ns: int
    made_s: float
    agent: str
    version: str
    provider: str
    health: Health
    snapshot: Snapshot
    bundle: Bundle
    machines: Mapping[str, MachineStatus]
    calls: Mapping[str, MachineCalls]
    silent_s: Mapping[str, float]
    trends: Mapping[str, Curve]
    records: tuple[AlarmState, ...]
    past: tuple[tuple[ClosedAlarm, str], ...]
    past_count: int
    commands: tuple[str, ...]
    closeups: Mapping[str, Closeup] = field(default_factory=dict)
    waiting: tuple[Entry, ...] = ()
    zone: tzinfo = UTC
    spent: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, MachineFacts] = field(default_factory=dict)
