"""What a stretch of fast samples says in a few slow numbers that people know: loudness, peaks, bands, bearing defects.

Pure functions of samples that know no machine and no payload; the gateway and the trainer call the same ones. A damaged
bearing rings each time a roller passes the damage, so besides the spectrum there is the spectrum of the envelope, read
where the bearing's geometry says that rollers pass.

Axes: N frames, S samples of a frame, H bins of a spectrum, K features.
"""

import math
import re
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt, Interval
from numpy.typing import NDArray

from edge_agent.signals.features import Float32

N_BANDS = 8
_LOWEST_BAND_SHARE = 0.01  # of the Nyquist frequency; below lie leakage and drift
_SILENCE = 1e-12
_HARMONICS = 3
"""Of a passing frequency; the fundamental alone may hide beside the shaft's."""
_SLIP = 0.02
"""Rollers slip: a passing frequency is met within this share."""
_FLOOR_FACTOR = 1.5
"""The floor around a line is read from so much below to so much above it."""
_FEATURE = re.compile(
    r"^.+\.(?:rms|peak|crest|kurtosis|band_\d_dB|envelope_(?:BPFO|BPFI|BSF|FTF)(?:_\d+Hz)?)$"
)
_DEFECT = re.compile(r"^(?P<channel>.+)\.envelope_(?P<part>BPFO|BPFI|BSF|FTF)(?:_(?P<hertz>\d+)Hz)?$")


@dataclass(frozen=True, slots=True)
class Bearing:
    """A rolling bearing whose inner race turns with the shaft; lengths in any one unit. `[source.waveform.bearing]`.

    Attributes:
        rollers: how many. roller_diameter, pitch_diameter: of one roller, of the circle of their centres.
        contact_deg: angle of contact.
    """

    rollers: Annotated[int, Interval(ge=3, le=200)]
    roller_diameter: Annotated[float, Gt(0)]
    pitch_diameter: Annotated[float, Gt(0)]
    contact_deg: Annotated[float, Interval(ge=0, lt=90)] = 0.0

    def __post_init__(self) -> None:
        """Refuse rollers that do not fit.

        Raises:
            ValueError: they are as large as the circle of their centres.
        """
        if self.roller_diameter >= self.pitch_diameter:
            raise ValueError("roller_diameter is not below pitch_diameter")

    def orders(self) -> dict[str, float]:
        """Defect frequencies in turns of the shaft: outer race, inner race, roller (spin) and cage.

        Randall and Antoni, Mech. Syst. Signal Process. 25, 2011, equations 1 to 4.
        """
        ratio = self.roller_diameter / self.pitch_diameter * math.cos(math.radians(self.contact_deg))
        return {
            "BPFO": self.rollers / 2 * (1 - ratio),
            "BPFI": self.rollers / 2 * (1 + ratio),
            "BSF": self.pitch_diameter / (2 * self.roller_diameter) * (1 - ratio**2),
            "FTF": (1 - ratio) / 2,
        }


def feature_names(channel: str, *, bearing: Bearing | None, turning_hz: float | None) -> tuple[str, ...]:
    """K names in the order of `features`; a defect's carries its frequency where the shaft's speed is fixed."""
    plain = [f"{channel}.{name}" for name in ("rms", "peak", "crest", "kurtosis")]
    bands = [f"{channel}.band_{number}_dB" for number in range(1, N_BANDS + 1)]
    orders = {} if bearing is None else bearing.orders()
    defects = [
        f"{channel}.envelope_{part}" + ("" if turning_hz is None else f"_{order * turning_hz:.0f}Hz")
        for part, order in orders.items()
    ]
    return (*plain, *bands, *defects)


