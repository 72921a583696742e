"""The sound benchmark on tones that are known: a new tone is found by each method, and nothing where there is none."""

import numpy as np
import pytest

from benchmarks.pictures.looks import hand_made
from benchmarks.pictures.measures import auroc
from benchmarks.sound.datasets import SoundSet
from benchmarks.sound.methods import by_features, by_pictures, by_spectrum
from edge_agent.records import Float32

RATE_HZ = 8000.0


def tones(seed: int, *extra_hz: float, count: int = 24) -> Float32:
    """Blocks of a hum under noise, with further tones."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(1024) / RATE_HZ
    hum = np.stack([np.sin(2 * np.pi * 200 * time_s + phase) for phase in rng.uniform(0, 6, count)])
    more = sum(np.sin(2 * np.pi * hertz * time_s) for hertz in extra_hz)
    noisy = hum + more + rng.normal(0, 0.3, hum.shape)
    found: Float32 = noisy.astype(np.float32)[..., np.newaxis]
    return found


@pytest.mark.parametrize("how", ["features", "spectrum", "pictures"])
def test_a_tone_that_was_never_learnt_is_found_and_a_usual_block_is_not(how: str) -> None:
    one = SoundSet("tones", RATE_HZ, tones(1), tones(2), {"whistle": tones(3, 2500.0), "none": tones(4)})
    score = {
        "features": by_features,
        "spectrum": by_spectrum,
        "pictures": lambda each: by_pictures(each, hand_made),
    }[how](one)
    good = score(one.good).tolist()
    assert auroc(score(one.faulty["whistle"]).tolist(), good) > 0.95
    assert auroc(score(one.faulty["none"]).tolist(), good) == pytest.approx(0.5, abs=0.3)
