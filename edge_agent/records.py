"""The frozen nouns that pass between rooms, from a delivery's bytes to an alarm.

Each is checked once, where it is made; inside the house nothing is checked again. Times are integers of
nanoseconds since 1970 UTC (`_ns`). Axes: B windows, C channels, T rows, D embedding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

RejectReason = Literal[
    "no_source",
    "bad_topic",
    "too_large",
    "not_utf8",
    "not_json",
    "not_a_number",
    "malformed",
    "unsupported",
    "wrong_type",
    "not_finite",
    "no_values",
    "bad_timestamp",
    "future_timestamp",
    "wrong_rate",
    "unknown_channel",
    "unknown_machine",
    "before_birth",
    "late",
    "duplicate",
    "bad_quality",
    "retained",
    "surplus",
    "too_many_machines",
    "too_many_channels",
    "internal_error",
]
"""Why a message, or one value in it, was turned away. Bounded: it labels a metric."""

Outcome = Literal["accepted", "duplicate", "rejected", "late", "shed"]
"""What became of a message; received = the sum of these five."""

Taken = Literal["accepted", "duplicate", "late", "surplus"]
"""What became of a frame at a machine's rows."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as the broker delivered it, with the wall clock at arrival.

    Attributes:
        retain: whether it is one that the broker kept, of another time than its arrival.
    """

    topic: str
    payload: bytes
    received_ns: int
    retain: bool = False


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message that is no sensor data: a command, a peer's announcement, or what a command line listens to."""

    topic: str
    payload: bytes
    retain: bool


