"""A machine that runs a program: steps of a recipe one after another, whose course the measured channels follow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_agent.records import Float32

SECOND_NS = 1_000_000_000
CHANNELS = ("step", "program", "payload", "current", "position")
STEPS_S = (1.5, 2.2, 1.0, 2.0)


@dataclass(frozen=True)
class Doing:
    """How one cycle goes.

    Attributes:
        steps_s: how long each step takes, before chance.
        drag: what is added to the current in the third step.
    """

    recipe: float = 7.0
    payload: float = 1.0
    steps_s: tuple[float, ...] = STEPS_S
    drag: float = 0.0


USUAL = Doing()
SLOW_STEP = Doing(steps_s=(1.5, 4.1, 1.0, 2.0))
DRAGGING = Doing(drag=1.5)


def run(
    doings: Sequence[Doing], *, seed: int = 0, rate_hz: float = 10.0, start_ns: int = 0
) -> tuple[list[int], Float32]:
    """(times, rows of `CHANNELS`) of cycles one after another, and the first row of one more."""
    rng = np.random.default_rng(seed)
    rows: list[list[float]] = []
    for doing in doings:
        for number, seconds in enumerate(doing.steps_s, start=1):
            count = max(2, round(rate_hz * seconds * (1 + 0.02 * rng.normal())))
            phase = np.linspace(0, 1, count, endpoint=False)
            drag = doing.drag if number == 3 else 0.0
            current = (
                2 * number + doing.payload * np.sin(np.pi * phase) + drag + 0.05 * rng.normal(size=count)
            )
            position = number - 1 + phase + 0.01 * rng.normal(size=count)
            rows += [
                [number, doing.recipe, doing.payload, float(one), float(place)]
                for one, place in zip(current, position, strict=True)
            ]
    rows.append([1.0, doings[-1].recipe, doings[-1].payload, 2.0, 0.0])
    step_ns = round(SECOND_NS / rate_hz)
    return [start_ns + at * step_ns for at in range(len(rows))], np.array(rows, np.float32)
