"""Rules about drift before a real agent: machines that wear or run otherwise, by rows that carry their own time.

Every row is a minute after the one before, so that days of a machine pass in seconds.
"""

import time

import pytest

from benchmarks.harness.patience import wait_until
from tests.observability.scene import LEARN_ROWS, Scene, Slow

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600), pytest.mark.xdist_group("observability")]
DAY_ROWS = 24 * 60
MOST_DAYS = 20


def commissioned(scene: Scene, name: str, *, load: float | None = 0.0) -> Slow:
    machine = Slow(scene, name)
    machine.run(LEARN_ROWS, load=load)
    scene.learnt(name)
    return machine


def test_threshold_drift(scene: Scene) -> None:
    machine = commissioned(scene, "fan-7")
    days = 0.0

    def wear() -> None:
        nonlocal days
        while scene.figure("threshold_ratio", machine.name) < 1.4:
            assert days < MOST_DAYS
            machine.run(DAY_ROWS // 8, noise=1.05)
            days += 1 / 8

    def learn_again() -> None:
        scene.recommission(machine.name)
        machine.run(LEARN_ROWS + 100, noise=1.05)

    scene.fire("EdgeAgentThresholdDrift", "days in which the noise of all channels is 5 % more", wear)
    scene.end("EdgeAgentThresholdDrift", "the command recommission", learn_again)
    assert days > 3


def test_score_drift(scene: Scene) -> None:
    """Wear goes on while the scores are normal, and back a little where they alarm."""
    machine = commissioned(scene, "fan-8")
    shift = 1.5

    def creep() -> None:
        nonlocal shift
        end = time.monotonic() + 75
        while ("EdgeAgentScoreDrift", "firing") not in scene.hook.heard and time.monotonic() < end:
            score = scene.figure("score_ratio", machine.name)
            shift += 0.1 if score < 0.85 else -0.1 if score > 0.95 else 0.0
            machine.run(2, shift=shift)
            time.sleep(0.5)

    scene.fire("EdgeAgentScoreDrift", "pressure creeps away until scores come near the threshold", creep)
    scene.end("EdgeAgentScoreDrift", "it is back where it was", lambda: machine.run(150))


def test_input_drift(scene: Scene) -> None:
    machine = commissioned(scene, "press-9", load=None)

    def heavy_work() -> None:
        wait_until(lambda: _run(machine, 0.93) or drift() > 2.2, what="drift")

    def mixed_work() -> None:
        wait_until(lambda: _run(machine, None) or drift() < 1.8, what="no drift")

    def drift() -> float:
        return scene.figure("input_drift", machine.name)

    scene.fire("EdgeAgentInputDrift", "a machine learnt at all loads runs at the highest only", heavy_work)
    scene.end("EdgeAgentInputDrift", "it runs at all loads again", mixed_work)


def _run(machine: Slow, load: float | None) -> None:
    machine.run(60, load=load)
    time.sleep(0.3)
