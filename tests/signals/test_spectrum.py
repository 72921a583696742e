"""What vibration frames are described by: loudness, bands, and the beat that hides under a resonance."""

import numpy as np
import pytest

from edge_agent.errors import UsageError
from edge_agent.signals.spectrum import (
    N_BANDS,
    N_ENVELOPE_BANDS,
    N_NUMBERS,
    N_ROW_BANDS,
    SpectralFrames,
    describe_frames,
)

RATE_HZ, TURNING_HZ, S = 12_000.0, 29.0, 4096
ORDERS = np.geomspace(0.8, 25.0, N_ENVELOPE_BANDS + 1)


def bearing(
    rng: np.random.Generator, *, events_hz: float, resonance_hz: float, noise: float = 0.3
) -> np.ndarray:
    """A resonance struck `events_hz` times a second, a little irregularly, in noise: [8, S]."""
    time_s = np.arange(S) / RATE_HZ
    frames = noise * rng.standard_normal((8, S))
    for index in range(len(frames)):
        strikes = np.arange(rng.uniform(0, 1), S / RATE_HZ * events_hz, 1.0) / events_hz
        for strike in strikes * (1 + 0.002 * rng.standard_normal(len(strikes))):
            since = np.maximum(time_s - strike, 0.0)
            frames[index] += (
                (time_s >= strike) * np.exp(-800 * since) * np.sin(2 * np.pi * resonance_hz * since)
            )
    return frames.astype(np.float32)


def envelope_of(frames: np.ndarray) -> np.ndarray:
    return describe_frames(frames, rate_hz=RATE_HZ, turning_hz=TURNING_HZ)[:, -N_ENVELOPE_BANDS:]


@pytest.mark.parametrize("resonance_hz", [1_500.0, 2_700.0, 4_400.0])
@pytest.mark.parametrize("order", [3.58, 5.41])
def test_the_beat_is_found_whatever_resonance_it_strikes(resonance_hz: float, order: float) -> None:
    frames = bearing(np.random.default_rng(1), events_hz=order * TURNING_HZ, resonance_hz=resonance_hz)
    loudest = envelope_of(frames).mean(axis=0).argmax()
    harmonics = order * np.arange(1, 4)
    assert any(ORDERS[loudest] * 0.95 <= harmonic <= ORDERS[loudest + 1] * 1.05 for harmonic in harmonics)


def test_gain_moves_the_loudness_and_nothing_else() -> None:
    frames = bearing(np.random.default_rng(2), events_hz=100.0, resonance_hz=3_000.0)
    quiet = describe_frames(frames, rate_hz=RATE_HZ, turning_hz=TURNING_HZ)
    loud = describe_frames(10 * frames, rate_hz=RATE_HZ, turning_hz=TURNING_HZ)
    np.testing.assert_allclose(loud[:, 0] - quiet[:, 0], np.log(10), atol=1e-4)
    np.testing.assert_allclose(loud[:, 1:], quiet[:, 1:], atol=1e-2)


def test_a_tone_fills_the_band_that_holds_it() -> None:
    edges = np.geomspace(0.01, 1.0, N_BANDS + 1) * RATE_HZ / 2
    for band in (5, 10, 15):
        hertz = np.sqrt(edges[band] * edges[band + 1])
        tone = np.sin(2 * np.pi * hertz * np.arange(S) / RATE_HZ)[None].astype(np.float32)
        shares = describe_frames(tone, rate_hz=RATE_HZ, turning_hz=TURNING_HZ)[0, 3 : 3 + N_BANDS]
        assert shares.argmax() == band
        assert np.exp(shares[band]) > 0.9


def test_kurtosis_is_that_of_the_samples() -> None:
    noise = np.random.default_rng(3).standard_normal((4, 50_000)).astype(np.float32)
    found = describe_frames(noise, rate_hz=RATE_HZ, turning_hz=TURNING_HZ)
    np.testing.assert_allclose(np.exp(found[:, 1]), 3.0, rtol=0.05)  # of a Gaussian
    np.testing.assert_allclose(np.exp(found[:, 0]), 1.0, rtol=0.02)


def test_silence_is_described_by_finite_numbers() -> None:
    found = describe_frames(np.zeros((2, 256), np.float32), rate_hz=RATE_HZ, turning_hz=TURNING_HZ)
    assert found.shape == (2, N_NUMBERS)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("shape", "rate_hz", "turning_hz"),
    [((3, 8), 1e4, 30.0), ((300,), 1e4, 30.0), ((3, 300), 0.0, 30.0), ((3, 300), 1e4, -1)],
)
def test_what_cannot_be_described_is_refused(
    shape: tuple[int, ...], rate_hz: float, turning_hz: float
) -> None:
    with pytest.raises(UsageError):
        describe_frames(np.zeros(shape, np.float32), rate_hz=rate_hz, turning_hz=turning_hz)


def test_a_block_gives_the_asked_rows_and_a_tone_lifts_its_own_band() -> None:
    frames = SpectralFrames.of_blocks(S, rate_hz=RATE_HZ, rows=32)
    noise = 0.1 * np.random.default_rng(0).standard_normal((S, 2)).astype(np.float32)
    tone = noise + np.sin(2 * np.pi * 3_000.0 * np.arange(S) / RATE_HZ).astype(np.float32)[:, None] * [1, 0]
    normal, loud = frames.rows(noise), frames.rows(tone.astype(np.float32))
    assert normal.shape == (32, len(frames.names(("x", "y"))))
    bands = np.geomspace(60.0, 6_000.0, N_ROW_BANDS + 1)
    risen = (loud - normal).mean(axis=0)
    assert risen[:N_ROW_BANDS].argmax() == np.searchsorted(bands, 3_000.0) - 1
    np.testing.assert_allclose(loud[:, 2 * N_ROW_BANDS :], normal[:, 2 * N_ROW_BANDS :])


def test_too_short_a_block_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 64"):
        SpectralFrames.of_blocks(200, rate_hz=RATE_HZ, rows=32)
