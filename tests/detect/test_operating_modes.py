"""Operating modes: found where the evidence carries them, told by a window's own rows, judged each by itself."""

import numpy as np
import pytest

from edge_agent.commissioning import mode_tree
from edge_agent.commissioning.baseline import commission
from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.detect.operating_modes import (
    OperatingModes,
    longer_than_learnt,
    newest_mean,
    row_modes,
    told,
)
from edge_agent.detect.view_scales import share_of_doubt
from edge_agent.signals.views import describe_together

T, PHASE = 128, 300
HOW: dict = {
    "window_rows": T,
    "encode": None,
    "budget_per_week": 1.0,
    "windows_per_week": 60_480.0,
    "seed": 0,
}


def machine(n_rows: int, seed: int, *, phase: int = PHASE) -> np.ndarray:
    """A machine that runs and rests in turn; its load is its own matter, its temperature hangs on the speed."""
    rng = np.random.default_rng(seed)
    running = (np.arange(n_rows) // phase) % 2
    speed = 1500.0 * running + rng.normal(0, 4.0, n_rows)
    current = 10.0 * running + rng.normal(0, 0.1, n_rows) * (0.1 + running)
    load = 5.0 + rng.normal(0, 0.5, n_rows)
    return np.stack([speed, current, load], axis=1).astype(np.float32)


def windows_of(rows: np.ndarray, step: int = 1) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(rows, T, axis=0)[::step].astype(np.float32)


@pytest.fixture(scope="module")
def memory() -> dict[str, np.ndarray]:
    return dict(commission(machine(6000, 0), **HOW))


def standardised(rows: np.ndarray) -> np.ndarray:
    return ((rows - rows.mean(axis=0)) / rows.std(axis=0)).T.astype(np.float32)


def test_modes_are_found_where_both_sides_were_visited_often_enough() -> None:
    assert mode_tree.find(standardised(machine(6000, 0)), n_lengths=4) is not None
    seldom = machine(1200, 0)  # twice each, and not for long
    assert mode_tree.find(standardised(seldom), n_lengths=4) is None


def test_a_machine_that_only_wanders_has_one_mode() -> None:
    rng = np.random.default_rng(1)
    steady = np.cumsum(rng.normal(0, 0.02, (2, 6000)), axis=1) * 0.1 + rng.normal(0, 1.0, (2, 6000))
    assert mode_tree.find(steady.astype(np.float32), n_lengths=4) is None


def test_a_mode_is_told_in_the_channels_own_units(memory: dict[str, np.ndarray]) -> None:
    modes = OperatingModes.read(memory)
    assert modes is not None
    words = told(
        modes,
        channels=("speed", "current", "load"),
        location=memory["location"],
        scale=memory["scale"],
    )
    name, side, limit = words[0].split(" ")
    assert (name, side) in {("speed", "below"), ("current", "below")}
    assert 0.0 < float(limit) < 1500.0


def test_a_window_belongs_to_the_mode_that_it_was_in_and_to_transitions_after_a_change(
    memory: dict[str, np.ndarray],
) -> None:
    modes = OperatingModes.read(memory)
    assert modes is not None
    z = ((windows_of(machine(900, 3)) - memory["location"][:, None]) / memory["scale"][:, None]).astype(
        np.float32
    )
    sets = modes.sets(z, (16, 32, 64, 128))
    ends = np.arange(T, T + sets.shape[1])
    at = {end: sets[:, place].tolist() for place, end in enumerate(ends.tolist())}
    resting, running, changing = at[PHASE][0], at[2 * PHASE][0], modes.count
    assert resting != running
    assert at[PHASE] == [resting] * 4
    assert at[PHASE + 10] == [changing] * 4
    assert at[PHASE + 25] == [running, changing, changing, changing]
    assert at[PHASE + 70] == [running, running, running, changing]
    assert at[PHASE + 140] == [running] * 4


def tree(n_nodes: int, seed: int) -> OperatingModes:
    """A random tree over three channels."""
    rng = np.random.default_rng(seed)
    sides, open_places, leaf = np.zeros((n_nodes, 2), np.int64), [(0, 0), (0, 1)], 0
    for node in range(1, n_nodes):
        sides[open_places.pop(int(rng.integers(len(open_places))))] = node
        open_places += [(node, 0), (node, 1)]
    for place in open_places:
        leaf -= 1
        sides[place] = leaf
    split = rng.normal(0, 1.0, n_nodes).astype(np.float32)
    return OperatingModes(
        channel=rng.integers(0, 3, n_nodes),
        split=split,
        transit=np.stack([split - 0.2, split + 0.2], axis=1),
        sides=sides,
        transit_rows=4,
        level=rng.normal(0, 1.0, (n_nodes + 1, 3)).astype(np.float32),
        level_spread=np.ones((n_nodes + 1, 3), np.float32),
        known=np.ones((4, n_nodes + 1), bool),
    )


@pytest.mark.parametrize("n_nodes", [1, 2, 5, 9])
def test_rows_are_told_as_who_walks_the_tree_row_by_row_tells_them(n_nodes: int) -> None:
    modes = tree(n_nodes, n_nodes)
    z = np.cumsum(np.random.default_rng(0).normal(0, 0.2, (3, 3, T)), axis=-1).astype(np.float32)
    found, moving = modes.rows(z)
    values = newest_mean(z)
    for window, row in np.ndindex(found.shape):
        node, between = 0, False
        while node >= 0:
            value = values[window, modes.channel[node], row]
            between |= bool(modes.transit[node, 0] < value < modes.transit[node, 1])
            node = int(modes.sides[node, int(value > modes.split[node])])
        assert found[window, row] == -1 - node
        assert between or not moving[window, row]
    assert moving.any()
    visited = modes.observe(z, (16, 32, 64, 128)).visited
    for window, seen in enumerate(visited):
        assert set(np.flatnonzero(seen)) >= set(found[window])
        assert moving[window].any() or set(np.flatnonzero(seen)) == set(found[window])


def test_a_change_between_learnt_modes_is_no_jump_and_what_goes_beyond_is(
    memory: dict[str, np.ndarray],
) -> None:
    jump = ENSEMBLE.names.index("jump")
    changes = windows_of(machine(1200, 21))
    usual = ENSEMBLE.score(memory, changes, None).calibrated[:, jump]
    assert usual.max() < 3.0
    beyond = machine(1200, 21)
    beyond[PHASE:, 2] += 5.0  # of a spread of .5, and not at all of the mode
    found = ENSEMBLE.score(memory, windows_of(beyond), None)
    at = PHASE + 64 - T
    assert found.calibrated[at, jump] > 5.0
    # As an agent that knew no levels of modes scored it.
    before = {name: array for name, array in memory.items() if name != "jump_mode_level"}
    older = ENSEMBLE.score(before, changes, None).calibrated[:, jump]
    assert older.max() > usual.max()


def test_a_window_in_one_mode_for_longer_than_learnt_may_still_change_from_any_other() -> None:
    visited = np.array([[True, False, False], [True, False, False], [True, True, False]])
    found = longer_than_learnt(visited, np.array([0, 3, 3]))
    assert found.tolist() == [[True, False, False], [True, True, True], [True, True, False]]


def test_a_mode_that_was_seen_for_long_is_known_without_many_visits() -> None:
    inside = np.zeros(6000, bool)
    inside[1000:1050] = True
    assert share_of_doubt(inside, stride=1) == 1.0
    inside[3000:3050] = True
    assert share_of_doubt(inside, stride=1) == pytest.approx(0.5**0.5)
    inside[1000:5000] = True
    assert share_of_doubt(inside, stride=1) == pytest.approx(0.125)
    assert share_of_doubt(np.ones(60_000, bool), stride=4) == pytest.approx(0.02)


def test_a_transit_that_does_not_end_is_judged_by_the_nearest_mode(memory: dict[str, np.ndarray]) -> None:
    modes = OperatingModes.read(memory)
    assert modes is not None
    at = int(modes.channel[0])
    between = np.tile(machine(T, 0)[-1:], (T, 1))
    between[:, at] = modes.transit[0].mean() * memory["scale"][at] + memory["location"][at]
    z = ((between.T[None] - memory["location"][:, None]) / memory["scale"][:, None]).astype(np.float32)
    assert modes.transit_rows < T
    assert (modes.sets(z, (16, 32, 64, 128)) < modes.count).all()


def test_a_fault_that_is_small_beside_the_way_between_modes_is_found_and_calm_rows_are_not(
    memory: dict[str, np.ndarray],
) -> None:
    calm = machine(4000, 5)
    assert np.mean(ENSEMBLE.score(memory, windows_of(calm, 8), None).value > 1.0) < 0.01
    faulty = machine(PHASE * 2, 6)
    faulty[-40:, 1] += 1.5  # of 10 between the modes
    found = ENSEMBLE.score(memory, windows_of(faulty)[-1:], None)
    assert found.value[0] > 1.0
    assert int(found.contributions[0].argmax()) == 1


def test_a_score_carries_the_mode_of_the_newest_row(memory: dict[str, np.ndarray]) -> None:
    windows = windows_of(machine(800, 4))
    found = ENSEMBLE.score(memory, windows, None).mode
    newest = [modes[-1] for window in windows if (modes := row_modes(memory, window.T)) is not None]
    assert found is not None
    assert found.tolist() == newest
    assert set(newest) == {-1, 0, 1}
    (described,) = describe_together([memory], [windows[:2]])
    assert described is not None
    (together,) = ENSEMBLE.score_together([memory], [described])
    assert together.mode is not None
    assert together.mode.tolist() == newest[:2]


def test_machines_with_and_without_modes_are_scored_together_as_each_alone(
    memory: dict[str, np.ndarray],
) -> None:
    one = dict(commission(machine(6000, 2, phase=10_000), **HOW))
    assert OperatingModes.read(one) is None
    blocks = [windows_of(machine(400, seed), 90)[:2] for seed in (7, 8, 9)]
    machines = [memory, one, memory]
    described = [seen for seen in describe_together(machines, blocks) if seen is not None]
    joint = ENSEMBLE.score_together(machines, described)
    for arrays, block, together in zip(machines, blocks, joint, strict=True):
        alone = ENSEMBLE.score(arrays, block, None)
        np.testing.assert_allclose(together.value, alone.value, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(together.contributions, alone.contributions, atol=1e-4)


@pytest.mark.parametrize("hidden", [0, 1, 2])
def test_whichever_sensor_is_hidden_the_other_channels_are_judged_in_their_mode(
    memory: dict[str, np.ndarray], hidden: int
) -> None:
    seen = [at for at in range(3) if at != hidden]
    masked = ENSEMBLE.mask(ENSEMBLE.compact(memory), seen)
    calm = np.ascontiguousarray(machine(3000, 11)[:, seen])
    assert np.mean(ENSEMBLE.score(masked, windows_of(calm, 8), None).value > 1.0) < 0.02


def test_a_change_is_one_though_the_sensor_that_tells_the_mode_is_hidden(
    memory: dict[str, np.ndarray],
) -> None:
    modes = OperatingModes.read(memory)
    assert modes is not None
    seen = [at for at in range(3) if at != int(modes.channel[0])]
    rows = machine(PHASE, 13).astype(np.float64)  # at rest
    rows[-20:, :2] += np.linspace(0.0, 1.0, 20)[:, None] * np.array([1500.0, 10.0])
    z = ((windows_of(rows) - memory["location"][:, None]) / memory["scale"][:, None]).astype(np.float32)
    sets = modes.masked(np.array(seen)).sets(np.ascontiguousarray(z[:, seen]), (16, 32, 64, 128))
    resting = modes.sets(z, (16, 32, 64, 128))[0, 0]
    assert (sets[:, -30] == resting).all()
    assert (sets[:, -11:-4] == modes.count).all()


def test_a_channel_that_stays_between_modes_is_judged_though_the_sensor_that_tells_them_is_hidden(
    memory: dict[str, np.ndarray],
) -> None:
    modes = OperatingModes.read(memory)
    assert modes is not None
    seen = [at for at in range(3) if at != int(modes.channel[0])]
    rows = machine(PHASE, 14).astype(np.float64)
    rows[:, :2] += np.array([900.0, 6.0])
    z = ((windows_of(rows) - memory["location"][:, None]) / memory["scale"][:, None]).astype(np.float32)
    sets = modes.masked(np.array(seen)).sets(np.ascontiguousarray(z[:, seen]), (16, 32, 64, 128))
    assert (sets < modes.count).all()


def test_the_packed_memory_knows_the_modes(memory: dict[str, np.ndarray]) -> None:
    windows = windows_of(machine(900, 12), 20)
    whole = ENSEMBLE.score(memory, windows, None).value
    small = ENSEMBLE.score(ENSEMBLE.compact(memory), windows, None).value
    assert np.mean(np.abs(small - whole) > 0.005 + 0.005 * whole) < 0.05
