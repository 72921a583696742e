"""Which channel alone stands at another level than the others let expect; nothing is told where two could be it."""

import numpy as np
import pytest

from edge_agent.sensors.level_step import LEVEL_ROWS, ChannelLevels, reference
from edge_agent.signals.features import scales

R, T = 4000, 128


def machine(rows: int, *, seed: int) -> np.ndarray:
    """Rows [R, 6] of two loads: the first channel follows both, two each one of them, the fourth is by itself."""
    rng = np.random.default_rng(seed)
    loads = np.cumsum(rng.normal(size=(rows, 2)), axis=0) * 0.05
    loads -= np.linspace(0.0, 1.0, rows)[:, np.newaxis] * loads[-1]  # they come back
    noise = rng.normal(size=(rows, 6))
    return np.column_stack(
        [
            50 + 3 * loads[:, 0] - 2 * loads[:, 1] + 0.2 * noise[:, 0],
            8 + loads[:, 0] + 0.1 * noise[:, 1],
            3 + loads[:, 1] + 0.1 * noise[:, 2],
            20 + 0.5 * noise[:, 3],
            5 - loads[:, 0] + 0.1 * noise[:, 4],
            9 + 2 * loads[:, 1] + 0.1 * noise[:, 5],
        ]
    ).astype(np.float32)


def learnt(rows: np.ndarray) -> dict[str, np.ndarray]:
    step = np.sqrt(np.mean(np.diff(rows.astype(np.float64), axis=0) ** 2, axis=0))
    memory = {**scales(rows), "evidence/step": step}
    return {**memory, **reference(rows, memory)}


@pytest.fixture(scope="module")
def memory() -> dict[str, np.ndarray]:
    return learnt(machine(R, seed=0))


def levels_of(memory: dict[str, np.ndarray]) -> ChannelLevels:
    found = ChannelLevels.read(memory)
    assert found is not None
    return found


@pytest.mark.parametrize(("channel", "offset"), [(0, 9.0), (1, -4.0), (3, 1.0)])
def test_a_step_is_told_with_its_channel_and_its_size(
    memory: dict[str, np.ndarray], channel: int, offset: float
) -> None:
    window = machine(R, seed=1)[1000 : 1000 + T].T
    assert levels_of(memory).find(window) is None
    window[channel] += offset
    step = levels_of(memory).find(window)
    assert step is not None
    assert step.channel == channel
    assert step.offset == pytest.approx(offset, rel=0.25)
    assert step.level == pytest.approx(window[channel, -LEVEL_ROWS:].mean(), rel=1e-4)
    assert step.level - step.offset == pytest.approx((step.low + step.high) / 2, rel=1e-5)


def test_it_is_what_least_squares_on_the_others_leaves(memory: dict[str, np.ndarray]) -> None:
    rows = machine(R, seed=0).astype(np.float64)
    levels = np.stack([rows[at : at + LEVEL_ROWS].mean(axis=0) for at in range(0, R - LEVEL_ROWS, 16)])
    design = np.column_stack([np.ones(len(levels)), levels[:, 1:]])
    weights = np.linalg.lstsq(design, levels[:, 0], rcond=None)[0]
    window = machine(R, seed=1)[1000 : 1000 + T].T
    window[0] += 9.0
    step = levels_of(memory).find(window)
    assert step is not None
    expected = np.r_[1.0, window[1:].astype(np.float64).mean(axis=1)] @ weights
    assert step.offset == pytest.approx(window[0].mean() - expected, abs=0.3)


def test_a_load_that_all_channels_follow_is_no_step(memory: dict[str, np.ndarray]) -> None:
    window = machine(R, seed=1)[1000 : 1000 + T].T
    window[0] += 3 * 1.5
    window[1] += 1.5
    window[4] -= 1.5
    assert levels_of(memory).find(window) is None


@pytest.mark.parametrize(
    "fault",
    ["second", "hidden", "another hidden", "missing", "another missing", "half", "restless", "frozen"],
)
def test_what_is_no_lasting_step_of_one_channel_that_is_seen(
    memory: dict[str, np.ndarray], fault: str
) -> None:
    window = machine(R, seed=1)[1000 : 1000 + T].T
    window[3] += 2.0
    if fault == "second":
        window[0] += 1.5
    elif fault == "missing":
        window[3] = np.nan
    elif fault == "another missing":
        window[5] = np.nan
    elif fault == "half":
        window[3, :LEVEL_ROWS] -= 2.0
    elif fault == "restless":
        window[3] += 2.0 * np.random.default_rng(2).normal(size=T)
    elif fault == "frozen":
        window[3] = window[3].mean()
    hidden = {"hidden": (3,), "another hidden": (0,)}.get(fault, ())
    assert levels_of(memory).find(window, hidden=hidden) is None


def test_a_level_that_is_usual_by_itself_is_no_step_whatever_the_others_say(
    memory: dict[str, np.ndarray],
) -> None:
    window = machine(R, seed=1)[1000 : 1000 + T].T
    window[0] += 1.5  # far beyond what the others let expect, in the middle of all that it ever was
    assert levels_of(memory).find(window) is None


def test_of_two_channels_that_nothing_else_foretells_neither_is_told() -> None:
    rows = machine(R, seed=0)[:, 1:2]
    pair = np.column_stack([rows, 2 * rows]) + np.random.default_rng(3).normal(size=(R, 2)) * 0.05
    levels = levels_of(learnt(pair.astype(np.float32)))
    window = pair[1000 : 1000 + T].T.astype(np.float32)
    window[0] += 0.4
    assert levels.find(window) is None


def test_a_step_has_gone_back_when_less_than_half_of_it_is_left(memory: dict[str, np.ndarray]) -> None:
    levels, window = levels_of(memory), machine(R, seed=1)[1000 : 1000 + T].T
    window[3] += 2.0
    step = levels.find(window)
    assert step is not None
    assert not levels.gone_back(window, step)
    window[3, -LEVEL_ROWS:] -= 1.5
    assert levels.gone_back(window, step)
    window[3] = np.nan
    assert not levels.gone_back(window, step)


@pytest.mark.parametrize(("rows", "channels"), [(600, 4), (R, 1)])
def test_of_too_little_nothing_is_learnt(rows: int, channels: int) -> None:
    memory = learnt(machine(R, seed=0)[:rows, :channels])
    assert ChannelLevels.read(memory) is None
