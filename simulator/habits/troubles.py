"""What befalls transmitters and lines: stuck, drifting, spiking, silent, recalibrated. The machine itself is well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from simulator.dynamics import DAY_S
from simulator.records import Cause, Channel, Event, Floats

What = Literal["stuck", "drift", "spike", "noise", "dropout", "outage", "recalibration"]

_CAUSES: Mapping[What, Cause] = MappingProxyType(
    {
        "stuck": "sensor",
        "drift": "sensor",
        "spike": "sensor",
        "noise": "sensor",
        "dropout": "sensor",
        "outage": "benign",
        "recalibration": "benign",
    }
)
SENTINELS = (-127.0, 0.0, 850.0, 9999.0, 32_767.0, -40.0)
"""What broken readings read, in any unit: open thermocouples, empty registers, limits of an integer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One of them.

    Attributes:
        what: `stuck`: repeats its reading at the start; `drift`: grows by `amount`; `spike`: reads `amount` itself;
            `noise`: rough by `amount`; `dropout`: says nothing; `outage`: no channel does; `recalibration`: from now
            on it reads `amount` more.
        channel: Whose; "" for an outage.
        start_row: First row.
        end_row: First row after it; None: to the end.
        amount: In the unit of the channel; a spike's is the reading.
    """

    what: What
    channel: str
    start_row: int
    end_row: int | None = None
    amount: float = 0.0

    def event(self, rows: int) -> Event:
        """How it is recorded with `rows` rows."""
        channels = () if self.what == "outage" else (self.channel,)
        end = rows if self.end_row is None else min(self.end_row, rows)
        return Event(self.what, _CAUSES[self.what], self.start_row, end, channels, self.amount)

    def apply(self, reading: Floats, *, step: float, rng: np.random.Generator) -> None:
        """Change one channel's readings [R] in place."""
        part = reading[self.start_row : self.end_row]
        if len(part) == 0:
            return
        if self.what == "stuck":
            part[:] = part[0]
        elif self.what == "spike":
            part[:] = self.amount
        elif self.what in ("dropout", "outage"):
            part[:] = np.nan
        else:
            shape = {
                "drift": np.linspace(0.0, 1.0, len(part)),
                "recalibration": np.ones(len(part)),
                "noise": rng.standard_normal(len(part)),
            }[self.what]
            part[:] = np.round((part + self.amount * shape) / step) * step


def befall(
    values: npt.NDArray[np.float64],
    channels: Sequence[Channel],
    troubles: Sequence[Trouble],
    *,
    rng: np.random.Generator,
) -> tuple[Event, ...]:
    """Apply troubles to readings [R, C] in place; returns what is to be recorded."""
    columns = {channel.name: number for number, channel in enumerate(channels)}
    for trouble in troubles:
        named = range(len(channels)) if trouble.what == "outage" else (columns[trouble.channel],)
        for column in named:
            trouble.apply(values[:, column], step=channels[column].step, rng=rng)
    return tuple(trouble.event(len(values)) for trouble in troubles)


@dataclass(frozen=True, slots=True, kw_only=True)
class TroubleRates:
    """How often troubles come, in a week, in the mean.

    Attributes:
        per_week: Of each sort.
    """

    per_week: Mapping[What, float]

    def draw(
        self,
        readings: npt.NDArray[np.float64],
        channels: Sequence[Channel],
        *,
        rate_hz: float,
        rng: np.random.Generator,
    ) -> tuple[Trouble, ...]:
        """Troubles of a run with readings [R, C]; how large they are depends on what was read when they begin."""
        rows = len(readings)
        analog = [number for number, channel in enumerate(channels) if channel.sort == "analog"]
        drawn = []
        for what, per_week in self.per_week.items():
            for _ in range(int(rng.poisson(per_week * rows / rate_hz / (7.0 * DAY_S)))):
                start, column = int(rng.integers(rows)), int(rng.choice(analog))
                length, size, sign = rng.uniform(0.0, 1.0), rng.uniform(0.02, 0.06), rng.choice((-1.0, 1.0))
                channel = channels[column]
                scale = abs(float(readings[start, column])) + 10.0 * channel.noise + channel.step
                low_s, high_s = _LENGTHS_S[what]
                length_s = low_s * (high_s / low_s) ** length
                end = None if what == "recalibration" else start + max(1, round(length_s * rate_hz))
                amount = float(rng.choice(SENTINELS)) if what == "spike" else float(sign * size * scale)
                name = "" if what == "outage" else channel.name
                drawn.append(Trouble(what=what, channel=name, start_row=start, end_row=end, amount=amount))
        return tuple(drawn)


_LENGTHS_S: Mapping[What, tuple[float, float]] = MappingProxyType(
    {
        "stuck": (1800.0, 2.0 * DAY_S),
        "drift": (0.5 * DAY_S, 4.0 * DAY_S),
        "spike": (0.01, 0.02),
        "noise": (3600.0, DAY_S),
        "dropout": (60.0, 7200.0),
        "outage": (30.0, 3600.0),
        "recalibration": (1.0, 1.0),
    }
)
