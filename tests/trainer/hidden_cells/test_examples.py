"""Hidden cells of machines: which ones, in which units, and what other methods are shown."""

from dataclasses import fields
from pathlib import Path

import numpy as np
from edge_trainer.hidden_cells import examples as hidden
from edge_trainer.hidden_cells.evidence import N_FEATURES
from edge_trainer.hidden_cells.examples import Examples
from edge_trainer.hidden_cells.expectations import INTERPOLATION, NAMES
from edge_trainer.in_context.machines.machine import MachineRows

from edge_agent.records import Float32
from tests.trainer.hidden_cells.machines import machine, rows


def found(*, seed: int = 0, episodes: int = 3) -> Examples:
    def zero(shown: Float32) -> Float32:
        assert np.isnan(shown).any(axis=1).all()
        return np.zeros_like(shown)

    made = hidden.of_machine(
        np.random.default_rng(seed), machine(seed=seed), family="toy", episodes=episodes, others=[zero]
    )
    assert made is not None
    return made


def test_values_are_from_the_interpolation_in_units_of_what_the_best_errs_by() -> None:
    seen = found()
    assert seen.features.shape == (len(seen.truth), N_FEATURES)
    assert seen.expected.shape == (len(seen.truth), len(NAMES))
    assert (seen.expected[:, INTERPOLATION] == 0).all()
    assert np.isfinite(seen.features).all()
    assert set(seen.episode.tolist()) == {0, 1, 2}
    # zero in normal scales is as far from interpolation as the origin is: truth is a normal machine's value.
    absolute = (seen.truth - seen.others[:, 0]) * seen.scale
    assert np.abs(absolute).max() < 8


def test_codes_and_counters_are_not_hidden() -> None:
    codes = np.repeat(np.arange(2400) // 200 % 3, 1).astype(np.float32)
    counter = np.cumsum(np.abs(rows(2400)[:, 2])).astype(np.float32)
    known = machine()
    values = np.stack([codes, counter], axis=1)
    only_those = MachineRows(values, 900, 1.0, (), known.judged)
    assert hidden.of_machine(np.random.default_rng(0), only_those, family="toy", episodes=2) is None


def test_rows_that_nobody_judges_are_in_no_window() -> None:
    known = machine()
    judged = np.zeros(len(known.values), np.bool_)
    unjudged = MachineRows(known.values, 900, 1.0, (), judged)
    assert hidden.of_machine(np.random.default_rng(0), unjudged, family="toy", episodes=2) is None


def test_joined_parted_and_kept(tmp_path: Path) -> None:
    first, second = found(seed=1), found(seed=2)
    both = hidden.joined([first, second])
    again = hidden.only(both, np.arange(len(both.family)) >= len(first.family))
    hidden.save(both, tmp_path / "kept/part.npz")
    read = hidden.load(tmp_path / "kept/part.npz")
    for field in fields(Examples):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(second, field.name))
        np.testing.assert_array_equal(getattr(read, field.name), getattr(both, field.name))
