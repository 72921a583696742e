"""How a machine's own transmitters read: their noise, its tails, their resolution, how true they are. No defects."""

from dataclasses import dataclass

import numpy as np

from simulator.records import Channel, Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Transmitters:
    """Ranges that each channel's transmitter is drawn from, once a machine.

    Attributes:
        noise: Smallest and largest noise relative to the kind's.
        tails: Degrees of freedom of Student's t for the noise, above 2, or 0 for a Gaussian.
        coarse: Resolutions relative to the kind's, one of which each channel has.
        gain: Standard deviation of the gain's error.
        refresh_rows: Rows from one new reading to the next, one of which each channel has; between them the
            last one is repeated, as where a slow instrument stands behind a quick gateway.
    """

    noise: tuple[float, float] = (0.5, 2.0)
    tails: float = 0.0
    coarse: tuple[float, ...] = (1.0, 1.0, 1.0, 2.0, 5.0)
    gain: float = 0.005
    refresh_rows: tuple[int, ...] = (1,)

    def read(
        self,
        true: Floats,
        channel: Channel,
        *,
        machine: np.random.Generator,
        sensor: np.random.Generator,
    ) -> Floats:
        """What the transmitter of a channel reports of `true` [R].

        Args:
            true: True values.
            channel: Whose.
            machine: Source of the transmitter's own constants.
            sensor: Source of its noise.
        """
        low, high = np.log(self.noise)
        factor = float(np.exp(machine.uniform(low, high)))
        coarse = float(machine.choice(self.coarse))
        gain = 1.0 + self.gain * float(machine.standard_normal())
        refresh = int(machine.choice(self.refresh_rows))
        if channel.sort != "analog":
            return np.round(true / channel.step) * channel.step
        noise = channel.noise * factor * self._draw(sensor, len(true))
        step = channel.step * coarse
        shown = np.round((true * gain + noise) / step) * step
        return shown[np.arange(len(shown)) // refresh * refresh]

    def _draw(self, rng: np.random.Generator, count: int) -> Floats:
        """Noise of unit standard deviation."""
        if self.tails <= 0.0:
            return rng.standard_normal(count)
        unit = float(np.sqrt((self.tails - 2.0) / self.tails))
        return unit * rng.standard_t(self.tails, count)


def plain(true: Floats, channel: Channel, *, sensor: np.random.Generator) -> Floats:
    """What the kind's nominal transmitter reports of `true` [R]: white noise, then rounding."""
    noisy = true + channel.noise * sensor.standard_normal(len(true))
    return np.round(noisy / channel.step) * channel.step
