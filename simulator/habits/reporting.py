"""How readings reach the gateway: each row whole, or by exception (only what changed), with losses. No payloads."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.records import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporting:
    """Which readings are said; the others are NaN.

    Attributes:
        deadband: A channel reports when it is further than that many times its noise, and than a step, from what it
            last said ("send on delta"); 0: each row is said.
        heartbeat_s: Longest silence of a channel.
        lost: Share of the readings that get lost on the way.
    """

    deadband: float = 0.0
    heartbeat_s: float = 900.0
    lost: float = 0.0

    def silence(
        self,
        values: npt.NDArray[np.float64],
        channels: Sequence[Channel],
        *,
        rate_hz: float,
        rng: np.random.Generator,
    ) -> None:
        """Put NaN in place of what is not said, [R, C]."""
        lost = rng.uniform(size=values.shape) < self.lost if self.lost > 0.0 else None
        if self.deadband > 0.0:
            beat = max(1, round(self.heartbeat_s * rate_hz))
            for column, channel in enumerate(channels):
                band = max(self.deadband * channel.noise, 0.99 * channel.step)
                values[_unsaid(values[:, column], band=band, beat=beat), column] = np.nan
        if lost is not None:
            values[lost] = np.nan


def _unsaid(reading: npt.NDArray[np.float64], *, band: float, beat: int) -> npt.NDArray[np.bool_]:
    """Rows in which a channel keeps silent."""
    silent = np.ones(len(reading), dtype=np.bool_)
    last, due = np.inf, 0
    for row, value in enumerate(reading.tolist()):
        if row >= due or not -band < value - last < band:
            silent[row] = False
            last, due = value, row + beat
    return silent