Subject = Literal["scene", "part"]


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a machine's camera, as it goes beside the row of its gauges.

    Attributes:
        pixels: [S, S, 3], RGB, cropped and brought to one size.
        width, height: of the whole picture, turned as it is to be seen.
        file: as it came, a JPEG, PNG or WebP. kind: which.
        part: what was before the camera, where the payload says that.
        subject: the same scene in every picture, or another part in each.
        crop: what of the whole picture `pixels` shows: x, y, width, height as shares of it.
        counted: [S, S] pixels that count; None: all.
        every_ns: pictures that follow faster are not looked at.
        suspects: share of good parts that may be called suspect.
    """

    camera: str
    pixels: NDArray[np.uint8]
    width: int
    height: int
    file: bytes
    kind: str
    part: str = ""
    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    counted: NDArray[np.bool_] | None = None
    every_ns: int = 0
    subject: Subject = "scene"
    suspects: float = 0.01


@dataclass(frozen=True, slots=True)
class Frame:
    """Samples of one machine: R rows of C channels; NaN where a row lacks a channel.

    Attributes:
        machine: name of the machine, one topic level.
        channels: C names.
        times_ns: R event times; the arrival time where the payload had none.
        rows: R sequences of C floats, finite or NaN.
        stamped: whether the event times came with the payload.
        partial: whether the topic carries one channel of several, so that a row is gathered from many messages.
        bad_values: (channel, reason) of each value that was turned away while the rest was kept.
        received_ns: wall clock at its arrival; 0 where that is not known, or says nothing.
        picture: of which the rows are the gauges; it is not kept.
        by_exception: whether its source says only what has changed: what a row lacks, and a pause, stand.
    """

    machine: str
    channels: tuple[str, ...]
    times_ns: Sequence[int]
    rows: Sequence[Sequence[float]] | Float32
    stamped: bool = True
    partial: bool = False
    bad_values: tuple[tuple[str, RejectReason], ...] = ()
    received_ns: int = field(default=0, compare=False)
    picture: Picture | None = field(default=None, compare=False, repr=False)
    by_exception: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Reject:
    """A message that was turned away whole; `ahead_ns`: for its time, which is so far ahead of its arrival."""

    reason: RejectReason
    detail: str = ""
    ahead_ns: int | None = None


@dataclass(frozen=True, slots=True)
class FrameSet:
    """Frames of several machines out of one message; at least one."""

    frames: tuple[Frame, ...]


Decoded = Frame | FrameSet | Reject
"""What a decoder makes of a message."""

StaleCause = Literal["ndeath", "ddeath", "new_session", "disconnected"]


@dataclass(frozen=True, slots=True)
class Stale:
    """All values of a machine have ended; what comes next is not their continuation."""

    machine: str
    time_ns: int
    cause: StaleCause


@dataclass(frozen=True, slots=True)
class SourceEvents:
    """What a source that keeps a state of its own made of one message, or of time passing.

    Attributes:
        events: in this order.
        outcome: what became of the message; None where there was none.
    """

    events: tuple[Frame | Stale, ...] = ()
    outcome: Literal["accepted", "late"] | Reject | None = None


@dataclass(frozen=True, slots=True)
class WindowBlock:
    """B windows of one machine, in physical units, NaN where nothing was observed.

    Attributes:
        values: [B, C, T]; the last row of a window is its "now".
        end_rows: [B] index of each window's last row since the machine was first heard.
        times_ns: [B] event time of each window's last row.
        hidden: channels whose sensor is under suspicion: the score leaves them out.
        shown: [B, C, T] the values as people and the network see them, with the rate of each counter; None: as long
            as nobody has worked it out.
        kinds: [C] codes of what the channels are, see `signals.channel_kinds`; None: all are scored as they are.
    """

    machine: str
    values: Float32
    end_rows: NDArray[np.int64]
    times_ns: NDArray[np.int64]
    hidden: tuple[int, ...] = ()
    shown: Float32 | None = None
    kinds: NDArray[np.uint8] | None = None


def shown(block: WindowBlock) -> Float32:
    """Windows as people and the network see them, [B, C, T]."""
    return block.values if block.shown is None else block.shown


@dataclass(frozen=True, slots=True)
class ScoreBlock:
    """What B windows of one machine scored; higher is worse.

    Attributes:
        value: [B] how near an alarm; above `THRESHOLD` the machine counts as anomalous.
        recent: [B] the same of the newest rows only.
        contributions: [B, C] each channel's share of the score.
        expected: [B, C] the model's reconstruction of each window's last row, in physical units; NaN where the
            network was not asked.
        classes: [B, K] probability of each of `labels`; K is 0 where the model names no faults.
        labels: K names, the first being "normal".
        parts: [B, P] each with a threshold of its own, of which `value` is the largest; None: it is the only one.
        mode: [B] number of the operating mode that each window's newest row is in, -1 in transit; None: there is one.
    """

    windows: WindowBlock
    channels: tuple[str, ...]
    value: Float32
    recent: Float32
    contributions: Float32
    expected: Float32
    classes: Float32
    labels: tuple[str, ...] = ()
    parts: Float32 | None = None
    mode: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class ChannelEvidence:
    """One channel's part in an alarm, in the channel's own unit.

    Attributes:
        contribution: share of the score, 0 to 1.
        observed: latest value; None where nothing was observed.
        normal_low, normal_high: where 98 % of the normal rows lay.
        deviation: distance of the latest value from the normal centre, in robust standard deviations.
        symptom: one word of `attribution.SYMPTOMS`.
        detail: where the value alone is usual: which relation broke or which rhythm changed, to be read after the name.
    """

    name: str
    contribution: float
    observed: float | None
    normal_low: float
    normal_high: float
    deviation: float
    symptom: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ScoreTrend:
    """Where an alarm's score goes, in times of the threshold.

    Attributes:
        level: of late.
        before, before_ns: what it was, and when: an hour ago, or when the alarm began where that is not so long ago.
        per_hour: by what it is multiplied in an hour; None where that is not certain, or about 1.
    """

    level: float
    before: float | None = None
    before_ns: int | None = None
    per_hour: float | None = None


THRESHOLD = 1.0
"""A score says how near an alarm a window is, so that machines can be compared; each has its own limits behind it."""

Kind = Literal["machine", "sensor", "state"]
"""What is unusual: a machine's behaviour, one of its sensors, or a state of the machine that was never learnt."""
State = Literal["open", "closed"]
Severity = Literal["notice", "warning", "major", "critical"]
"""The gravest last; a notice asks to be confirmed, not to be acted on."""


@dataclass(frozen=True, slots=True)
class PictureBox:
    """A rectangle as shares of what of the picture counts; `score` of its worst place, 1 is the threshold."""

    x: float
    y: float
    width: float
    height: float
    score: float


