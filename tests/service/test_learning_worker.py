"""The worker gives a profile or a reason; what killed two processes is a reason without another try."""

import threading
from pathlib import Path
from typing import Any, cast

import numpy as np

from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.results import CommissionRequest
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Profile
from edge_agent.service.learning_worker import Learner, Learnt
from edge_agent.store.risky_work import RiskyWork


def request(machine: str) -> CommissionRequest:
    rows = np.zeros((1, 1), np.float32)
    return CommissionRequest(
        machine=machine, channels=("a",), rows=rows, period_ns=1, hop_rows=1, time_ns=1, observed=None
    )


def learner(folder: Path, learn: Any) -> Learner:
    risky = RiskyWork(folder / "learning.json", circumstances="1")
    return Learner(scorer=cast("Scorer", None), settings=PipelineSettings(), risky=risky, learn=learn)


def outcome(one: Learner, machine: str) -> Learnt:
    one.submit(request(machine))
    while not (found := list(one.finished())):
        threading.Event().wait(0.01)
    return found[0]


def test_a_machine_that_killed_two_processes_is_told_and_not_learnt_until_somebody_asks(
    tmp_path: Path,
) -> None:
    for _ in range(2):
        dead = RiskyWork(tmp_path / "learning.json", circumstances="1")
        dead.load()
        dead.begin("wide")
    asked: list[str] = []

    def learn(one: CommissionRequest, **_: Any) -> Profile:
        asked.append(one.machine)
        raise ValueError("of no matter here")

    worker = learner(tmp_path, learn)
    worker.start()
    assert "died twice while it learnt this machine" in str(outcome(worker, "wide").result)
    assert "of no matter" in str(outcome(worker, "pump").result)
    worker.forgive("wide")
    assert "of no matter" in str(outcome(worker, "wide").result)
    assert asked == ["pump", "wide"]
