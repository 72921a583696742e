"""The nouns of the simulator: what a kind of machine is, what is injected, what comes out. No physics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

Sort = Literal["analog", "state", "counter", "setpoint", "constant"]
"""What a channel is: a measured quantity, one of a few values, a total that grows, a wish, or nothing that changes."""

Cause = Literal["fault", "sensor", "benign"]
"""Who is to blame for an event: the machine, a transmitter, or nobody."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One measured quantity.

    Attributes:
        name: Snake-case name, unique within the kind.
        unit: Unit as printed on the instrument; "1" for a binary state.
        noise: Standard deviation of the sensor's white noise, in `unit`.
        step: Resolution of the transmitter in `unit`; readings are multiples of it.
        sort: What it is.
    """

    name: str
    unit: str
    noise: float
    step: float
    sort: Sort = "analog"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail.

    Attributes:
        name: Snake-case name, unique within the kind.
        channels: The guilty channels: those that move most, each against its own normal variation within the
            modes of operation.
        description: One line for a technician.
    """

    name: str
    channels: tuple[str, ...]
    description: str


@dataclass(frozen=True, slots=True)
class Streams:
    """Independent sources of chance, so that one part of a machine never shifts the draws of another."""

    machine: np.random.Generator
    process: np.random.Generator
    sensor: np.random.Generator


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything a kind's physics may look at.

    Attributes:
        mode: Operating mode of each row, int8 [R].
        severity: For every fault of the kind, its severity 0..1 at each row, float64 [R].
        dt_s: Seconds between two rows.
        streams: The sources of chance.
        run: 1 where the machine is wanted to run, 0 where it is off, [R]. Physics adds its own ramps.
        demand: How much is asked of it, 1 = nominal, about 0.8 to 1.2, [R].
        weather: Temperature around the machine in degC [R]; None lets the physics draw its own.
    """

    mode: npt.NDArray[np.int8]
    severity: Mapping[str, Floats]
    dt_s: float
    streams: Streams
    run: Floats
    demand: Floats
    weather: Floats | None = None

    @property
    def rows(self) -> int:
        """Number of rows to simulate."""
        return len(self.mode)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of machine.

    Attributes:
        name: Key in `KINDS`.
        channels: Measured quantities, in column order.
        faults: Ways to fail; fault i carries label i + 1.
        modes: Names of the operating modes; mode i is `modes[i]`.
        dwell_s: Shortest and longest stay in one mode, seconds.
        physics: Scene -> true values before the sensors, one float64 [R] per channel name, and `power_kw`,
            what the machine draws from the grid.
        cycle_s: Shortest and longest stay in each mode where the modes are the phases of a cycle and follow one
            another in order; the first is the wait for work. Empty where modes come in any order.
        step_s: Longest step that the physics can take; slower rows are simulated in several steps.
        wears: Faults that ordinary wear brings about, slightly, between two services.
        keeps_on: Whether it goes on while it is not wanted, with less to do, as what must stay cold does.
    """

    name: str
    channels: tuple[Channel, ...]
    faults: tuple[Fault, ...]
    modes: tuple[str, ...]
    dwell_s: tuple[float, float]
    physics: Callable[[Scene], Mapping[str, Floats]]
    cycle_s: tuple[tuple[float, float], ...] = ()
    step_s: float = 10.0
    wears: tuple[str, ...] = ()
    keeps_on: bool = False


Growth = Literal["linear", "exponential", "intermittent"]
"""How a fault comes: evenly, slowly at first (cracks, wear), or now and then (loose contacts)."""


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault that grows from nothing to `severity`, then stays until `end_row` (repair), if any.

    Attributes:
        fault: Name of one of the kind's faults.
        start_row: First labelled row.
        growth_rows: Rows until the full severity; 0 means at once.
        severity: Final severity, above 0 and at most 1.
        end_row: First row after the repair; None keeps the fault to the end. Heat and wound-up controllers
            take their time to recover after it, although the label is 0 again.
        growth: How it grows. An intermittent fault is 3 of 5 stretches of `growth_rows` rows as bad as it will
            be and otherwise a tenth of it; all its rows are labelled.
    """

    fault: str
    start_row: int
    growth_rows: int
    severity: float = 1.0
    end_row: int | None = None
    growth: Growth = "linear"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a machine, for better or worse.

    Attributes:
        name: A fault's name, or what it was: `short_stop`, `recalibration`, `spike`, ...
        cause: Whose matter it is.
        start_row: First row of it.
        end_row: First row after it; rows of the run, half-open.
        channels: Who shows it; empty where that is the machine as a whole.
        amount: A fault's severity; of others how much, in the unit of the channel.
    """

    name: str
    cause: Cause
    start_row: int
    end_row: int
    channels: tuple[str, ...] = ()
    amount: float = 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """One simulated recording.

    Attributes:
        kind: Key in `KINDS`.
        channels: Channel names, C of them.
        units: Their units.
        rate_hz: Rows per second.
        values: Readings, float32 [R, C]; NaN where a transmitter said nothing.
        label: 0 where nothing is injected, else 1 + index of the most severe fault, int16 [R].
        mode: Index into the kind's modes, int8 [R].
        severity: Severity of that fault, 0 where label is 0, float32 [R].
        sorts: What each channel is.
        start_ts: Time of row 0, seconds since 1970 UTC.
        running: Whether the machine was on, bool [R]; most faults show only then.
        events: All that happened, in the order of its beginning.
    """

    kind: str
    channels: tuple[str, ...]
    units: tuple[str, ...]
    rate_hz: float
    values: npt.NDArray[np.float32]
    label: npt.NDArray[np.int16]
    mode: npt.NDArray[np.int8]
    severity: npt.NDArray[np.float32]
    sorts: tuple[Sort, ...]
    start_ts: float
    running: Bools
    events: tuple[Event, ...]

    @property
    def times_s(self) -> Floats:
        """Time of each row, seconds since 1970 UTC, [R]."""
        return self.start_ts + np.arange(len(self.values)) / self.rate_hz

    def guilty(self, cause: Cause = "fault") -> Bools:
        """Which cells an event of that cause shows itself in, bool [R, C]; one without channels touches all."""
        cells = np.zeros(self.values.shape, dtype=np.bool_)
        for event in self.events:
            if event.cause == cause:
                columns = [self.channels.index(name) for name in event.channels] or slice(None)
                cells[event.start_row : event.end_row, columns] = True
        return cells

    def held(self) -> npt.NDArray[np.float32]:
        """The readings with the last one in place of a missing one, float32 [R, C]; NaN before the first."""
        row = np.arange(len(self.values))[:, None]
        said = np.maximum.accumulate(np.where(np.isnan(self.values), 0, row), axis=0)
        return np.take_along_axis(self.values, said, axis=0)
