"""Expectations: lines exactly, Gaussians as least squares has them, and never by what is hidden."""

import numpy as np
import pytest
from edge_trainer.hidden_cells.evidence import features
from edge_trainer.hidden_cells.expectations import (
    GAUSSIAN,
    INTERPOLATION,
    NAMES,
    best_by_calm_rows,
    interpolation,
    learn,
)
from edge_trainer.hidden_cells.gaps import GAPS, WINDOW_ROWS, Gap
from numpy.lib.stride_tricks import sliding_window_view

from edge_agent.records import Float32
from tests.trainer.hidden_cells.machines import rows

STRETCH = Gap(8, newest=False)
MOVED = [NAMES.index(name) for name in NAMES if "moved" in name]


def windows(count: int = 6, *, seed: int = 1) -> Float32:
    return np.ascontiguousarray(
        sliding_window_view(rows(400, seed=seed), WINDOW_ROWS, axis=0)[:: 270 // count]
    )


def test_a_line_is_interpolated_exactly_and_the_newest_rows_hold_the_last_value() -> None:
    line = np.arange(WINDOW_ROWS, dtype=np.float32)[None]
    np.testing.assert_allclose(
        interpolation(line[:, -STRETCH.span_rows :], STRETCH)[:, STRETCH.hidden],
        line[:, -STRETCH.span_rows :][:, STRETCH.hidden],
        rtol=1e-6,
    )
    newest = Gap(8, newest=True)
    held = interpolation(line[:, -newest.span_rows :], newest)[:, newest.hidden]
    assert (held == line[0, -9]).all()


@pytest.mark.parametrize("gap", GAPS)
def test_what_is_hidden_changes_neither_expectations_nor_features(gap: Gap) -> None:
    learnt = learn(rows(600), channel=0, gap=gap)
    assert learnt is not None
    seen = windows()[:, learnt.channels]
    other = seen.copy()
    other[..., -gap.span_rows :][:, 0, gap.hidden] = 99.0
    expected, again = (learnt.fitted.expect(part[..., -gap.span_rows :]) for part in (seen, other))
    assert expected.shape == (len(NAMES), len(seen), gap.rows)
    np.testing.assert_array_equal(expected, again)
    np.testing.assert_array_equal(features(learnt, seen, expected), features(learnt, other, expected))


def test_the_gaussian_is_the_regression_of_hidden_on_visible_cells() -> None:
    z, gap = rows(20_000), Gap(1, newest=False)
    learnt = learn(z[:, :2], channel=0, gap=gap)
    assert learnt is not None
    spans = sliding_window_view(z[:, :2], gap.span_rows, axis=0)
    hidden = spans[:, 0, gap.hidden].astype(np.float64)
    visible = np.concatenate(
        [np.delete(spans[:, 0], gap.hidden, axis=1), spans[:, 1], np.ones((len(spans), 1))], axis=1
    )
    weight = np.linalg.lstsq(visible.astype(np.float64), hidden, rcond=None)[0]
    fresh = sliding_window_view(rows(2000, seed=5)[:, :2], gap.span_rows, axis=0)
    known = np.concatenate(
        [np.delete(fresh[:, 0], gap.hidden, axis=1), fresh[:, 1], np.ones((len(fresh), 1))], axis=1
    )
    truth = fresh[:, 0, gap.hidden]
    ours, best = learnt.fitted.expect(np.ascontiguousarray(fresh))[GAUSSIAN], known @ weight
    assert np.sqrt(np.mean((ours - truth) ** 2)) < 1.1 * np.sqrt(np.mean((best - truth) ** 2))


def test_a_channel_that_follows_another_is_known_by_it() -> None:
    gap = Gap(32, newest=True)
    learnt = learn(rows(3000), channel=0, gap=gap)
    assert learnt is not None
    assert learnt.channels[:2].tolist() == [0, 1]
    error = np.sqrt(np.mean(learnt.calm_error**2, axis=1))
    assert error[GAUSSIAN] < 0.3 * error[INTERPOLATION]
    assert error[best_by_calm_rows(learnt.calm_error)] == error.min()


def test_a_machine_that_has_moved_is_expected_where_it_is_now() -> None:
    learnt = learn(rows(1200), channel=0, gap=STRETCH)
    assert learnt is not None
    spans = windows()[:, learnt.channels, -STRETCH.span_rows :]
    before, after = learnt.fitted.expect(spans), learnt.fitted.expect(spans + np.float32(20.0))
    np.testing.assert_allclose(after[MOVED] - before[MOVED], 20.0, atol=1e-2)


def test_too_few_rows_teach_nothing() -> None:
    assert learn(rows(40), channel=0, gap=Gap(32, newest=True)) is None
