"""What a stretch of fast vibration looks like in numbers: pure functions of samples that know no machine.

A damaged bearing rings at the machine's own resonances, which say little about the damage, each time a
roller passes it, which says all: so besides the spectrum there is the spectrum of the envelope, on a scale
of turns of the shaft. The rows that result are channels like any other to the rest of the house.

Axes: N frames, S samples of a frame, H bins of a spectrum, F numbers.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import UsageError
from edge_agent.features import Float32

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
