"""Maps find what is unusual and where; scores, boxes and shifts say what they should of arrays that are known."""

import numpy as np
import pytest

from edge_agent.detect.pictures import place, regions, texture
from edge_agent.detect.pictures.shift import SIDE, shift, thumbnail

RNG = np.random.default_rng(3)
N, G, D = 12, 16, 24
WALLS = RNG.standard_normal((G, G, D)).astype(np.float32) * 3
LEARNT = (WALLS + 0.3 * RNG.standard_normal((N, G, G, D))).astype(np.float32)


def test_a_patch_that_lies_elsewhere_is_unusual_for_its_place_and_usual_as_a_texture() -> None:
    picture = (WALLS + 0.3 * RNG.standard_normal((G, G, D))).astype(np.float32)
    picture[3, 4] = WALLS[12, 11]
    places, calm = place.learn(LEARNT)
    textures, _ = texture.learn(LEARNT, remembered=N * G * G)
    by_place, by_texture = place.compare(places, picture), texture.compare(textures, picture)
    assert np.unravel_index(by_place.argmax(), by_place.shape) == (3, 4)
    assert by_place[3, 4] > 2 * calm.max()
    assert by_texture[3, 4] < 1.3 * np.delete(by_texture.ravel(), 3 * G + 4).max()


def test_what_was_never_seen_is_unusual_to_both() -> None:
    picture = LEARNT[0].copy()
    picture[8:10, 2:4] = 20.0
    for detector in (place, texture):
        memory, _ = detector.learn(LEARNT)
        found = detector.compare(memory, picture)
        assert set(np.argsort(found.ravel())[-4:].tolist()) == {8 * G + 2, 8 * G + 3, 9 * G + 2, 9 * G + 3}


def test_a_learnt_picture_is_compared_with_the_others() -> None:
    """One with itself would be at distance 0, and the threshold would be that of nothing."""
    for detector in (place, texture):
        memory, calm = detector.learn(LEARNT)
        assert calm.shape == (N, G, G)
        assert calm.std() > 0
    memory, calm = texture.learn(LEARNT, remembered=N * G * G)
    assert texture.compare(memory, LEARNT[0]).max() == pytest.approx(0.0, abs=0.05)
    assert calm[0].min() > 0.5


def test_k_centre_remembers_what_is_rare() -> None:
    pictures = np.zeros((2, G, G, D), np.float32)
    pictures[1, 5, 5] = 9.0
    memory, _ = texture.learn(pictures, remembered=2)
    assert sorted(memory["bank"].max(axis=1).tolist()) == [0.0, 9.0]


def test_the_score_of_a_part_is_its_worst_place_and_of_a_scene_the_mean_of_its_worst_twentieth() -> None:
    unusual = np.zeros((20, 20), np.float32)
    unusual[0, 0] = 10.0
    assert regions.score(unusual, None, wide=False) == 10.0
    assert regions.score(unusual, None, wide=True) == pytest.approx(10.0 / 20)
    counted = np.ones((20, 20), np.bool_)
    counted[0, 0] = False
    assert regions.score(unusual, counted, wide=False) == 0.0
    assert regions.score(unusual, np.zeros_like(counted), wide=False) == 0.0


def test_boxes_lie_around_what_hangs_together_the_gravest_first() -> None:
    relative = np.zeros((16, 16), np.float32)
    relative[2:4, 2:6] = 1.5
    relative[4, 6] = 1.2  # by a corner
    relative[12, 8] = 3.0
    first, second = regions.boxes(relative)
    assert first == (8 / 16, 12 / 16, 1 / 16, 1 / 16, 3.0)
    assert second == (2 / 16, 2 / 16, 5 / 16, 3 / 16, 1.5)
    many = np.zeros((16, 16), np.float32)
    many[::3, ::3] = 2.0
    assert len(regions.boxes(many)) == regions.BOXES
    assert regions.boxes(np.zeros((16, 16), np.float32)) == ()


def test_smoothing_keeps_the_mean_of_what_is_flat() -> None:
    flat = np.full((16, 16), 2.5, np.float32)
    assert regions.smooth(flat) == pytest.approx(flat)


@pytest.mark.parametrize(("right", "down"), [(0, 0), (5, 0), (-7, 3), (2, -9)])
def test_a_moved_camera_is_told_by_how_much_and_where(right: int, down: int) -> None:
    scene = np.random.default_rng(1).uniform(0, 255, (4 * SIDE, 4 * SIDE)).astype(np.float32)
    moved = np.roll(scene, (4 * down, 4 * right), axis=(0, 1))
    told = shift(thumbnail(moved), thumbnail(scene))
    assert told == pytest.approx((100 * right / SIDE, 100 * down / SIDE))


def test_of_two_pictures_of_nothing_in_common_no_shift_is_told() -> None:
    noise = np.random.default_rng(2).uniform(0, 255, (2, SIDE, SIDE)).astype(np.float32)
    assert shift(thumbnail(noise[0]), thumbnail(noise[1])) == (0.0, 0.0)
    assert shift(np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), np.uint8)) == (0.0, 0.0)


def test_where_remembered_patches_lie_far_apart_a_distance_counts_less() -> None:
    grid = np.stack(np.meshgrid(np.arange(5.0), np.arange(5.0)), axis=-1).reshape(25, 2)
    points = np.concatenate([grid, 100 + 4 * grid])[:, ::-1].astype(np.float32)
    memory, _ = texture.learn(points.reshape(2, 5, 5, 2), remembered=50)
    older = {name: array for name, array in memory.items() if name != "bank_apart"}
    for one, ratio in ((memory, 0.5), (older, 1.0)):
        off, beside = (np.full((1, 1, 2), at, np.float32) for at in (98.0, -2.0))
        found = texture.compare(one, off)[0, 0] / texture.compare(one, beside)[0, 0]
        assert found == pytest.approx(ratio)
