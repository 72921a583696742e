"""A machine stands still where most of its channels have lost most of their noise."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from edge_agent.sensors.standstill import _FEW_ROWS, ROWS, Standstill, _mean, reference

RUNNING = 400


def rows(count: int, *, noise: float = 1.0, seed: int = 0) -> np.ndarray:
    """Five channels with a noise each, and one that never changes."""
    rng = np.random.default_rng(seed)
    moving = 10.0 + noise * rng.normal(size=(count, 5)) * [1.0, 0.1, 5.0, 2.0, 0.5]
    return np.column_stack([moving, np.full(count, 3.0)]).astype(np.float32)


def stopped(quiet: int, *, seed: int = 1) -> np.ndarray:
    """100 rows of which the latter half is quiet in the first channels."""
    values = rows(100, seed=seed)
    values[50:, :quiet] = 0.05 * values[50:, :quiet]
    return values


def observe(values: np.ndarray) -> np.ndarray:
    known = Standstill.read(reference(rows(RUNNING)))
    assert known is not None
    before = np.full((ROWS - 1, values.shape[1]), np.nan, np.float32)
    return known.observe(np.concatenate([before, values])).still


def test_a_running_machine_does_not_stand() -> None:
    assert not observe(rows(2000, seed=3)).any()


@pytest.mark.parametrize(("quiet", "stands"), [(5, True), (3, True), (2, False), (1, False)])
def test_most_channels_and_not_few_make_a_standstill(quiet: int, stands: bool) -> None:  # noqa: FBT001
    still = observe(stopped(quiet))
    assert not still[:50].any()
    assert still[-1] == stands


def test_it_takes_the_newest_rows_to_say_so() -> None:
    assert 50 + 20 <= int(np.argmax(observe(stopped(5)))) <= 50 + ROWS


def test_rows_in_portions_say_the_same_as_all_at_once() -> None:
    known = Standstill.read(reference(rows(RUNNING)))
    assert known is not None
    values = np.concatenate([np.full((ROWS - 1, 6), np.nan, np.float32), stopped(4)])
    whole = known.observe(values)
    for part in ("still", "quiet", "moving"):
        single = [getattr(known.observe(values[at : at + ROWS]), part)[0] for at in range(100)]
        assert np.array_equal(single, getattr(whole, part))


def test_a_source_that_repeats_its_last_message_is_no_machine_that_stands() -> None:
    values = rows(100, seed=1)
    values[50:] = values[50]
    assert not observe(values)[52:].any()
    values[50:, 0] = 0.0  # but one that says that the speed is 0 may well
    assert observe(values)[-1]


def test_a_machine_that_stood_still_while_it_was_learnt_may_so_for_three_times_as_long() -> None:
    memory = reference(np.concatenate([rows(RUNNING), stopped(5), rows(RUNNING), stopped(5)[:70]]))
    assert 40 <= memory["still_longest"] <= 60  # of 50 rows, and 20
    known = Standstill.read(memory)
    assert known is not None
    assert known.patience_rows == 3 * memory["still_longest"]
    running = Standstill.read(reference(rows(RUNNING)))
    assert running is not None
    assert running.patience_rows == 0
    del memory["still_longest"]  # as an older agent learns it
    assert Standstill.read(memory) is None


def test_stops_too_short_to_be_told_are_learnt_too() -> None:
    values = rows(RUNNING)
    for at in range(20, RUNNING, 50):
        values[at : at + 20] = 10.0 + 0.05 * (values[at : at + 20] - 10.0)
    memory = reference(values)
    assert memory["still_share"] < 0.6
    assert 16 <= memory["still_longest"] <= 24
    known = Standstill.read(memory)
    assert known is not None
    assert known.patience_rows == 3 * memory["still_longest"]


def test_a_machine_that_never_stops_is_given_no_time() -> None:
    assert reference(rows(20_000, seed=4))["still_longest"] == 0


def test_a_machine_that_is_inched_stands_all_the_while() -> None:
    values = stopped(5)
    inched = np.concatenate(
        [rows(RUNNING), values, values[50:], rows(10, seed=3), values[50:], rows(RUNNING)]
    )
    assert 100 <= reference(inched)["still_longest"] <= 180


def test_one_channel_alone_or_an_older_profile_says_nothing() -> None:
    assert Standstill.read(reference(rows(RUNNING)[:, :1])) is None
    assert Standstill.read({}) is None
    assert Standstill.read(reference(rows(20))) is None


def test_values_that_were_held_are_no_steps() -> None:
    values = rows(RUNNING)
    seen = np.ones(values.shape, np.bool_)
    values[1::2, 0], seen[1::2, 0] = values[::2, 0], False
    assert reference(values, seen)["still_step"][0] == 0.0
    values[:300, 1] = np.nan
    assert reference(values)["still_step"][1] == pytest.approx(0.113, rel=0.3)


@pytest.mark.parametrize("count", [8, 9, 40])
def test_the_mean_of_a_few_steps_is_numpys_to_the_bit(count: int) -> None:
    steps, span = np.abs(rows(count, seed=count)), _FEW_ROWS - 1
    assert np.array_equal(_mean(steps, span), sliding_window_view(steps, span, axis=0).mean(axis=-1))
