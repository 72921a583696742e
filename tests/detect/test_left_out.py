"""Windows left out in turn: what is rare is a tenth at most, and tolerance only widens, where something was rare."""

import numpy as np
import pytest

from edge_agent.detect.left_out import largest_nearby, rare_windows, tolerance

W, ROWS = 1000, 128
ENDS = np.arange(ROWS, ROWS + W)


def usual(seed: int = 0) -> np.ndarray:
    return (10.0 + np.random.default_rng(seed).random(W)).astype(np.float32)


def test_a_stretch_far_from_all_others_is_rare_with_half_a_window_around() -> None:
    far = usual()
    far[400:440] = 60.0
    rare = rare_windows(np.stack([usual(1), far]), ends=ENDS, window_rows=16)
    assert np.flatnonzero(rare).tolist() == list(range(393, 447))


def test_where_nothing_is_far_out_nothing_is_rare() -> None:
    assert not rare_windows(usual()[None], ends=ENDS, window_rows=ROWS).any()


def test_what_takes_more_than_a_tenth_of_the_time_is_not_rare() -> None:
    far = usual()
    far[400:550] = 60.0
    assert not rare_windows(far[None], ends=ENDS, window_rows=16).any()


def test_each_set_has_its_own_measure_of_far() -> None:
    far, sets = usual(), np.zeros((1, W), int)
    far[500:], sets[0, 500:] = 100.0, 1
    assert not rare_windows(far[None], ends=ENDS, window_rows=16, sets=sets).any()
    far[700:710] = 1000.0
    assert np.flatnonzero(rare_windows(far[None], ends=ENDS, window_rows=2, sets=sets)).tolist() == list(
        range(700, 710)
    )


def test_a_remembered_window_tolerates_what_its_neighbours_in_time_were() -> None:
    far, kept = np.ones(W, np.float32), np.ones(W, bool)
    far[500] = 8.0
    kept[490:511] = False
    chosen = np.array([100, 480, 495, 500, 515, 600])
    found = tolerance(far, ends=ENDS, chosen=chosen, reach_rows=16, kept=kept)
    assert found == pytest.approx([1.0, 1.0, 8.0, 8.0, 8.0, 1.0])


def test_each_channel_tolerates_its_own() -> None:
    far = np.ones((W, 2), np.float32)
    far[500, 1] = 5.0
    kept = np.arange(W) != 500
    found = tolerance(far, ends=ENDS, chosen=np.array([500, 900]), reach_rows=4, kept=kept)
    assert found == pytest.approx(np.array([[1.0, 5.0], [1.0, 1.0]]))


def test_the_largest_nearby_agrees_with_a_loop() -> None:
    values, chosen = usual(3), np.array([0, 7, 500, W - 1])
    ends = np.sort(np.random.default_rng(5).choice(3000, W, replace=False))
    found = largest_nearby(values, ends=ends, chosen=chosen, reach_rows=20)
    expected = [values[np.abs(ends - ends[at]) < 20].max() for at in chosen]
    assert found == pytest.approx(expected)
