"""The measures of the picture benchmark, beside what they must be of samples that are known."""

import numpy as np
import pytest

from benchmarks.pictures.looks import hand_made, untrained
from benchmarks.pictures.measures import aupro, auroc, interval


def test_auroc_is_the_chance_of_a_right_order() -> None:
    assert auroc([3.0, 4.0], [1.0, 2.0]) == 1.0
    assert auroc([1.0, 2.0], [3.0, 4.0]) == 0.0
    assert auroc([1.0, 1.0], [1.0]) == 0.5
    rng = np.random.default_rng(0)
    faulty, good = rng.normal(1, 1, 60).tolist(), rng.normal(0, 1, 50).tolist()
    pairs = np.mean([[one > other for other in good] for one in faulty])
    assert auroc(faulty, good) == pytest.approx(float(pairs))
    low, high = interval(faulty, good)
    assert low < auroc(faulty, good) < high


def test_aupro_is_one_where_each_region_stands_out_and_counts_small_ones_as_much_as_large_ones() -> None:
    masks = np.zeros((2, 20, 20), np.bool_)
    masks[0, 2:4, 2:4] = True
    masks[1, 5:15, 5:15] = True
    assert aupro(masks.astype(np.float32), masks) == pytest.approx(1.0, abs=0.02)
    only_the_large = masks.astype(np.float32)
    only_the_large[0] = 0.0
    assert aupro(only_the_large, masks) == pytest.approx(0.5, abs=0.02)
    noise = np.random.default_rng(1).uniform(size=(40, 20, 20)).astype(np.float32)
    many = np.repeat(masks[1:], 40, axis=0)
    assert aupro(noise, many) == pytest.approx(0.15, abs=0.02)


def test_all_ways_give_a_patch_of_eight_pixels() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (2, 128, 128, 3)).astype(np.uint8)
    for look in (hand_made, untrained(0)):
        patches = look(pixels)
        assert patches.shape[:3] == (2, 16, 16)
        assert np.isfinite(patches).all()
        assert patches.std() > 0
