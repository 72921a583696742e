"""The false-alarm benchmark: its rules judge the score that alarms, behind the agent's own delays."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.detection.networks import NO_NETWORK, judged
from benchmarks.false_alarms import trial
from benchmarks.false_alarms.machines import DAY_ROWS, machine
from benchmarks.false_alarms.threshold_rules import RULES
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from edge_agent.model.session import ModelSession
from tests.support import tiny
from tests.support.tiny_judge import TinyJudge

FIRST = DAY_ROWS + 500


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    path: Path = tiny.bundle(tmp_path_factory.mktemp("bundle"), rows=128, judge=TinyJudge())
    return Scorer(ModelSession.open(bundle.read(path), provider="cpu"), expecting=False)


def told(values: list[float], recent: float = 0.0) -> trial.Known:
    return {FIRST + at: np.array([value, 0.0, recent], np.float32) for at, value in enumerate(values)}


def test_one_window_above_is_no_alarm_and_two_are() -> None:
    assert trial.TRIGGER.on_delay_windows == 2, "a minute of windows that come once a minute"
    limits = np.ones(2)
    assert trial.opened(told([0.2, 3.0, 0.2, 0.2]), limits) == []
    assert trial.opened(told([0.2, 3.0, 3.0, 0.2]), limits) == [FIRST + 2]
    assert trial.opened(told([0.2, 3.0, 3.0, 0.2]), 4 * limits) == []


def test_rules_are_given_what_the_judge_made_of_held_out_windows(scorer: Scorer) -> None:
    normal = machine(0, days=2, drift=False)
    _, by_judge = trial.learn(normal, scorer=scorer)
    _, by_statistics = trial.learn(normal, scorer=judged(scorer, "none"))
    assert by_judge.shape == by_statistics.shape
    np.testing.assert_allclose(by_judge[:, 1], by_statistics[:, 1])
    assert not np.allclose(by_judge[:, 0], by_statistics[:, 0])
    limits = trial.by_rule(by_judge)
    assert limits.keys() == RULES.keys()
    assert all(each.shape == (2,) and (each >= 0).all() for each in limits.values())


def test_others_learn_and_watch_the_same_machine(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "DAYS", 2)
    rows = trial.simulate(1, drift=False, scorer=scorer, others={NO_NETWORK: judged(scorer, "none")})
    names = [row["rule"] for row in rows]
    assert names == [trial.SHIPPED, trial.UNMOVED, *RULES, NO_NETWORK, *trial.RIVALS]
    assert all(row["shifts"]["5"]["shifts"] == 2 for row in rows)
    assert next(row for row in rows if row["rule"] == NO_NETWORK)["ratio_at_end"] is not None
