"""What is unusual about a window: each kind of fault is heard, laid to the right channel, and bounded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.commissioning.baseline import commission
from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.detect.detectors.mahalanobis import mahalanobis
from edge_agent.detect.reference_bank import neighbours, square_of
from edge_agent.signals.features import statistics

T, C = 128, 4
score = ENSEMBLE.score


def plant(n_rows: int, seed: int) -> np.ndarray:
    """Four channels: two that move together with noise, one periodic, one constant."""
    rng = np.random.default_rng(seed)
    load = np.convolve(rng.standard_normal(n_rows + 19), np.ones(20) / 4.5, mode="valid")
    noise = 0.2 * rng.standard_normal((n_rows, 3))
    wave = np.sin(2 * np.pi * np.arange(n_rows) / 16)
    rows = np.stack([20 + load, 50 + 3 * load, 5 + wave, np.full(n_rows, 7.0)], axis=1)
    rows[:, :3] += noise * np.array([1.0, 3.0, 1.0])
    return rows.astype(np.float32)


@pytest.fixture(scope="module")
def memory() -> dict[str, np.ndarray]:
    return dict(
        commission(
            plant(3000, seed=1),
            window_rows=T,
            encode=None,
            budget_per_week=1.0,
            windows_per_week=60_480.0,
            seed=0,
            kinds=(None, None, None, "analog"),  # else what a constant does is no matter of the score
        )
    )


def window(seed: int = 9) -> np.ndarray:
    return np.ascontiguousarray(plant(T, seed).T[None])


def faulty(kind: str) -> tuple[np.ndarray, int]:
    """(window with a fault in its newest 32 rows, guilty channel)."""
    values = window()
    newest = slice(T - 32, T)
    if kind == "shift":
        values[0, 0, newest] += 8.0
    elif kind == "noise":
        values[0, 1, newest] += 12.0 * np.random.default_rng(0).standard_normal(32)
    elif kind == "frozen":
        values[0, 2, newest] = values[0, 2, T - 33]
    elif kind == "rhythm":
        values[0, 2, newest] = 5 + np.sin(2 * np.pi * np.arange(32) / 5)
    elif kind == "constant moves":
        values[0, 3, newest] = 9.0
    guilty = {"shift": 0, "noise": 1, "frozen": 2, "rhythm": 2, "constant moves": 3}[kind]
    return values, guilty


@pytest.mark.parametrize("kind", ["shift", "noise", "frozen", "rhythm", "constant moves"])
def test_a_fault_is_found_and_laid_to_its_channel(memory: dict[str, np.ndarray], kind: str) -> None:
    values, guilty = faulty(kind)
    found = score(memory, values, None)
    assert found.value[0] > 1.0
    assert int(found.contributions[0].argmax()) == guilty


def test_a_broken_relation_between_healthy_looking_channels_raises_the_score(
    memory: dict[str, np.ndarray],
) -> None:
    values = window()
    together = score(memory, values, None)
    values[0, 1] = plant(T, seed=77)[:, 1]
    apart = score(memory, values, None)
    shape = ENSEMBLE.names.index("shape")
    assert apart.calibrated[0, shape] > together.calibrated[0, shape] + 1.0


def test_the_value_does_not_depend_on_the_rest_of_the_batch(memory: dict[str, np.ndarray]) -> None:
    batch = np.concatenate([window(seed) for seed in range(5)])
    alone = np.concatenate([score(memory, batch[i : i + 1], None).value for i in range(5)])
    assert score(memory, batch, None).value == pytest.approx(alone, abs=1e-4)


def test_a_constant_channel_that_moves_is_bounded(memory: dict[str, np.ndarray]) -> None:
    small, large = window(), window()
    small[0, 3, -32:] = 9.0
    large[0, 3, -32:] = 1e9
    assert score(memory, large, None).value == pytest.approx(score(memory, small, None).value, rel=1e-5)


def test_hidden_cells_alone_are_no_finding(memory: dict[str, np.ndarray]) -> None:
    values = window()
    values[0, 0, 10:20] = np.nan
    values[0, 3] = np.nan
    values[0, 1, -2:] = np.nan
    found = score(memory, values, None)
    assert np.isfinite(found.value).all()
    assert found.value[0] < 1.0


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.0), st.floats(1e-3, 1e30))
def test_any_window_gives_finite_scores_and_shares(seed: int, hidden: float, size: float) -> None:
    learnt = _learnt()
    rng = np.random.default_rng(seed)
    values = (size * rng.standard_normal((3, C, T))).astype(np.float32)
    values[rng.random(values.shape) < hidden] = np.nan
    found = score(learnt, values, None)
    assert np.isfinite(found.value).all()
    assert np.isfinite(found.calibrated).all()
    assert (found.contributions >= 0).all()
    sums = found.contributions.sum(axis=1)
    assert np.all(np.isclose(sums, 1.0, atol=1e-4) | (sums == 0.0))


def _learnt() -> dict[str, np.ndarray]:
    if not _CACHE:
        _CACHE.update(
            commission(
                plant(600, seed=1),
                window_rows=T,
                encode=None,
                budget_per_week=1.0,
                windows_per_week=60_480.0,
                seed=0,
            )
        )
    return _CACHE


_CACHE: dict[str, np.ndarray] = {}


def test_statistics_agree_with_their_definitions() -> None:
    z = np.random.default_rng(4).standard_normal((2, 3, 32)).astype(np.float32)
    found = statistics(z)
    assert found[..., 0] == pytest.approx(z.mean(axis=-1), abs=1e-5)
    assert found[..., 1] == pytest.approx(z.std(axis=-1), abs=1e-5)
    assert found[..., 4] == pytest.approx(np.abs(np.diff(z, axis=-1)).mean(axis=-1), abs=1e-5)


def test_a_sine_falls_into_the_band_of_its_frequency() -> None:
    time = np.arange(64)
    slow, fast = np.sin(2 * np.pi * time / 32), np.sin(2 * np.pi * time * 31 / 64)
    found = statistics(np.stack([slow, fast])[None].astype(np.float32))[0, :, 5:]
    assert found[0].argmax() == 1
    assert found[1].argmax() == 5


def test_neighbours_agree_with_a_loop() -> None:
    rng = np.random.default_rng(8)
    points, bank = (
        rng.standard_normal((6, 5)).astype(np.float32),
        rng.standard_normal((9, 5)).astype(np.float32),
    )
    distance, nearest = neighbours(points, bank, square=square_of(bank))
    for index, point in enumerate(points):
        away = np.linalg.norm(bank - point, axis=1)
        assert distance[index] == pytest.approx(np.sort(away)[:3].mean(), abs=1e-4)
        assert nearest[index] == away.argmin()


def test_shape_distance_agrees_with_the_textbook_and_its_parts_with_the_whole() -> None:
    rng = np.random.default_rng(2)
    z = rng.standard_normal((3, 2, 8)).astype(np.float32)
    mean = rng.standard_normal(8).astype(np.float32)
    root = rng.standard_normal((8, 8))
    precision = (root @ root.T).astype(np.float32)
    distance, residuals = mahalanobis(z, mean=mean, precision=precision)
    for index in range(3):
        away = z[index, :, -4:].ravel() - mean
        assert distance[index] == pytest.approx(np.sqrt(away @ precision @ away), rel=1e-4)
    covariance = np.linalg.inv(precision.astype(np.float64))
    away = z[0, :, -4:].ravel() - mean
    for cell in range(8):
        others = np.delete(np.arange(8), cell)
        weights = np.linalg.solve(covariance[np.ix_(others, others)], covariance[others, cell])
        spread = np.sqrt(covariance[cell, cell] - covariance[cell, others] @ weights)
        expected = (away[cell] - away[others] @ weights) / spread
        assert residuals[0].ravel()[cell] == pytest.approx(expected, rel=1e-2, abs=1e-3)


def test_a_plain_step_of_one_heavy_tailed_channel_is_an_alarm_after_any_slow_drift() -> None:
    """Among many statistics it would be drowned; that the machine has drifted since it was learnt is nothing."""
    rng = np.random.default_rng(12)
    noise = np.zeros((6000, 3))
    shocks = rng.standard_t(4, noise.shape)
    for at in range(1, len(noise)):
        noise[at] = 0.9 * noise[at - 1] + shocks[at]
    deviation = noise[:5000].std(axis=0)
    memory = commission(
        noise[:5000].astype(np.float32),
        window_rows=T,
        encode=None,
        budget_per_week=1.0,
        windows_per_week=60_480,
        seed=0,
    )
    before = noise[5000 : 5000 + T].T[np.newaxis].astype(np.float32)
    drifted = before + (1.5 * deviation[:, np.newaxis]).astype(np.float32)
    stepped = drifted.copy()
    stepped[0, 1, -48:] += 5 * deviation[1]
    assert score(memory, drifted, None).parts[0, 1] < 1.0
    found = score(memory, stepped, None)
    assert found.parts[0, 1] > 1.0
    assert int(found.contributions[0].argmax()) == 1


def rinsed(n_rows: int, seed: int, *, at: int) -> np.ndarray:
    """A filler that is rinsed once, with what is hot and cools off slowly."""
    rng = np.random.default_rng(seed)
    rinsing = np.zeros(n_rows)
    rinsing[at : at + 160] = 1.0

    def lag(target: np.ndarray, rows: float) -> np.ndarray:
        found = np.empty(n_rows)
        found[0] = target[0]
        for row in range(1, n_rows):
            found[row] = found[row - 1] + (target[row] - found[row - 1]) / rows
        return found

    flow = lag(40.0 + 14.0 * rinsing, 3.0) + 0.5 * lag(rng.standard_normal(n_rows), 2.0)
    columns = (
        flow,
        0.0014 * flow**2 + 0.04 * rng.standard_normal(n_rows),
        8.0 + lag(67.0 * rinsing, 25.0) + 0.7 * lag(rng.standard_normal(n_rows), 10.0),
        2.1 + lag(40.0 * rinsing, 8.0) + 0.1 * lag(rng.standard_normal(n_rows), 6.0),
        2.5 + 0.11 * flow + 0.08 * rng.standard_normal(n_rows),
    )
    return np.stack(columns, axis=1).astype(np.float32)


def test_what_was_seen_once_is_tolerated_to_its_end_by_the_newest_rows_too() -> None:
    """The end of what was seen once looks like all else in single statistics, but not to a Gaussian of neighbours."""
    how = {"window_rows": T, "encode": None, "budget_per_week": 1.0, "windows_per_week": 60_480.0, "seed": 0}
    learnt = dict(commission(rinsed(6000, 1, at=2500), **how))
    rows = rinsed(1100, 2, at=500)
    windows = np.lib.stride_tricks.sliding_window_view(rows, T, axis=0)[::2].astype(np.float32)
    shape = ENSEMBLE.names.index("shape")
    found = ENSEMBLE.score(learnt, windows, None).calibrated[:, shape]
    before = {name: array for name, array in learnt.items() if name != "shape_alike"}
    older = ENSEMBLE.score(before, windows, None).calibrated[:, shape]
    end = slice((660 + 20 - T) // 2, (660 + 200 - T) // 2)
    assert older[end].max() > 3.0
    assert found[end].max() < 0.5 * older[end].max()
    broken = windows[:50].copy()
    broken[:, 1, -16:] += 0.6  # a relation that broke while nothing else went on
    assert ENSEMBLE.score(learnt, broken, None).calibrated[:, shape].min() > 3.0
