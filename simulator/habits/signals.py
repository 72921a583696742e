"""Channels that are no measurements: state codes, alarm words, doors, set points, recipe numbers, constants."""

from dataclasses import dataclass

import numpy as np

from simulator.dynamics import DAY_S, lag
from simulator.habits.surroundings import Surroundings
from simulator.plan import HOUR_S
from simulator.records import Channel, Floats


@dataclass(frozen=True, slots=True)
class StateCode:
    """What the controller says it is doing.

    Attributes:
        off: Code while it is off.
        starting: Code in the first `starting_s` of running.
        running: Code of each mode; modes beyond the last share it.
        starting_s: How long it says that it is starting.
    """

    off: int = 0
    starting: int = 2
    running: tuple[int, ...] = (3,)
    starting_s: float = 60.0

    @property
    def channel(self) -> Channel:
        """State."""
        return Channel("state", "1", 0.0, 1.0, "state")

    def read(self, around: Surroundings, rng: np.random.Generator) -> Floats:
        """Code of each row."""
        del rng
        code = np.asarray(self.running, dtype=np.float64)[np.minimum(around.mode, len(self.running) - 1)]
        row = np.arange(len(code))
        began = np.maximum.accumulate(np.where(around.run, 0, row + 1))
        fresh = (began > 0) & ((row - began) * around.clock.dt_s < self.starting_s)
        return np.where(around.run, np.where(fresh, float(self.starting), code), float(self.off))


@dataclass(frozen=True, slots=True)
class AlarmWord:
    """Bits that the controller raises: one while it stands still, others as reminders that mean nothing.

    Attributes:
        stop_bit: Bit of standing still, or None.
        reminders: Bits that come now and then.
        per_day: How often one of them comes.
        length_s: Shortest and longest time that it stays.
    """

    stop_bit: int | None = 0
    reminders: tuple[int, ...] = ()
    per_day: float = 0.5
    length_s: tuple[float, float] = (120.0, 3600.0)

    @property
    def channel(self) -> Channel:
        """Alarm word."""
        return Channel("alarm_word", "1", 0.0, 1.0, "state")

    def read(self, around: Surroundings, rng: np.random.Generator) -> Floats:
        """The word of each row."""
        clock = around.clock
        word = np.zeros(clock.rows, dtype=np.int64)
        if self.stop_bit is not None:
            word |= np.where(around.run, 0, 1 << self.stop_bit)
        for bit in self.reminders:
            for _ in range(int(rng.poisson(self.per_day * clock.rows * clock.dt_s / DAY_S))):
                start = int(rng.integers(clock.rows))
                word[start : start + int(rng.uniform(*self.length_s) / clock.dt_s) + 1] |= 1 << bit
        return word.astype(np.float64)


@dataclass(frozen=True, slots=True)
class Door:
    """A guard door: opened some times a day, and always while the machine is stopped shortly.

    Attributes:
        per_day: How often somebody opens it beside.
        length_s: Shortest and longest time that it stays open.
        at_stops: Whether people open it within each standstill of less than an hour.
    """

    per_day: float = 3.0
    length_s: tuple[float, float] = (30.0, 240.0)
    at_stops: bool = True

    @property
    def channel(self) -> Channel:
        """Door."""
        return Channel("door", "1", 0.0, 1.0, "state")

    def read(self, around: Surroundings, rng: np.random.Generator) -> Floats:
        """1 while it is open."""
        clock = around.clock
        is_open = np.zeros(clock.rows)
        for _ in range(int(rng.poisson(self.per_day * clock.rows * clock.dt_s / DAY_S))):
            start = int(rng.integers(clock.rows))
            is_open[start : start + int(np.ceil(rng.uniform(*self.length_s) / clock.dt_s))] = 1.0
        if self.at_stops:
            row = np.arange(clock.rows)
            last_run = np.maximum.accumulate(np.where(around.run, row, -1))
            still_s = (row - last_run) * clock.dt_s
            is_open[(still_s > 0.0) & (still_s < HOUR_S) & (last_run >= 0)] = 1.0
        return is_open


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """Something beside the machine that goes on and off on its own: a lubricator, a heater against frost, a valve.

    Attributes:
        name: Its channel.
        period_s: Time from one start to the next, in the mean.
        on_share: Share of it that it is on.
        always: Whether it goes on while the machine is off.
    """

    name: str = "lubricator"
    period_s: float = 1200.0
    on_share: float = 0.1
    always: bool = False

    @property
    def channel(self) -> Channel:
        """On or off."""
        return Channel(self.name, "1", 0.0, 1.0, "state")

    def read(self, around: Surroundings, rng: np.random.Generator) -> Floats:
        """1 while it is on."""
        clock = around.clock
        count = int(clock.rows * clock.dt_s / (0.8 * self.period_s)) + 2
        starts = np.cumsum(self.period_s * rng.uniform(0.8, 1.2, count)) - self.period_s * rng.uniform(
            0.8, 1.8
        )
        time = np.arange(clock.rows) * clock.dt_s
        since = time - starts[np.maximum(np.searchsorted(starts, time, side="right") - 1, 0)]
        on = (since >= 0.0) & (since < self.on_share * self.period_s)
        return np.where(on & (around.run | self.always), 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class SetPoint:
    """What operators ask for, as they typed it.

    Attributes:
        nominal: The value at a demand of 1.
        unit: Its unit.
        step: What people round to.
    """

    nominal: float = 100.0
    unit: str = "%"
    step: float = 0.5

    @property
    def channel(self) -> Channel:
        """Set point."""
        return Channel("target", self.unit, 0.0, self.step, "setpoint")

    def read(self, around: Surroundings, rng: np.random.Generator) -> Floats:
        """The wish at each row."""
        del rng
        return self.nominal * around.demand


@dataclass(frozen=True, slots=True)
class Recipe:
    """Number of the product that is made: one for each mode, of a machine with cycles one for each set point."""

    numbers: tuple[int, ...] = (4711, 4712, 4720, 4733)

    @property
    def channel(self) -> Channel:
        """Recipe."""
        return Channel("recipe", "1", 0.0, 1.0, "state")

    def read(self, around: Surroundings, rng: np.random.Generator) -> Floats:
        """Its number at each row."""
        del rng
        made = around.product if around.has_cycles else around.mode
        return np.asarray(self.numbers, dtype=np.float64)[made % len(self.numbers)]


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that somebody publishes although it never changes."""

    name: str = "limit"
    value: float = 80.0
    unit: str = "1"

    @property
    def channel(self) -> Channel:
        """A constant."""
        return Channel(self.name, self.unit, 0.0, 0.1, "constant")

    def read(self, around: Surroundings, rng: np.random.Generator) -> Floats:
        """The same at each row."""
        del rng
        return np.full(around.clock.rows, self.value)


@dataclass(frozen=True, slots=True)
class Thermometer:
    """A thermometer in the hall."""

    tau_s: float = 300.0

    @property
    def channel(self) -> Channel:
        """Temperature of the hall."""
        return Channel("hall_temperature", "degC", 0.05, 0.1)

    def read(self, around: Surroundings, rng: np.random.Generator) -> Floats:
        """What it shows."""
        return lag(around.weather, tau_s=self.tau_s, dt_s=around.clock.dt_s) + 0.05 * rng.standard_normal(
            around.clock.rows
        )
