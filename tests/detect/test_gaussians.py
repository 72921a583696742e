"""Gaussians of a machine's modes: sharp in what moved there, and no sharper than the machine in what stood still."""

import numpy as np
import pytest

from edge_agent.detect.gaussians import ModePoints, gaussian, marginal, mode_gaussian

W, L = 1000, 4


def points(seed: int, *, still: bool) -> np.ndarray:
    """Two channels that hang together, and a third that moves by itself, or stands still: [W, 3 L]."""
    rng = np.random.default_rng(seed)
    first = rng.standard_normal((W, L))
    second = first + 0.1 * rng.standard_normal((W, L))
    third = np.zeros((W, L)) if still else 5.0 * (rng.random((W, 1)) > 0.5) * np.ones(L)
    return np.concatenate([first, second, third], axis=1)


def distance(point: np.ndarray, mean: np.ndarray, precision: np.ndarray) -> float:
    apart = point - mean
    return float(np.sqrt(apart @ precision @ apart))


def blocks() -> np.ndarray:
    whole = points(0, still=False).reshape(W, 3, L)
    return np.stack([np.cov(whole[:, channel].T) for channel in range(3)])


def test_a_channel_that_only_stood_still_in_a_mode_varies_there_as_in_the_machine() -> None:
    found = mode_gaussian(points(1, still=True), blocks(), doubt=np.float32(0.1))
    moved, broken = np.zeros(3 * L), np.zeros(3 * L)
    moved[2 * L :] = 5.0  # as it does in other modes
    broken[:L] = 1.0  # without the second one
    assert distance(moved, *found) < 5.0
    assert distance(broken, *found) > 10.0
    sharp = mode_gaussian(points(1, still=True), blocks(), doubt=np.float32(0.0))
    assert distance(moved, *sharp) > 100.0
    assert distance(broken, *found) == pytest.approx(distance(broken, *sharp), rel=0.2)


def test_the_marginal_of_some_cells_is_the_gaussian_of_these_alone() -> None:
    rng = np.random.default_rng(3)
    covariance = np.cov(rng.standard_normal((5, 5)) @ rng.standard_normal((5, 200)))
    kept = np.array([0, 3])
    found = marginal(np.linalg.inv(covariance), kept)
    np.testing.assert_allclose(found, np.linalg.inv(covariance[np.ix_(kept, kept)]), rtol=1e-6)


def test_a_mode_has_a_gaussian_of_its_own_where_it_was_visited_often_or_seen_for_long() -> None:
    sets = np.zeros(W, np.int64)
    sets[100:400], sets[600:640] = 1, 2
    sets[750:], sets[-1] = 3, 4
    how = {"ends": np.arange(0, 10 * W, 10), "kept": np.ones(W, bool), "n_channels": 3}
    assert set(ModePoints.of(points(1, still=False), sets, **how).inside) == {0, 1, 3}
    close = {**how, "ends": np.arange(W)}  # the same at every row: none was seen for 2,000
    assert not ModePoints.of(points(1, still=False), sets, **close).inside
    assert not ModePoints.of(points(1, still=False), None, **how).inside


def test_windows_are_held_against_a_gaussian_that_did_not_hold_them() -> None:
    sets, all_points = np.zeros(W, np.int64), points(1, still=False)
    sets[-1] = 1
    modes = ModePoints.of(
        all_points, sets, ends=np.arange(0, 10 * W, 10), kept=np.ones(W, bool), n_channels=3
    )
    others = np.arange(W) >= 500
    ((places, mean, _),) = modes.held_out(0, 500, others)
    assert places.tolist() == list(range(500))
    expected, _ = gaussian(all_points[500:-1])
    np.testing.assert_allclose(mean, expected, atol=1e-5)
