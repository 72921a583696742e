"""What fast samples say in few numbers: against formulas, published defect frequencies and a simulated bearing."""

import numpy as np
import pytest

from edge_agent.signals.vibration import N_BANDS, Bearing, feature_names, features, is_defect, phrase

RATE_HZ, TURNING_HZ, S = 12_000.0, 29.95, 4096
DRIVE_END = Bearing(rollers=9, roller_diameter=0.3126, pitch_diameter=1.537)
NAMES = feature_names("de", bearing=DRIVE_END, turning_hz=TURNING_HZ)


def test_defect_frequencies_are_those_that_the_maker_of_the_data_publishes() -> None:
    # Case Western Reserve University, bearing 6205-2RS; its rolling element figure is of both races: twice the spin.
    orders = DRIVE_END.orders()
    published = {"BPFI": 5.4152, "BPFO": 3.5848, "FTF": 0.39828, "BSF": 4.7135 / 2}
    assert orders == pytest.approx(published, rel=1e-4)


def test_loudness_of_a_sine_is_that_of_the_textbook() -> None:
    sine = 3.0 * np.sin(2 * np.pi * 375.0 * np.arange(S) / RATE_HZ)[None] + 7.0
    rms, peak, crest, kurtosis = features(sine, rate_hz=RATE_HZ)[0, :4]
    assert rms == pytest.approx(3 / np.sqrt(2), rel=1e-3)
    assert peak == pytest.approx(3.0, rel=1e-3)
    assert crest == pytest.approx(np.sqrt(2), rel=1e-3)
    assert kurtosis == pytest.approx(1.5, rel=1e-3)
    bands = features(sine, rate_hz=RATE_HZ)[0, 4 : 4 + N_BANDS]
    edges = np.geomspace(60.0, 6000.0, N_BANDS + 1)
    assert int(bands.argmax()) == int(np.searchsorted(edges, 375.0)) - 1


@pytest.mark.parametrize("part", ["BPFO", "BPFI"])
@pytest.mark.parametrize("resonance_hz", [1500.0, 3900.0])
def test_the_line_of_the_damaged_part_stands_out_and_no_other(part: str, resonance_hz: float) -> None:
    rng = np.random.default_rng(4)
    events_hz = DRIVE_END.orders()[part] * TURNING_HZ
    time_s = np.arange(S) / RATE_HZ
    frames = 0.3 * rng.standard_normal((6, S))
    for number in range(len(frames)):
        for strike in np.arange(rng.uniform(0, 1), S / RATE_HZ * events_hz) / events_hz:
            since = np.maximum(time_s - strike, 0.0)
            frames[number] += (
                (time_s >= strike) * np.exp(-800 * since) * np.sin(2 * np.pi * resonance_hz * since)
            )
    found = np.median(
        features(frames, rate_hz=RATE_HZ, bearing=DRIVE_END, turning_hz=TURNING_HZ)[:, -4:], axis=0
    )
    lines = dict(zip(DRIVE_END.orders(), found.tolist(), strict=True))
    assert max(lines, key=lambda name: lines[name]) == part
    assert lines[part] > 3
    noise = features(rng.standard_normal((50, S)), rate_hz=RATE_HZ, bearing=DRIVE_END, turning_hz=TURNING_HZ)
    assert np.median(noise[:, -4:], axis=0).max() < 1.5


def test_there_is_a_name_for_each_number_and_words_for_the_lines() -> None:
    frames = np.random.default_rng(0).standard_normal((2, 256))
    found = features(frames, rate_hz=RATE_HZ, bearing=DRIVE_END, turning_hz=TURNING_HZ)
    assert found.shape == (2, len(NAMES))
    assert "de.envelope_BPFI_162Hz" in NAMES
    assert (
        phrase("de.envelope_BPFI_162Hz", observed=8.0, usual=1.0) == "de envelope at BPFI 162 Hz: 8.0 x usual"
    )
    assert phrase("de.envelope_BSF", observed=3.0, usual=2.0) == "de envelope at BSF: 1.5 x usual"
    assert phrase("de.rms", observed=3.0, usual=2.0) is None
    assert [name for name in NAMES if is_defect(name)] == list(NAMES[-4:])


@pytest.mark.parametrize("level", [0.0, 1e-30, 1e29])
def test_silence_and_din_are_numbers(level: float) -> None:
    frames = level * np.random.default_rng(0).standard_normal((2, 512))
    with np.errstate(all="raise", under="ignore"):
        found = features(frames, rate_hz=RATE_HZ, bearing=DRIVE_END, turning_hz=TURNING_HZ)
    assert np.isfinite(found).all()
