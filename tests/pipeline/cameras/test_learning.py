"""What is learnt of parts: a threshold that lets a share of good ones through, and how many suspects are an alarm."""

from functools import lru_cache

import numpy as np
import pytest

from edge_agent.config.sections import SHIPPED_PICTURES
from edge_agent.model import picture as bundles
from edge_agent.model.session import PictureSession
from edge_agent.pipeline.cameras.learning import (
    FEWEST_SUSPECTS,
    CameraMemory,
    CameraRequest,
    learn,
    suspects_for_alarm,
)
from edge_agent.records import Float32
from simulator.parts import part

NETWORK = PictureSession(bundles.read(SHIPPED_PICTURES))
LEARNT, JUDGED = 30, 20


def patches(number: int, fault: str = "") -> Float32:
    return NETWORK.look(part("mixed", number, fault)[np.newaxis, ::2, ::2])[0]


@lru_cache(1)
def gathered() -> Float32:
    return np.stack([patches(number) for number in range(LEARNT)])


def request(suspects: float = 0.01, *, period_s: float = 1.0, budget_per_week: float = 1.0) -> CameraRequest:
    return CameraRequest(
        machine="press-4", camera="cam1", network="", subject="part", patches=gathered().astype(np.float16),
        gauges=np.zeros((LEARNT, 6), np.float32), aspect=1.0, counted=None, suspects=suspects,
        times_ns=tuple(round(n * period_s * 1e9) for n in range(LEARNT)), budget_per_week=budget_per_week,
    )  # fmt: skip


def share_above(memory: CameraMemory, *fault: str) -> float:
    scores = [memory.score(memory.unusual(patches(1000 + n, *fault)), None) for n in range(JUDGED)]
    return float(np.mean(np.array(scores) >= 1.0))


def test_of_castings_that_differ_much_most_scratched_ones_are_suspects_and_few_good_ones() -> None:
    memory = learn(request(0.02))
    assert share_above(memory) <= 0.2
    assert share_above(memory, "scratch") >= 0.6


def test_the_threshold_of_parts_follows_the_share_and_not_the_budget_of_weeks() -> None:
    strict, loose = learn(request(0.002)), learn(request(0.05))
    assert strict.threshold > loose.threshold
    assert learn(request(0.05, budget_per_week=0.01)).threshold == loose.threshold


def test_the_budget_says_how_many_suspects_are_an_alarm() -> None:
    assert learn(request(0.01, period_s=600.0)).suspects == FEWEST_SUSPECTS
    assert learn(request(0.01, period_s=1.0)).suspects == 5
    assert learn(request(0.01, period_s=600.0, budget_per_week=0.001)).suspects > FEWEST_SUSPECTS


@pytest.mark.parametrize(("share", "per_week"), [(0.01, 604_800.0), (0.02, 10_080.0), (0.05, 50_000.0)])
def test_good_parts_alone_alarm_within_the_budget(share: float, per_week: float) -> None:
    wanted = suspects_for_alarm(share, parts_per_week=per_week, budget_per_week=0.5)
    loud = np.random.default_rng(0).random(4_000_000) < share
    within = np.convolve(loud, np.ones(20, int), "valid")
    risen = np.count_nonzero((within[1:] >= wanted) & (within[:-1] < wanted))
    assert risen / 4_000_000 * per_week <= 1.0  # a week's alarms, of a budget of half of one, by chance


def test_what_no_count_keeps_within_the_budget_wants_all_of_them() -> None:
    assert suspects_for_alarm(0.2, parts_per_week=1e9, budget_per_week=1e-9) == 20
