"""Synthetic windows are diverse and reproducible; injected anomalies are where the label says, and nowhere else."""

import numpy as np
import numpy.typing as npt
import pytest
from edge_trainer.data.synthetic import ANOMALIES, SHAPES, inject, laid_under, windows
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.errors import UsageError

COUNT, LENGTH = 6000, 128


@pytest.fixture(scope="module")
def clean() -> npt.NDArray[np.float32]:
    return windows(np.random.default_rng(7), count=COUNT, length=LENGTH)


def named(kind: npt.NDArray[np.int8], name: str) -> npt.NDArray[np.int64]:
    """Rows that got the anomaly of that name."""
    return np.flatnonzero(kind == list(ANOMALIES).index(name) + 1)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 60), length=st.integers(8, 300))
def test_any_size_gives_finite_float32_that_the_seed_repeats(seed: int, count: int, length: int) -> None:
    first, again = (windows(np.random.default_rng(seed), count=count, length=length) for _ in range(2))
    assert first.shape == (count, length)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)


def test_the_stream_goes_on_instead_of_repeating() -> None:
    rng = np.random.default_rng(1)
    first, second = (windows(rng, count=50, length=64) for _ in range(2))
    repeated = [
        row
        for row in first
        if np.ptp(row) > 0.0 and not np.isin(row, [0.0, 1.0]).all() and (second == row).all(axis=1).any()
    ]
    assert not repeated


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("length", [8, 128, 1000])
def test_every_shape_is_finite_float32_and_mostly_varies(name: str, length: int) -> None:
    signal = SHAPES[name](np.random.default_rng(3), 300, length)
    assert signal.shape == (300, length)
    assert signal.dtype == np.float32
    assert np.isfinite(signal).all()
    assert np.mean(np.ptp(signal, axis=1) > 0.0) > 0.3
    assert len(np.unique(signal.round(6), axis=0)) > 40


def test_shapes_keep_their_promises() -> None:
    rng = np.random.default_rng(5)
    telegraph = SHAPES["telegraph"](rng, 500, LENGTH)
    assert set(np.unique(telegraph).tolist()) == {0.0, 1.0}
    assert 0.05 < np.mean(np.ptp(telegraph, axis=1) == 0.0) < 0.6
    assert (SHAPES["vibration_levels"](rng, 500, LENGTH) > 0.0).all()
    assert max(len(np.unique(row)) for row in SHAPES["staircase"](rng, 200, LENGTH)) <= 26
    steps = SHAPES["rare_steps"](rng, 500, LENGTH)
    assert 0.05 < np.mean(np.ptp(steps, axis=1) == 0.0) < 0.6


def test_an_autoregressive_window_is_predicted_by_its_past_but_not_perfectly() -> None:
    signal = SHAPES["autoregressive"](np.random.default_rng(2), 200, 400).astype(np.float64)
    explained = []
    for row in signal - signal.mean(axis=1, keepdims=True):
        past = np.stack([row[3 - lag : -lag] for lag in (1, 2, 3)], axis=1)
        weights = np.linalg.lstsq(past, row[3:], rcond=None)[0]
        explained.append(1.0 - np.var(row[3:] - past @ weights) / np.var(row[3:]))
    assert np.median(explained) > 0.5
    assert max(explained) < 0.99999
    assert min(explained) < 0.5


def test_the_mixture_is_diverse(clean: npt.NDArray[np.float32]) -> None:
    values = clean.astype(np.float64)
    spread = values.std(axis=1)
    assert 0.005 < np.mean(np.ptp(clean, axis=1) == 0.0) < 0.1
    binary = np.isin(clean, [0.0, 1.0]).all(axis=1)
    assert 0.005 < binary.mean() < 0.1
    lively = values[spread > 1e-6 * np.abs(values).max(axis=1)]
    centred = lively - lively.mean(axis=1, keepdims=True)
    memory = (centred[:, 1:] * centred[:, :-1]).sum(axis=1) / np.square(centred).sum(axis=1)
    low, middle, high = np.quantile(memory, [0.05, 0.5, 0.95])
    assert low < 0.1
    assert 0.6 < middle < 0.98
    assert high > 0.97
    orders = np.log10(np.quantile(spread[spread > 0.0], [0.02, 0.98]))
    assert orders[1] - orders[0] > 3.0
    kurtosis = np.mean(centred**4, axis=1) / np.mean(centred**2, axis=1) ** 2
    flat, peaked = np.quantile(kurtosis, [0.05, 0.95])
    assert flat < 1.8  # a sine has 1.5, a normal distribution 3
    assert peaked > 8.0


def test_unlabelled_cells_are_untouched_and_labels_hug_the_changed_cells(
    clean: npt.NDArray[np.float32],
) -> None:
    before = clean.copy()
    corrupted, label, kind = inject(np.random.default_rng(1), clean)
    np.testing.assert_array_equal(clean, before)
    assert [str(each.dtype) for each in (corrupted, label, kind)] == ["float32", "bool", "int8"]
    assert np.isfinite(corrupted).all()
    np.testing.assert_array_equal(corrupted[~label], clean[~label])
    assert (kind > 0).all()
    different = corrupted != clean
    for row in range(COUNT):
        cells = np.flatnonzero(label[row])
        assert len(cells) == cells[-1] - cells[0] + 1
        assert different[row, cells[[0, -1]]].all()
    assert different[label].mean() > 0.9


