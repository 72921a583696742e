"""What is usual of a recipe's curves, and what a fault that lasts does not change."""

import numpy as np

from edge_agent.cycles.bands import KNOWN_CYCLES, Band


def curve(rng: np.random.Generator, *, away: float = 0.0) -> np.ndarray:
    place = np.linspace(0, 1, 32)
    return np.stack([np.sin(place) + away, place], axis=1).astype(np.float32) + rng.normal(
        0, 0.05, (32, 2)
    ).astype(np.float32)


def learnt() -> tuple[Band, np.random.Generator]:
    band, rng = Band.new(("a", "b"), 32), np.random.default_rng(0)
    for _ in range(60):
        band.learn(curve(rng))
    return band, rng


def test_too_few_cycles_say_nothing() -> None:
    band, rng = Band.new(("a", "b"), 32), np.random.default_rng(0)
    for _ in range(KNOWN_CYCLES - 1):
        band.learn(curve(rng))
    assert np.isnan(band.shape(curve(rng))).all()
    band.learn(curve(rng))
    assert np.isfinite(band.shape(curve(rng))).all()


def test_a_usual_cycle_is_about_one_spread_away_and_a_fault_more() -> None:
    band, rng = learnt()
    assert (np.abs(band.shape(curve(rng)) - 1.0) < 0.4).all()
    away = band.shape(curve(rng, away=0.5))
    assert away[0] > 5
    assert away[1] < 1.5


def test_a_fault_that_lasts_does_not_become_usual() -> None:
    band, rng = learnt()
    for _ in range(500):
        band.learn(curve(rng, away=0.5))
    assert band.shape(curve(rng, away=0.5))[0] > 5


def test_a_channel_that_is_silent_in_a_cycle_is_learnt_from_the_others() -> None:
    band, rng = learnt()
    silent = curve(rng)
    silent[:, 1] = np.nan
    shape = band.shape(silent)
    assert np.isnan(shape[1])
    band.learn(silent)
    assert np.isfinite(band.middle).all()
    assert band.shape(curve(rng))[1] < 1.5
