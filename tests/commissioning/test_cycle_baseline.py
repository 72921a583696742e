"""What is learnt of cycles: what explains and what does not, and which score a calm cycle has."""

import numpy as np
import pytest

from edge_agent.commissioning.cycle_baseline import CycleChannels, fit, leaked_names
from edge_agent.detect.cycle_scores import CycleMemory, score
from edge_agent.errors import CommissionError
from edge_agent.records import Float32, WindowBlock

NAMES = ("duration_s", "load.mean", "current.mean", "speed.mean", "heat.mean")
CHANNELS = CycleChannels(NAMES, "", frozenset({"load.mean"}), frozenset({"duration_s"}))


def cycles(count: int, *, seed: int = 0, current: float = 0.0) -> Float32:
    """The current follows the load; heat follows the current a little, and nothing else."""
    rng = np.random.default_rng(seed)
    load = rng.uniform(1, 5, count)
    amperes = 2 * load + 0.1 * rng.normal(size=count) + current
    return np.column_stack(
        [
            20 + 0.2 * rng.normal(size=count),
            load,
            amperes,
            rng.normal(size=count),
            30 + rng.normal(size=count),
        ]
    ).astype(np.float32)


def learnt(rows: Float32) -> dict[str, np.ndarray]:
    return fit(rows, CHANNELS, budget_per_week=1.0, cycles_per_week=10_000.0)


def scores(rows: Float32, arrays: dict[str, np.ndarray]) -> np.ndarray:
    count = np.arange(len(rows))
    return score(WindowBlock("x/cycle", rows[:, :, np.newaxis], count, count), arrays, NAMES).value


def alarms(found: np.ndarray) -> float:
    """The share of cycles that are loud for the second time."""
    return float((np.minimum(found[1:], found[:-1]) > 1).mean())


def test_what_is_given_explains_what_follows_it() -> None:
    arrays = learnt(cycles(80))
    weights = CycleMemory.read(arrays).weights
    assert np.abs(weights[:, NAMES.index("current.mean") - 1]).max() > 1
    assert np.abs(weights[:, NAMES.index("speed.mean") - 1]).max() == 0, (
        "it does not explain what it does not move"
    )
    assert scores(cycles(50, seed=1, current=1.5), arrays).min() > 1, "a third of what the load moves it by"
    assert alarms(scores(cycles(300, seed=2), arrays)) < 0.01


def test_a_leaked_copy_explains_nothing_and_is_named() -> None:
    rows = cycles(80)
    rows[:, NAMES.index("current.mean")] = rows[:, NAMES.index("load.mean")] * 2 + 1
    memory = CycleMemory.read(learnt(rows))
    assert leaked_names(memory, NAMES) == ("current.mean",)
    assert np.abs(memory.weights[:, 1]).max() == 0
    assert leaked_names(CycleMemory.read(learnt(cycles(80))), NAMES) == ()


def test_a_context_that_never_moved_explains_nothing_and_its_first_move_is_unknown() -> None:
    rows = cycles(80)
    rows[:, NAMES.index("load.mean")] = 3.0
    memory = CycleMemory.read(learnt(rows))
    moved = cycles(4, seed=1)
    assert not memory.known(moved).any()
    assert memory.known(rows).all()


def test_learnt_cycles_score_what_new_ones_do() -> None:
    arrays = learnt(cycles(60, seed=3))
    new = scores(cycles(400, seed=4), arrays)
    assert np.median(new) < 0.8
    assert alarms(new) < 0.01


def test_one_strange_cycle_among_the_learnt_ones_makes_nobody_deaf() -> None:
    rows = cycles(80)
    rows[40, NAMES.index("current.mean")] += 40
    assert scores(cycles(50, seed=1, current=2.5), learnt(rows)).min() > 1


def test_a_longer_duration_alone_is_seen() -> None:
    arrays, late = learnt(cycles(80)), cycles(20, seed=1)
    late[:, 0] += 3
    assert scores(late, arrays).min() > 1


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_channel_that_says_nothing_is_left_out(broken: float) -> None:
    rows = cycles(80)
    rows[:, NAMES.index("speed.mean")] = broken
    arrays = learnt(rows)
    assert np.isfinite(scores(rows, arrays)).all()
    assert NAMES.index("speed.mean") not in CycleMemory.read(arrays).features


def test_too_few_cycles_are_an_error() -> None:
    with pytest.raises(CommissionError, match="20 are needed"):
        learnt(cycles(12))


def test_a_step_of_one_recipe_only_is_judged_in_it_and_nowhere_else() -> None:
    rng = np.random.default_rng(0)
    names = ("duration_s", "step_9.duration_s", "recipe")
    rows = np.column_stack([rng.normal(10, 0.2, 80), rng.normal(3, 0.1, 80), np.repeat([1.0, 2.0], [60, 20])])
    rows[:60, 1] = np.nan
    rows = rng.permutation(rows).astype(np.float32)
    of = CycleChannels(names, "recipe", frozenset(), frozenset(names[:2]))
    memory = CycleMemory.read(fit(rows, of, budget_per_week=1.0, cycles_per_week=10_000.0))
    z = memory.standardised(np.array([[10, 6, 1], [10, 6, 2], [10, 3, 2]], np.float32))
    at = memory.features.tolist().index(1)
    assert z[0, at] == 0.0
    assert z[1, at] > 10.0
    assert abs(z[2, at]) < 3.0