@dataclass(frozen=True, slots=True)
class PictureEvidence:
    """Where a picture is unusual.

    Attributes:
        time_ns: of the picture. width, height: in pixels, of the whole of it.
        boxes: at most 5, the gravest first.
        map: 32 x 32 bytes by rows, over what of the picture counts; 255 is four times the threshold or more.
        suspects, parts: so many of the last parts were suspects; 0 of 0 where the camera sees a scene.
    """

    camera: str
    time_ns: int
    width: int
    height: int
    boxes: tuple[PictureBox, ...]
    map: bytes
    suspects: int = 0
    parts: int = 0


@dataclass(frozen=True, slots=True)
class Alarm:
    """One revision of an alarm. (id, revision) is unique; consumers drop pairs already seen.

    Attributes:
        score, peak_score: how near an alarm, now and at its worst.
        threshold: the score from which on it is one; the same on every machine.
        hidden: channels that the score leaves out, because their sensors are under suspicion.
        mode: of operation that the newest row is in, in words; "" where the machine has one, or is in transit.
        trend: where the score goes; None in alarms of older agents, of sensors and states, and in closed ones.
        fault_by: who has named the fault; "" where its name is a guess.
        unsettled: it is quiet just now and not over; while it is, the machine is not normal.
        reopened: how often it has come back after it was unsettled or over.
        news: channels that this revision names and no earlier one did, where it has come back.
        picture: where a picture is unusual; its `kind` is "sensor", so that older agents can read it, too.
    """

    id: str
    revision: int
    machine: str
    state: State
    severity: Severity
    onset_ns: int
    time_ns: int
    score: float
    peak_score: float
    threshold: float
    fault: str
    fault_probability: float
    channels: tuple[ChannelEvidence, ...]
    model: str
    closed_ns: int | None = None
    kind: Kind = "machine"
    hidden: tuple[str, ...] = ()
    mode: str = ""
    fault_by: str = ""
    trend: ScoreTrend | None = None
    unsettled: bool = False
    reopened: int = 0
    news: tuple[str, ...] = ()
    picture: PictureEvidence | UnsetType = UNSET

    @property
    def pictured(self) -> PictureEvidence | None:
        """Where a picture is unusual; None in alarms of all else, which say nothing of it on disk, either."""
        return self.picture if isinstance(self.picture, PictureEvidence) else None

    @property
    def told_kind(self) -> str:
        """What it is of, as people and subscribers are told."""
        return self.kind if self.pictured is None else "picture"

    @property
    def subject(self) -> str:
        """What has at most one alarm at a time: the machine, or one finding about its sensors or states."""
        return self.machine if self.kind == "machine" else self.id


@dataclass(slots=True)
class Ledger:
    """Conservation of messages: received = accepted + duplicate + rejected + late + shed."""

    received: int = 0
    accepted: int = 0
    duplicate: int = 0
    late: int = 0
    shed: int = 0
    rejected: dict[RejectReason, int] = field(default_factory=dict)
    values_rejected: dict[RejectReason, int] = field(default_factory=dict)
    windows_scored: int = 0
    windows_skipped: dict[str, int] = field(default_factory=dict)

    def balance(self) -> int:
        """Messages unaccounted for; anything but 0 is a bug."""
        explained = self.accepted + self.duplicate + self.late + self.shed + sum(self.rejected.values())
        return self.received - explained


@dataclass(frozen=True, slots=True)
class Profile:
    """What was learnt of one machine's normal behaviour: plain arrays and where they came from.

    Attributes:
        channels: C names in the order of every array's channel axis.
        memory: name -> array, all that `detect.ensemble` reads; includes "threshold", "location", "scale".
        rows: how many normal rows it was learnt from.
        period_ns: median step between rows.
        hop_rows: rows between two scored windows.
        encoder: digest of the bundle whose encoder it was learnt with.
    """

    machine: str
    channels: tuple[str, ...]
    memory: Mapping[str, NDArray[np.generic]]
    rows: int
    period_ns: int
    hop_rows: int
    encoder: str
    learnt_ns: int

    @property
    def threshold(self) -> float:
        """What the fused detectors come to at the threshold: the unit in which this machine's score is measured."""
        return float(np.ravel(self.memory["threshold"])[0])