def test_every_kind_of_anomaly_occurs_and_is_visible(clean: npt.NDArray[np.float32]) -> None:
    corrupted, label, kind = inject(np.random.default_rng(2), clean)
    assert set(kind.tolist()) == set(range(1, len(ANOMALIES) + 1))
    assert np.bincount(kind)[1:].min() > 0.03 * COUNT
    low, high = np.quantile(clean.astype(np.float64), [0.25, 0.75], axis=1)
    lively = high - low > 1e-3 * np.abs(clean).max(axis=1)
    largest = np.abs(corrupted.astype(np.float64) - clean).max(axis=1)
    assert (largest[lively] > 0.49 * (high - low)[lively] / 1.349).all()
    assert (largest > 0.0).all()
    assert 0.03 < label.mean() < 0.4


def test_each_kind_does_what_it_is_called(clean: npt.NDArray[np.float32]) -> None:
    corrupted, label, kind = inject(np.random.default_rng(3), clean)
    shift = corrupted.astype(np.float64) - clean
    middle = np.median(clean.astype(np.float64), axis=1)
    tolerance = 1e-5 * np.maximum(np.abs(clean).max(axis=1), np.abs(corrupted).max(axis=1)) + 1e-9
    assert label[named(kind, "spike")].sum(axis=1).max() <= 3
    for row in named(kind, "level_shift"):
        assert np.ptp(shift[row, label[row]]) <= 4.0 * tolerance[row]
    for row in named(kind, "trend"):
        assert np.abs(np.diff(shift[row, label[row]], 2)).max(initial=0.0) <= 8.0 * tolerance[row]
    for row in named(kind, "mean_reversal"):
        mirrored = 2.0 * middle[row] - clean[row, label[row]]
        assert np.abs(corrupted[row, label[row]] - mirrored).max() <= 4.0 * tolerance[row]
    for row in named(kind, "dropout"):
        cells = corrupted[row, label[row]]
        assert ((cells == 0.0) | (cells == clean[row, label[row]])).all()
    flat, spread = named(kind, "flat_line"), clean.astype(np.float64).std(axis=1)
    stuck = [np.std(corrupted[row, label[row]].astype(np.float64)) / spread[row] for row in flat]
    assert np.mean(np.array(stuck) == 0.0) > 0.5
    assert max(stuck) < 0.1


def test_anomalies_scale_with_the_window() -> None:
    clean = SHAPES["harmonics"](np.random.default_rng(4), 400, LENGTH)
    scale = np.float32(1024.0)  # a power of two changes no mantissa
    small, label, kind = inject(np.random.default_rng(9), clean)
    large, label_large, kind_large = inject(np.random.default_rng(9), clean * scale)
    np.testing.assert_array_equal(label, label_large)
    np.testing.assert_array_equal(kind, kind_large)
    swapped = kind == list(ANOMALIES).index("pattern_swap") + 1
    np.testing.assert_allclose(large[~swapped], small[~swapped] * scale, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(large[swapped], small[swapped] * scale, rtol=1e-4, atol=1e-1)


def test_the_share_of_corrupted_windows_is_kept(clean: npt.NDArray[np.float32]) -> None:
    corrupted, label, kind = inject(np.random.default_rng(5), clean, share=0.3)
    assert np.mean(kind > 0) == pytest.approx(0.3, abs=0.03)
    np.testing.assert_array_equal(label.any(axis=1), kind > 0)
    np.testing.assert_array_equal(corrupted[kind == 0], clean[kind == 0])
    untouched, nothing, zero = inject(np.random.default_rng(5), clean, share=0.0)
    np.testing.assert_array_equal(untouched, clean)
    assert not nothing.any()
    assert not zero.any()


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 20),
    length=st.integers(8, 80),
    level=st.sampled_from([0.0, 1.0, -273.15, 1e6]),
)
def test_even_constants_get_a_visible_labelled_anomaly(
    seed: int, count: int, length: int, level: float
) -> None:
    constant = np.full((count, length), level, dtype=np.float32)
    first = inject(np.random.default_rng(seed), constant)
    again = inject(np.random.default_rng(seed), constant)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    corrupted, label, kind = first
    assert (kind > 0).all()
    assert label.any(axis=1).all()
    np.testing.assert_array_equal(corrupted[~label], constant[~label])
    assert np.isfinite(corrupted).all()


@pytest.mark.parametrize(("count", "length"), [(-1, 128), (3, 7)])
def test_impossible_sizes_are_refused(count: int, length: int) -> None:
    with pytest.raises(UsageError, match=str(length)):
        windows(np.random.default_rng(0), count=count, length=length)


@pytest.mark.parametrize(("shape", "share"), [((10,), 1.0), ((2, 5), 1.0), ((2, 20), 1.5), ((2, 20), -0.1)])
def test_impossible_injections_are_refused(shape: tuple[int, ...], share: float) -> None:
    with pytest.raises(UsageError, match="share"):
        inject(np.random.default_rng(0), np.zeros(shape, dtype=np.float32), share=share)


def test_slow_changes_are_laid_under_half_of_the_signals_and_a_constant_stays_one() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((400, 600)).astype(np.float32)
    noise[0] = 3.0
    drifting = laid_under(rng, noise)
    moved = np.abs(drifting - noise).max(axis=1) > 0.05
    assert 0.35 < moved.mean() < 0.6
    assert (drifting[0] == 3.0).all()
    steps = np.abs(np.diff(drifting - noise, axis=1))
    assert np.median(steps) < 0.01  # slow: next to nothing from row to row
    assert drifting.dtype == np.float32
