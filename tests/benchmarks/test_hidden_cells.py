"""Hidden cells as figures: errors in normal scales, gains over families with their interval, a table."""

from dataclasses import replace

import numpy as np
from edge_trainer.hidden_cells.evidence import N_FEATURES
from edge_trainer.hidden_cells.examples import Examples
from edge_trainer.hidden_cells.expectations import NAMES

from benchmarks.hidden_cells.figures import (
    CHOSEN,
    ENCODER,
    GAUSS,
    LINE,
    MOVED,
    NETWORK,
    errors,
    gain,
    mean_of_families,
    summarised,
    table,
)
from benchmarks.hidden_cells.run import narrowed


def seen(*, episodes: int = 40, cells: int = 6) -> Examples:
    rng = np.random.default_rng(0)
    count = episodes * cells
    return Examples(
        features=np.zeros((count, 1), np.float32),
        expected=np.zeros((count, 8), np.float32),
        truth=rng.standard_normal(count).astype(np.float32),
        others=np.zeros((count, 1), np.float32),
        scale=np.full(count, 0.5, np.float32),
        episode=np.arange(count) // cells,
        family=np.array(["pump", "press", "robot", "fan"])[np.arange(episodes) % 4],
        gap=np.arange(episodes) % 7,
        best=np.zeros(episodes, np.int64),
    )


def test_errors_are_in_normal_scales_and_one_counts_eight_at_most() -> None:
    known = seen()
    error = errors(known, lambda each: each.truth + 2.0)
    np.testing.assert_allclose(error, 1.0, rtol=1e-5)
    np.testing.assert_allclose(errors(known, lambda each: each.truth + 1000.0), 8.0)


def test_families_count_alike_however_many_episodes_they_have() -> None:
    error, family = np.array([1.0, 1.0, 1.0, 3.0], np.float32), np.array(["a", "a", "a", "b"])
    assert mean_of_families(error, family) == 2.0


def test_a_gain_comes_with_its_interval() -> None:
    known = seen()
    other = np.random.default_rng(1).uniform(0.5, 1.5, len(known.family)).astype(np.float32)
    found = gain(0.8 * other, other, known.family)
    assert abs(found["share"] - 0.2) < 1e-3
    assert found["interval"][0] <= found["share"] <= found["interval"][1]
    assert found["families better"] == "4 of 4"
    low, high = gain(np.random.default_rng(2).permutation(other), other, known.family)["interval"]
    assert low < 0 < high


def test_a_network_may_be_told_less() -> None:
    known = replace(seen(), features=np.tile(np.arange(N_FEATURES, dtype=np.float32), (240, 1)))
    less = narrowed(known, without=["gaussian", "mean"])
    assert less.expected.shape[1] == len(NAMES) - 2
    gone = sorted(set(range(N_FEATURES)) - set(less.features[0].astype(int).tolist()))
    gaussian, mean = NAMES.index("gaussian"), NAMES.index("mean")
    assert gone == sorted(block * len(NAMES) + at for block in range(3) for at in (gaussian, mean))


def test_the_table_names_methods_families_and_gains() -> None:
    known = seen()
    error = errors(known, lambda each: 0.5 * each.truth)
    methods = {
        name: (0.9 if name == NETWORK else 1.0) * error
        for name in (LINE, GAUSS, MOVED, CHOSEN, ENCODER, NETWORK)
    }
    report = {"date": "", "commit": "", "machine": "", "command": ""} | {
        "sets": {"mine": summarised(known, methods)}
    }
    text = table(report)
    assert f"{NETWORK} below conditional Gaussian: 10.0%" in text
    assert "| robot |" in text
    assert "| single cell |" in text
