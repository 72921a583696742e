"""A gain is paired, its interval widens with machines that differ, and what cannot be compared is no gain."""

import numpy as np
import pytest
from edge_trainer.in_context.site.gain import gain


def test_a_gain_on_every_machine_is_shown() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(60)
    machines = [f"press-{number % 5}" for number in range(60)]
    found = gain(before, before + 0.1 + 0.02 * rng.standard_normal(60), machines)
    assert found.mean == pytest.approx(0.1, abs=0.02)
    assert 0.05 < found.low < found.mean < found.high < 0.15
    assert (found.groups, found.episodes) == (5, 60)


def test_many_episodes_of_few_machines_are_few_witnesses() -> None:
    rng = np.random.default_rng(1)
    own = np.repeat([0.3, -0.2, 0.1], 200)
    before, after = np.zeros(600), own + 0.01 * rng.standard_normal(600)
    clustered = gain(before, after, np.repeat(["a", "b", "c"], 200).tolist())
    alone = gain(before, after, [str(number) for number in range(600)])
    assert alone.low > 0.0
    assert clustered.low < 0.0, "on one of three machines it is a loss"


def test_machines_count_alike_however_many_episodes_they_have() -> None:
    after = np.array([1.0] * 9 + [0.0])
    found = gain(np.zeros(10), after, ["long"] * 9 + ["short"])
    assert found.after == pytest.approx(0.5)


def test_episodes_without_a_measure_do_not_count() -> None:
    found = gain(np.array([0.5, np.nan, 0.5]), np.array([0.6, 0.9, np.nan]), ["a", "a", "b"])
    assert (found.groups, found.episodes) == (1, 1)
    nothing = gain(np.full(3, np.nan), np.zeros(3), ["a", "a", "b"])
    assert nothing.episodes == 0
    assert np.isnan(nothing.low)
