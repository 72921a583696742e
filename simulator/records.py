"""The nouns of the simulator: what a kind of machine is, what is injected, what comes out. No physics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Channel:
    """One measured quantity.

    Attributes:
        name: Snake-case name, unique within the kind.
        unit: Unit as printed on the instrument; "1" for a binary state.
        noise: Standard deviation of the sensor's white noise, in `unit`.
        step: Resolution of the transmitter in `unit`; readings are multiples of it.
    """

    name: str
    unit: str
    noise: float
    step: float


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
    """

    mode: npt.NDArray[np.int8]
    severity: Mapping[str, Floats]
    dt_s: float
    streams: Streams

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
        physics: Scene -> true values before the sensors, one float64 [R] per channel name.
    """

    name: str
    channels: tuple[Channel, ...]
    faults: tuple[Fault, ...]
    modes: tuple[str, ...]
    dwell_s: tuple[float, float]
    physics: Callable[[Scene], Mapping[str, Floats]]


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault that grows linearly from nothing to `severity`, then stays until `end_row` (repair), if any.

    Attributes:
        fault: Name of one of the kind's faults.
        start_row: First labelled row.
        growth_rows: Rows until the full severity; 0 means at once.
        severity: Final severity, above 0 and at most 1.
        end_row: First row after the repair; None keeps the fault to the end. Heat and wound-up controllers
            take their time to recover after it, although the label is 0 again.
    """

    fault: str
    start_row: int
    growth_rows: int
    severity: float = 1.0
    end_row: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One simulated recording.

    Attributes:
        kind: Key in `KINDS`.
        channels: Channel names, C of them.
        units: Their units.
        rate_hz: Rows per second.
        values: Readings, float32 [R, C].
        label: 0 where nothing is injected, else 1 + index of the most severe fault, int16 [R].
        mode: Index into the kind's modes, int8 [R].
        severity: Severity of that fault, 0 where label is 0, float32 [R].
    """

    kind: str
    channels: tuple[str, ...]
    units: tuple[str, ...]
    rate_hz: float
    values: npt.NDArray[np.float32]
    label: npt.NDArray[np.int16]
    mode: npt.NDArray[np.int8]
    severity: npt.NDArray[np.float32]