def features(
    frames: NDArray[np.floating], *, rate_hz: float, bearing: Bearing | None = None, turning_hz: float = 0.0
) -> Float32:
    """Of each frame [N, S]: RMS, peak, crest factor, kurtosis, power per band, and how far each defect stands out.

    Args:
        frames: samples of one channel in its own unit, finite, at least 64 of a frame.
        rate_hz: samples per second.
        bearing: the shaft's bearing, where it is known.
        turning_hz: turns of the shaft per second; only read where there is a bearing.

    Returns:
        [N, K]: the first three in the channel's unit, kurtosis (3 for noise), `N_BANDS` log-spaced bands in dB, and for
        each defect frequency the amplitude of the envelope there over the floor beside it (1: no line at all).
    """
    wide = frames.astype(np.float64)
    centred = wide - wide.mean(axis=1, keepdims=True)
    square = np.mean(centred**2, axis=1)
    rms = np.sqrt(square)
    peak = np.abs(centred).max(axis=1)
    kurtosis = np.mean(centred**4, axis=1) / np.maximum(square, _SILENCE) ** 2
    hertz: NDArray[np.float64] = np.arange(frames.shape[1] // 2 + 1) * (rate_hz / frames.shape[1])
    taper = np.hanning(frames.shape[1])
    power = np.abs(np.fft.rfft(centred * taper, axis=1)) ** 2 / np.sum(taper**2)
    columns = [rms, peak, peak / np.maximum(rms, _SILENCE), kurtosis, *_bands(power, hertz, rate_hz).T]
    if bearing is not None:
        lines = _envelope_spectrum(centred, power, taper)
        columns += [_prominence(lines, hertz, order * turning_hz) for order in bearing.orders().values()]
    return np.stack(columns, axis=1).astype(np.float32)


def _bands(power: NDArray[np.float64], hertz: NDArray[np.float64], rate_hz: float) -> NDArray[np.float64]:
    """Mean power of each of `N_BANDS` log-spaced bands in dB, [N, bands]; one without a bin takes the nearest."""
    edges = np.geomspace(_LOWEST_BAND_SHARE, 1.0, N_BANDS + 1) * rate_hz / 2
    starts = np.searchsorted(hertz, edges[:-1]).clip(1, len(hertz) - 1)
    ends = np.maximum(np.searchsorted(hertz, edges[1:]), starts + 1)
    means = [power[:, low:high].mean(axis=1) for low, high in zip(starts, ends, strict=True)]
    decibel: NDArray[np.float64] = 10 * np.log10(np.stack(means, axis=1) + _SILENCE)
    return decibel


def _envelope_spectrum(
    centred: NDArray[np.float64], power: NDArray[np.float64], taper: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Amplitude spectrum [N, H] of the squared envelope of frames whose smoothed spectrum was flattened.

    Flattening keeps the loudest resonance from hiding the one that the damage strikes.
    """
    n_samples = centred.shape[1]
    width = max(3, power.shape[1] // 32)
    padded = np.pad(power, ((0, 0), (width // 2, width - 1 - width // 2)), mode="edge")
    running = np.cumsum(np.pad(padded, ((0, 0), (1, 0))), axis=1)
    smooth = np.maximum((running[:, width:] - running[:, :-width]) / width, 0.0)
    flat = np.fft.rfft(centred, axis=1) / np.sqrt(smooth + _SILENCE)
    flat[:, 0] = 0.0
    analytic = np.zeros((len(centred), n_samples), np.complex128)
    analytic[:, : flat.shape[1]] = 2.0 * flat
    envelope = np.abs(np.fft.ifft(analytic, axis=1)) ** 2
    amplitude: NDArray[np.float64] = np.abs(
        np.fft.rfft((envelope - envelope.mean(axis=1, keepdims=True)) * taper, axis=1)
    )
    return amplitude


def _prominence(
    lines: NDArray[np.float64], hertz: NDArray[np.float64], wanted_hz: float
) -> NDArray[np.float64]:
    """How far the lines at a frequency and its harmonics stand above the floor beside them, [N]; 1 for none.

    The mean over the harmonics that lie below the Nyquist frequency; a bin's neighbours share a line, so the highest of
    those within the slip counts, and the floor is the median highest of as many bins elsewhere.
    """
    step = hertz[1]
    found = []
    for harmonic in range(1, _HARMONICS + 1):
        centre = harmonic * wanted_hz
        half = max(1, round(_SLIP * centre / step))
        at = round(centre / step)
        low, high = (
            max(1, round(at / _FLOOR_FACTOR) - half),
            min(len(hertz), round(at * _FLOOR_FACTOR) + half + 1),
        )
        if at + half >= len(hertz) or high - low < 3 * (2 * half + 1):
            continue
        line = lines[:, at - half : at + half + 1] if at > half else lines[:, 1 : at + half + 1]
        whole = (high - low) // line.shape[1] * line.shape[1]
        floor = lines[:, low : low + whole].reshape(len(lines), -1, line.shape[1]).max(axis=2)
        found.append(line.max(axis=1) / np.maximum(np.median(floor, axis=1), _SILENCE))
    return np.mean(found, axis=0) if found else np.ones(len(lines))


def is_feature(channel: str) -> bool:
    """Whether a channel is called like one of `feature_names`."""
    return _FEATURE.match(channel) is not None


def is_defect(channel: str) -> bool:
    """Whether a channel is the envelope at a bearing's defect frequency."""
    return _DEFECT.match(channel) is not None


def phrase(channel: str, *, observed: float, usual: float) -> str | None:
    """What a defect's feature says in words, `envelope at BPFI 162 Hz: 8.0 x usual`; None for other channels."""
    found = _DEFECT.match(channel)
    if found is None or usual <= 0:
        return None
    hertz = f" {found['hertz']} Hz" if found["hertz"] else ""
    return f"{found['channel']} envelope at {found['part']}{hertz}: {observed / usual:.1f} x usual"
