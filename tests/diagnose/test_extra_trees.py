"""Randomised trees: they part what can be parted, weigh classes equally, and generalise where no line can."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.diagnose.extra_trees import grow, vote


def checker(rng: np.random.Generator, n_points: int) -> tuple[np.ndarray, np.ndarray]:
    """Four classes told by the signs of 2 of 20 numbers: no single direction parts them."""
    points = rng.standard_normal((n_points, 20)).astype(np.float32)
    return points, (points[:, 3] > 0) + 2 * (points[:, 7] > 0)


@settings(max_examples=40)
@given(
    n_points=st.integers(1, 30),
    n_numbers=st.integers(1, 5),
    levels=st.integers(1, 5),
    seed=st.integers(0, 999),
)
def test_examples_that_differ_are_parted_and_equal_ones_share_a_vote(
    n_points: int, n_numbers: int, levels: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    points = rng.integers(0, levels, (n_points, n_numbers)).astype(np.float32)  # with many duplicates
    _, index = np.unique(rng.integers(0, 3, n_points), return_inverse=True)
    votes = vote(grow(points, index, n_trees=5, n_tried=40, rng=rng), points)
    np.testing.assert_allclose(votes.sum(axis=1), 1.0, rtol=1e-5)
    for point in np.unique(points, axis=0):
        here = (points == point).all(axis=1)
        assert np.ptp(votes[here], axis=0).max() == 0
        assert votes[here][0, np.unique(index[here])].min() > 0  # its own classes are among those voted for


def test_examples_of_distinct_points_get_their_own_class_entirely() -> None:
    points, index = checker(np.random.default_rng(1), 200)
    votes = vote(grow(points, index, n_trees=20, n_tried=10, rng=np.random.default_rng(0)), points)
    assert (votes[np.arange(200), index] == 1.0).all()


def test_they_generalise_where_no_linear_rule_can() -> None:
    rng = np.random.default_rng(4)
    points = rng.standard_normal((1000, 20)).astype(np.float32)
    index = (np.abs(points[:, 3]) > 0.7).astype(np.int64)  # both ends of a number are one class
    learnt, asked = slice(0, 200), slice(200, None)
    votes = vote(grow(points[learnt], index[learnt], n_trees=50, n_tried=10, rng=rng), points[asked])
    weights, *_ = np.linalg.lstsq(points[learnt], 2.0 * index[learnt] - 1.0, rcond=None)
    linear = np.mean((points[asked] @ weights > 0) == index[asked])
    assert np.mean(votes.argmax(axis=1) == index[asked]) > max(0.8, linear + 0.2)


def test_a_rare_class_is_not_outvoted() -> None:
    rng = np.random.default_rng(2)
    points = np.zeros((50, 1), np.float32)  # nothing tells the classes apart: every vote is the root's
    index = np.array([0] * 45 + [1] * 5)
    votes = vote(grow(points, index, n_trees=3, n_tried=4, rng=rng), points)
    np.testing.assert_allclose(votes, 0.5)


def test_the_same_generator_grows_the_same_trees() -> None:
    points, index = checker(np.random.default_rng(3), 40)
    first, second = (
        grow(points, index, n_trees=4, n_tried=3, rng=np.random.default_rng(9)) for _ in range(2)
    )
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
