"""What a stretch of fast vibration looks like in numbers: pure functions of samples that know no machine.

A damaged bearing rings at the machine's own resonances, which say little about the damage, each time a
roller passes it, which says all: so besides the spectrum there is the spectrum of the envelope, on a scale
of turns of the shaft. The rows that result are channels like any other to the rest of the house.

Axes: N frames, S samples of a frame or of a block, A axes of a sensor, R rows, H bins of a spectrum, F numbers.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_agent.errors import UsageError
from edge_agent.signals.features import Float32

N_BANDS = 16
N_ENVELOPE_BANDS = 40
N_NUMBERS = 3 + N_BANDS + N_ENVELOPE_BANDS
ENVELOPE = slice(3 + N_BANDS, N_NUMBERS)
"""The numbers that tell which part of a bearing is damaged, whatever machine it sits in: loudness and bands
belong to the path from bearing to sensor, and examples from one bearing mislead about the next."""
# Events of a bearing lie between a turn of its cage and some harmonics of its rollers' passing.
_ENVELOPE_ORDERS = (0.8, 25.0)
_LOWEST_BAND_SHARE = 0.01  # of the Nyquist frequency; below lie leakage and drift
_SILENCE = 1e-12
_FEWEST_SAMPLES = 64

N_ROW_BANDS = 16
"""Bands of the spectrum, and as many of the envelope's, in a row of `SpectralFrames`."""
# Of the sampling rate: from the second bin of the envelope's spectrum to where bearings no longer beat.
_LOWEST_BEAT_BINS, _HIGHEST_BEAT = 1.5, 0.125
_BLOCK_FRAMES = (
    4  # a frame is this part of a block: its spectrum still tells apart what the block's envelope beats at
)


