"""Where operating modes are found, where not, and where one ends."""

import numpy as np

from edge_agent.commissioning import mode_tree

R = 6000
LENGTHS = 4


def steady(n_channels: int = 1, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1.0, (n_channels, R)).astype(np.float32)


def with_stays(z: np.ndarray, *, at: list[int], rows: int, levels: list[float]) -> np.ndarray:
    for start, level in zip(at, levels, strict=True):
        z[0, start : start + rows] += level
    return z


def test_four_alike_stays_spread_over_the_time_are_a_mode() -> None:
    at, rows = [600, 2100, 3600, 5100], 100
    assert mode_tree.find(with_stays(steady(), at=at, rows=rows, levels=[20.0] * 4), n_lengths=LENGTHS)


def test_four_stays_that_differ_are_none() -> None:
    at, rows = [600, 2100, 3600, 5100], 100
    unlike = with_stays(steady(), at=at, rows=rows, levels=[20.0, 28.0, 36.0, 44.0])
    assert mode_tree.find(unlike, n_lengths=LENGTHS) is None


def test_four_alike_stays_within_an_hour_are_none() -> None:
    at, rows = [600, 800, 1000, 1200], 100
    assert (
        mode_tree.find(with_stays(steady(), at=at, rows=rows, levels=[20.0] * 4), n_lengths=LENGTHS) is None
    )


def test_three_stays_are_none() -> None:
    at, rows = [600, 2600, 5000], 100
    assert (
        mode_tree.find(with_stays(steady(), at=at, rows=rows, levels=[20.0] * 3), n_lengths=LENGTHS) is None
    )


def test_of_several_channels_the_one_that_says_most_of_the_others_is_asked() -> None:
    """A pressure that holds for hours after its burner went out is further apart, and says less of the others."""
    running = (np.arange(R) // 1500) % 2 == 0
    late = (np.arange(R) // 1500) % 2 == 0
    late[1500:2100] = late[4500:5100] = True  # the pressure holds
    z = steady(5) * 0.3
    z[0] += 40.0 * late
    z[1:] += 6.0 * running
    modes = mode_tree.find(z, n_lengths=LENGTHS)
    assert modes is not None
    assert modes.channel[0] > 0


def test_rows_on_the_way_do_not_widen_a_mode_that_was_seen_for_few_rows() -> None:
    """Slow starts and stops are a large share of a mode that was seen briefly, and no part of it."""
    level = np.repeat([100.0, 0.0] * 8, R // 16)[:R]
    level = np.convolve(np.pad(level, 12, mode="edge"), np.ones(25) / 25, mode="valid")
    z = steady() * 0.5 + level
    modes = mode_tree.find(z.astype(np.float32), n_lengths=LENGTHS)
    assert modes is not None
    low, high = modes.transit[0]
    assert 0.0 < low < 10.0
    assert 90.0 < high < 100.0
