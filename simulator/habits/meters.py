"""Totals that grow: energy, pieces, hours of work; totals of a day; pulses that wrap around."""

from dataclasses import dataclass

import numpy as np

from simulator.dynamics import DAY_S
from simulator.habits.surroundings import Surroundings
from simulator.plan import HOUR_S
from simulator.records import Channel, Floats


def energy_kwh(around: Surroundings) -> Floats:
    """Energy drawn since row 0, kWh [R]."""
    return np.cumsum(np.maximum(around.true["power_kw"], 0.0)) * around.clock.dt_s / HOUR_S


def since_midnight(total: Floats, around: Surroundings) -> Floats:
    """How much of a total [R] that starts at 0 came since the last midnight."""
    day = np.floor(around.clock.seconds() / DAY_S)
    first = np.searchsorted(day, day)  # the first row of each row's day
    before = np.concatenate(([0.0], total))[first]
    return total - before


@dataclass(frozen=True, slots=True)
class EnergyMeter:
    """A meter in kWh that was there before the recording, or exchanged for a new one.

    Attributes:
        start: What it shows at the beginning.
        step: Its resolution, kWh.
        exchanged_after_s: Then it is replaced by one that starts at 0; None: never.
    """

    start: float = 184_300.0
    step: float = 0.1
    exchanged_after_s: float | None = None

    @property
    def channel(self) -> Channel:
        """Energy."""
        return Channel("energy", "kWh", 0.0, self.step, "counter")

    def read(self, around: Surroundings, rng: np.random.Generator) -> Floats:
        """Energy so far."""
        del rng
        shown = self.start + energy_kwh(around)
        if self.exchanged_after_s is not None:
            row = around.clock.warm_rows + round(self.exchanged_after_s / around.clock.dt_s)
            shown[row:] -= shown[row] if row < len(shown) else 0.0
        return np.floor(shown / self.step) * self.step


@dataclass(frozen=True, slots=True)
class DailyEnergy:
    """Energy of the day, kWh, from 0 at each midnight."""

    step: float = 0.1

    @property
    def channel(self) -> Channel:
        """Energy of the day."""
        return Channel("energy_today", "kWh", 0.0, self.step, "counter")

    def read(self, around: Surroundings, rng: np.random.Generator) -> Floats:
        """Energy since midnight."""
        del rng
        return np.floor(since_midnight(energy_kwh(around), around) / self.step) * self.step


@dataclass(frozen=True, slots=True)
class PulseCounter:
    """Pulses of a meter in a register of few bits, which begins again at 0.

    Attributes:
        start: What it shows at the beginning.
        per_kwh: Pulses for a kWh.
        bits: Size of the register.
    """

    start: int = 51_234
    per_kwh: float = 100.0
    bits: int = 16

    @property
    def channel(self) -> Channel:
        """Pulses."""
        return Channel("pulses", "1", 0.0, 1.0, "counter")

    def read(self, around: Surroundings, rng: np.random.Generator) -> Floats:
        """Pulses so far, modulo the register."""
        del rng
        return np.floor(self.start + self.per_kwh * energy_kwh(around)) % float(2**self.bits)


@dataclass(frozen=True, slots=True)
class PieceCounter:
    """Pieces made: one a cycle, else as many as the machine runs and is asked for.

    Attributes:
        start: What it shows at the beginning.
        per_hour: Pieces of an hour of nominal work where the machine has no cycles.
        daily: Whether it begins again at each midnight.
    """

    start: int = 51_234
    per_hour: float = 900.0
    daily: bool = False

    @property
    def channel(self) -> Channel:
        """Pieces."""
        return Channel("pieces_today" if self.daily else "pieces", "1", 0.0, 1.0, "counter")

    def read(self, around: Surroundings, rng: np.random.Generator) -> Floats:
        """Pieces so far."""
        del rng
        if around.has_cycles:
            back = np.diff(around.mode, prepend=around.mode[:1]) < 0
            made = np.cumsum(back.astype(np.float64))
        else:
            rate = around.run * around.demand * self.per_hour / HOUR_S
            made = np.floor(np.cumsum(rate) * around.clock.dt_s)
        return since_midnight(made, around) if self.daily else self.start + made


@dataclass(frozen=True, slots=True)
class HoursMeter:
    """Hours of work, with one decimal."""

    start: float = 12_480.0

    @property
    def channel(self) -> Channel:
        """Hours of work."""
        return Channel("operating_hours", "h", 0.0, 0.1, "counter")

    def read(self, around: Surroundings, rng: np.random.Generator) -> Floats:
        """Hours so far."""
        del rng
        worked = np.cumsum(around.run) * around.clock.dt_s / HOUR_S
        return np.asarray(np.floor((self.start + worked) * 10.0) / 10.0, dtype=np.float64)
