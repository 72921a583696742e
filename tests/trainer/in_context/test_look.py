"""What a network learns from is what the agent sees: learnt from calm rows, looked at later, fault and all."""

import numpy as np
import pytest
from edge_trainer.config import Config
from edge_trainer.in_context import episodes, stages
from edge_trainer.in_context.injections import Injected
from edge_trainer.in_context.look import WINDOW_ROWS, look
from edge_trainer.in_context.machines.families import Family
from edge_trainer.in_context.machines.machine import MachineRows

from edge_agent.detect.context_features import CHANNEL_FEATURES, MACHINE_FEATURES
from edge_agent.errors import CommissionError, TrainingError

CONTEXT, ROWS, FAULT = 500, 1500, slice(1000, 1200)


def machine(context_rows: int = CONTEXT) -> MachineRows:
    rng = np.random.default_rng(2)
    values = np.sin(np.arange(ROWS)[:, None] / np.array([9.0, 5.0, 17.0])) + 0.1 * rng.standard_normal(
        (ROWS, 3)
    )
    values[FAULT, 1] += 4.0
    fault = Injected("level", FAULT.start, FAULT.stop, np.array([False, True, False]))
    return MachineRows(values.astype(np.float32), context_rows, 1.0, (fault,), np.ones(ROWS, np.bool_))


def test_a_fault_is_seen_in_the_features_of_its_channel() -> None:
    seen = look(machine(), np.array([900, 1100]))
    assert seen.channels.shape == (2, 3, len(CHANNEL_FEATURES))
    assert seen.machine.shape == (2, len(MACHINE_FEATURES))
    assert seen.present.all()
    level = CHANNEL_FEATURES.index("last_16_level")
    assert seen.channels[1, 1, level] > 1.0 > abs(seen.channels[0, 1, level])
    assert abs(seen.channels[1, 0, level]) < 1.0
    assert seen.parts[1, 0] > seen.parts[0, 0]
    assert seen.shape[1] > seen.shape[0]


def test_an_episode_judges_rows_in_faults_after_them_and_elsewhere() -> None:
    family = Family("toy", "signal", 1.0, lambda _: machine())
    made = episodes.make(np.random.default_rng(0), family, windows=60)
    assert made is not None
    assert made.channels.shape[:2] == made.guilty.shape == made.present.shape
    assert made.label.sum() == 20
    assert len(made.label) > 40
    assert set(made.what[made.label]) == {"level"}
    assert made.guilty[made.label, 1].all()
    assert not made.guilty[:, [0, 2]].any()
    assert {3, 5, 10} >= set(np.round(10 * made.weight).tolist())
    assert (made.weight < 1).any()


def test_channels_that_a_gateway_leaves_out_are_left_out() -> None:
    silent = machine()
    silent.values[:400, 0] = np.nan
    seen = silent.observed()
    assert seen is not None
    assert seen.values.shape == (ROWS, 2)
    assert seen.faults[0].guilty.tolist() == [True, False]
    silent.values[:400] = np.nan
    assert silent.observed() is None


def test_a_fault_that_the_score_does_not_see_is_not_judged() -> None:
    rows = np.array([900, 1100, 1101])
    present = np.array([[True, True, True], [True, True, True], [True, False, True]])
    guilty, usable = machine().shown(rows, present)
    assert usable.tolist() == [True, True, False]
    assert guilty[1].tolist() == [False, True, False]


def test_too_short_a_context_is_no_episode() -> None:
    family = Family("toy", "signal", 1.0, lambda _: machine(context_rows=WINDOW_ROWS))
    with pytest.raises(CommissionError):
        episodes.make(np.random.default_rng(0), family, windows=60)


def test_families_that_are_left_out_are_known() -> None:
    config = Config()
    some = config.model_copy(update={"judge": config.judge.model_copy(update={"without": ("slow", "plant")})})
    assert {"slow", "pump", "furnace"} <= set(stages.left_out(some))
    assert "ordinary" not in stages.left_out(some)
    wrong = config.model_copy(update={"judge": config.judge.model_copy(update={"without": ("rocket",)})})
    with pytest.raises(TrainingError, match="no such family: rocket"):
        stages.left_out(wrong)