@dataclass(frozen=True, slots=True)
class SpectralFrames:
    """How fast samples become rows of a slow recording, which an encoder of time series then reads.

    A row is a time frame, its channels are logarithms of power: of N_ROW_BANDS log-spaced bands of the frame's spectrum
    (short-time Fourier transform), then of N_ROW_BANDS of its envelope's spectrum, for each axis of the sensor. The
    turning speed need not be known. The trainer makes its rows here too, so that both are identical.

    Attributes:
        rate_hz: samples per second. frame_samples: S of a frame. hop_samples: from one frame to the next.
    """

    rate_hz: float
    frame_samples: int
    hop_samples: int

    @classmethod
    def of_blocks(cls, block_samples: int, *, rate_hz: float, rows: int) -> "SpectralFrames":
        """Such that a block of so many samples gives so many rows: one window of the encoder.

        Raises:
            UsageError: the block is too short for them, or the rate is not positive.
        """
        frame = block_samples // _BLOCK_FRAMES
        return cls(rate_hz, frame, (block_samples - frame) // max(rows - 1, 1)).checked()

    def checked(self) -> "SpectralFrames":
        """The same.

        Raises:
            UsageError: frames too short, or a rate or hop that is not positive.
        """
        if self.frame_samples < _FEWEST_SAMPLES or self.hop_samples < 1 or not self.rate_hz > 0:
            raise UsageError(
                f"frames of {self.frame_samples} samples every {self.hop_samples} at {self.rate_hz} Hz: expected "
                f"at least {_FEWEST_SAMPLES} samples, and a hop and a rate above 0"
            )
        return self

    def names(self, axes: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the channels of `rows`, such as "x_power_03" and "x_beat_11"."""
        parts = ("power", "beat")
        return tuple(
            f"{axis}_{part}_{band:02d}" for axis in axes for part in parts for band in range(N_ROW_BANDS)
        )

    def rows(self, samples: Float32) -> Float32:
        """Samples [S, A], finite, as rows [R, A * 2 * N_ROW_BANDS]; samples after the last whole frame are left.

        Raises:
            UsageError: fewer samples than one frame.
        """
        self.checked()
        if samples.ndim != 2 or len(samples) < self.frame_samples:
            raise UsageError(
                f"samples of shape {samples.shape}: expected [at least {self.frame_samples} samples, axes]"
            )
        return np.concatenate([self._rows_of(axis) for axis in samples.T], axis=1)

    def _rows_of(self, samples: Float32) -> Float32:
        """One axis [S] -> [R, 2 * N_ROW_BANDS]."""
        frames = sliding_window_view(samples, self.frame_samples)[:: self.hop_samples]
        centred = frames - frames.mean(axis=1, keepdims=True)
        hertz = np.fft.rfftfreq(self.frame_samples, 1.0 / self.rate_hz)
        taper = np.hanning(self.frame_samples)
        power = np.abs(np.fft.rfft(centred * taper, axis=1)) ** 2 / np.sum(taper**2)
        envelope = _envelope(centred, power)
        envelope /= envelope.mean(axis=1, keepdims=True) + _SILENCE
        beats = np.abs(np.fft.rfft((envelope - 1.0) * taper, axis=1)) ** 2 / np.sum(taper**2)
        nyquist = self.rate_hz / 2.0
        low = max(_LOWEST_BAND_SHARE * nyquist, self.rate_hz / self.frame_samples)
        bands = np.geomspace(low, nyquist, N_ROW_BANDS + 1)
        first_beat = _LOWEST_BEAT_BINS * self.rate_hz / self.frame_samples
        beat_bands = np.geomspace(first_beat, _HIGHEST_BEAT * self.rate_hz, N_ROW_BANDS + 1)
        parts = [_band_means(power, hertz, bands), _band_means(beats, hertz, beat_bands)]
        return np.log(np.concatenate(parts, axis=1) + _SILENCE).astype(np.float32)


def describe_frames(frames: Float32, *, rate_hz: float, turning_hz: float) -> Float32:
    """Loudness, impulsiveness, and log-power per band of spectrum and envelope spectrum.

    The envelope is the magnitude of the analytic signal (Hilbert transform by FFT) of the frame after its
    spectrum was flattened, so that the resonance that happens to be loudest does not hide the rest
    (pre-whitening of bearing signals: Randall & Antoni, Mech. Syst. Signal Process. 25, 2011).

    Args:
        frames: [N, S] samples of one vibration channel, finite.
        rate_hz: samples per second.
        turning_hz: turns of the shaft per second; a few percent off do no harm.

    Returns:
        [N, N_NUMBERS]: log RMS; log kurtosis; log crest factor; the share of each of N_BANDS log-spaced bands in
        the power, as logarithm; each of N_ENVELOPE_BANDS log-spaced bands of the envelope spectrum
        relative to the envelope's median band, as logarithm.

    Raises:
        UsageError: frames too short, or rates that are not positive.
    """
    if frames.ndim != 2 or frames.shape[1] < _FEWEST_SAMPLES:
        raise UsageError(
            f"frames of shape {frames.shape}: expected [frames, at least {_FEWEST_SAMPLES} samples]"
        )
    if not (rate_hz > 0 and turning_hz > 0):
        raise UsageError(f"rate_hz {rate_hz} and turning_hz {turning_hz} must be positive")
    n_samples = frames.shape[1]
    centred = frames - frames.mean(axis=1, keepdims=True)
    hertz = np.fft.rfftfreq(n_samples, 1.0 / rate_hz)
    taper = np.hanning(n_samples)
    power = np.abs(np.fft.rfft(centred * taper, axis=1)) ** 2
    nyquist = rate_hz / 2.0
    bands = _band_means(power, hertz, np.geomspace(_LOWEST_BAND_SHARE * nyquist, nyquist, N_BANDS + 1))
    envelope = _envelope(centred, power)
    modulation = np.abs(np.fft.rfft((envelope - envelope.mean(axis=1, keepdims=True)) * taper, axis=1)) ** 2
    orders = turning_hz * np.geomspace(*_ENVELOPE_ORDERS, N_ENVELOPE_BANDS + 1)
    beats = np.log(_band_means(modulation, hertz, orders) + _SILENCE)
    shares = np.log(bands / (bands.sum(axis=1, keepdims=True) + _SILENCE) + 1e-6)
    described = [_loudness(centred), shares, beats - np.median(beats, axis=1, keepdims=True)]
    return np.concatenate(described, axis=1).astype(np.float32)


def _loudness(centred: NDArray[np.floating]) -> NDArray[np.floating]:
    """Log RMS, log kurtosis, log crest factor: [N, S] -> [N, 3]."""
    square = np.mean(centred**2, axis=1) + _SILENCE
    kurtosis = np.mean(centred**4, axis=1) / square**2
    crest = np.abs(centred).max(axis=1) / np.sqrt(square)
    return np.stack([0.5 * np.log(square), np.log(kurtosis + _SILENCE), np.log(crest + _SILENCE)], axis=1)


def _envelope(centred: NDArray[np.floating], power: NDArray[np.floating]) -> NDArray[np.floating]:
    """Squared magnitude of the analytic signal [N, S] of frames whose smoothed spectrum [N, H] was flattened."""
    n_samples = centred.shape[1]
    width = max(3, power.shape[1] // 32)
    padded = np.pad(power, ((0, 0), (width // 2, width - 1 - width // 2)), mode="edge")
    running = np.cumsum(np.pad(padded, ((0, 0), (1, 0))), axis=1)
    smooth = (running[:, width:] - running[:, :-width]) / width
    flat = np.fft.rfft(centred, axis=1) / np.sqrt(np.maximum(smooth, 0.0) + _SILENCE)
    flat[:, 0] = 0.0
    analytic = np.zeros((len(centred), n_samples), np.complex128)
    analytic[:, : flat.shape[1]] = 2.0 * flat
    magnitude: NDArray[np.floating] = np.abs(np.fft.ifft(analytic, axis=1)) ** 2
    return magnitude


def _band_means(
    power: NDArray[np.floating], hertz: NDArray[np.floating], edges: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Mean power per band [N, bands]; a band narrower than a bin takes the power interpolated at its centre."""
    means = np.empty((len(power), len(edges) - 1))
    for band, (low, high) in enumerate(itertools.pairwise(edges)):
        inside = (hertz >= low) & (hertz < high)
        if inside.any():
            means[:, band] = power[:, inside].mean(axis=1)
        else:
            at = np.searchsorted(hertz, np.sqrt(low * high)).clip(1, len(hertz) - 1)
            share = (np.sqrt(low * high) - hertz[at - 1]) / (hertz[at] - hertz[at - 1])
            means[:, band] = (1.0 - share) * power[:, at - 1] + share * power[:, at]
    return means
