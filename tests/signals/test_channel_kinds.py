"""What is scored of a window by the kinds of its channels."""

import numpy as np
import pytest

from edge_agent.commissioning.kind_finding import find_kinds
from edge_agent.signals.channel_kinds import (
    ChannelKinds,
    rows_with_rates,
    transform,
    transform_rows,
    with_rates,
    without_unscored,
)

R, T, PERIOD_S = 4000, 128, 10.0
RNG = np.random.default_rng(0)
ENERGY, PIECES, STATE, TEMPERATURE = range(4)
ROWS = np.stack(
    [
        np.cumsum(0.5 + 0.01 * RNG.standard_normal(R)),
        np.floor(0.35 * np.arange(R)),
        (np.arange(R) // 100) % 3,
        60 + RNG.standard_normal(R),
    ],
    axis=1,
).astype(np.float32)
ARRAYS = find_kinds(ROWS, period_s=PERIOD_S)


def window(at: int = 2000) -> np.ndarray:
    return np.ascontiguousarray(ROWS[at : at + T].T[None])


def scored(values: np.ndarray) -> np.ndarray:
    return transform(values, ARRAYS)[0]


def test_a_profile_without_kinds_leaves_windows_as_they_are() -> None:
    values = window()
    assert transform(values, {}) is values
    assert with_rates(values, {}) is values
    assert without_unscored(values, {}) is values


def test_a_counter_is_its_rate_an_hour() -> None:
    assert ChannelKinds.read(ARRAYS).names == ("counter", "counter", "state", "analog")
    found = scored(window())
    assert np.isnan(found[:2, :16]).all()
    expected = (window()[0, ENERGY, 16:] - window()[0, ENERGY, :-16]) / 16 * 360
    assert found[ENERGY, 16:] == pytest.approx(
        expected, rel=0.06
    )  # but for the random share of the least step
    assert found[PIECES, 16:].mean() == pytest.approx(0.35 * 360, rel=0.02)


def test_whole_steps_at_a_constant_rate_are_no_comb() -> None:
    rate = scored(window())[PIECES, 16:]
    assert len(np.unique(rate)) > 60
    assert len(np.unique(window()[0, PIECES, 16:] - window()[0, PIECES, :-16])) == 2


def test_a_window_says_what_the_stretch_says_and_the_same_at_any_time_of_a_meter() -> None:
    stretch = transform_rows(ROWS, ARRAYS)
    np.testing.assert_array_equal(scored(window())[:, 16:], stretch[2016 : 2000 + T].T)
    together = transform(np.concatenate([window(10), window(2000), window(3000)]), ARRAYS)
    np.testing.assert_array_equal(together[1], scored(window()))
    means = together[:, ENERGY, 16:].mean(axis=1)
    assert means == pytest.approx(np.full(3, means[0]), rel=0.02)


@pytest.mark.parametrize("value", [0.0, -1.0, 1e7])
def test_a_counter_that_starts_again_or_is_exchanged_goes_on_at_its_rate(value: float) -> None:
    values = window()
    values[0, ENERGY, 60:] += value - values[0, ENERGY, 60]
    rate = scored(values)[ENERGY, 16:]
    assert rate == pytest.approx(scored(window())[ENERGY, 16:], rel=0.1)


def test_a_counter_that_is_not_heard_goes_on_at_its_rate() -> None:
    values = window()
    values[0, ENERGY, 50:70] = np.nan
    values[0, ENERGY, 120:] = np.nan
    assert scored(values)[ENERGY, 16:] == pytest.approx(scored(window())[ENERGY, 16:], rel=0.1)
    values[0, ENERGY] = np.nan
    assert np.isnan(scored(values)[ENERGY]).all()


def test_a_counter_that_falls_as_none_does_is_hidden_until_that_has_passed() -> None:
    values = window()
    values[0, ENERGY, 60:] -= 400.0  # to half of what it was
    assert np.isnan(scored(values)[ENERGY, 60:]).all()
    np.testing.assert_array_equal(scored(values)[ENERGY, :60], scored(window())[ENERGY, :60])
    stretch = ROWS.copy()
    stretch[1000:, ENERGY] -= 400.0
    assert np.flatnonzero(np.isnan(transform_rows(stretch, ARRAYS)[16:, ENERGY])).tolist() == list(
        range(984, 1112)
    )
    values[0, ENERGY] = 1000.0 - np.arange(T)
    assert np.isnan(scored(values)[ENERGY]).all()
    assert not np.isnan(scored(values)[PIECES, 16:]).any()


def test_a_counter_that_stands_or_runs_faster_says_so() -> None:
    values = window()
    values[0, ENERGY, 60:] = values[0, ENERGY, 60]
    assert scored(values)[ENERGY, 80:] == pytest.approx(np.zeros(48), abs=1e-3)
    values = window()
    values[0, ENERGY, 60:] += 0.5 * np.arange(T - 60, dtype=np.float32)
    assert scored(values)[ENERGY, 80:].mean() == pytest.approx(2 * 0.5 * 360, rel=0.05)


def test_states_are_hidden_and_shown_to_people() -> None:
    assert np.isnan(scored(window())[STATE]).all()
    shown = with_rates(window(), ARRAYS)[0]
    np.testing.assert_array_equal(shown[STATE:], window()[0, STATE:])
    np.testing.assert_array_equal(shown[:STATE], scored(window())[:STATE])
    np.testing.assert_array_equal(
        rows_with_rates(ROWS, ARRAYS)[16:, ENERGY], transform_rows(ROWS, ARRAYS)[16:, ENERGY]
    )
    hidden = without_unscored(window(), ARRAYS, counters=False)[0]
    assert np.isnan(hidden[:TEMPERATURE]).all()
    np.testing.assert_array_equal(hidden[TEMPERATURE], window()[0, TEMPERATURE])


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("at", [40, T - 2])
def test_a_spike_is_held_for_two_rows(rows: int, at: int) -> None:
    values = window()
    values[0, TEMPERATURE, at : at + rows] = -127.0
    found = scored(values)[TEMPERATURE]
    assert np.flatnonzero(np.isnan(found)).tolist() == list(range(at, at + rows))


def test_what_stays_far_out_counts_from_its_third_row_on_also_where_a_window_begins_in_it() -> None:
    values = window()
    values[0, TEMPERATURE, 40:50] = -127.0
    found = scored(values)[TEMPERATURE]
    assert np.flatnonzero(np.isnan(found)).tolist() == [40, 41]
    assert (found[42:50] == -127.0).all()
    values[0, TEMPERATURE] = -127.0
    assert (scored(values)[TEMPERATURE, 2:] == -127.0).all()


def test_a_signal_that_swings_wildly_is_seen() -> None:
    values = window()
    values[0, TEMPERATURE, ::3] = 500.0
    assert not np.isnan(scored(values)[TEMPERATURE]).any()


def test_windows_are_never_written_into() -> None:
    values = window()
    values[0, TEMPERATURE, 40] = -127.0
    before = values.copy()
    transform(values, ARRAYS)
    with_rates(values, ARRAYS)
    np.testing.assert_array_equal(values, before)


def test_some_channels_keep_what_was_learnt_of_them() -> None:
    chosen = np.array([ENERGY, TEMPERATURE])
    arrays = ChannelKinds.read(ARRAYS).masked(chosen).arrays()
    np.testing.assert_array_equal(transform(window()[:, chosen], arrays)[0], scored(window())[chosen])
