"""Through the pipeline: a machine in service asks, is learnt again, goes on with that, and never from a fault."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_agent.commissioning.relearning import BASE, PIECES, STAGE
from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import CommissionRequest, Settings
from edge_agent.records import Frame, Profile, Reject
from tests.support import tiny

PERIOD_NS = 10 * 1_000_000_000
HOUR_ROWS = 360
SETTINGS = Settings(commission_rows=400, settle=True, hop_s=40.0)
FAULT = slice(900, 1100)
"""In the third hour."""


@pytest.fixture(scope="module")
def small(tiny_bundle: Path) -> Scorer:
    return tiny.scorer(tiny_bundle)


def plant(n_rows: int) -> np.ndarray:
    """Two channels at 20 and 5; in `FAULT` the second one is 9 higher, far out of anything calm."""
    values = np.array([20.0, 5.0]) + np.random.default_rng(0).standard_normal((n_rows, 2))
    values[FAULT, 1] += 9.0
    return values.astype(np.float32)


def drive(
    line: Pipeline, rows: np.ndarray, *, answer: Callable[[CommissionRequest], Profile | None]
) -> list[tuple[CommissionRequest, bool]]:
    """(each request to learn the machine again, whether the pipeline went on with the answer)."""
    asked = []
    for at in range(0, len(rows), 20):
        part = rows[at : at + 20]
        times = ((at + 1 + np.arange(len(part))) * PERIOD_NS).tolist()
        for request in line.feed([Frame("press", ("a", "b"), times, part)]).commissions:
            learnt = answer(request)
            if request.settling is None:
                assert learnt is not None
                line.install(learnt)
            else:
                asked.append((request, line.settle("press", learnt, stage=request.settling.stage)))
    return asked


def pipeline(scorer: Scorer) -> Pipeline:
    return Pipeline(decode=lambda _: Reject("no_source"), scorer=scorer, settings=SETTINGS)


@pytest.fixture(scope="module")
def lived(small: Scorer) -> tuple[Pipeline, list[tuple[CommissionRequest, bool]]]:
    line = pipeline(small)
    asked = drive(
        line, plant(7 * HOUR_ROWS), answer=lambda request: learn(request, scorer=small, settings=SETTINGS)
    )
    return line, asked


def test_what_was_learnt_again_is_what_the_machine_goes_on_with(
    lived: tuple[Pipeline, list[tuple[CommissionRequest, bool]]],
) -> None:
    line, asked = lived
    assert asked
    request, used = asked[-1]
    assert used
    (profile,) = line.profiles()
    assert profile.rows == len(request.rows) > SETTINGS.commission_rows
    assert int(profile.memory[STAGE]) == line.machines()["press"].settled_stage > 0
    np.testing.assert_array_equal(profile.memory[BASE], request.rows[: SETTINGS.commission_rows])


def test_no_row_of_a_fault_is_ever_learnt(
    lived: tuple[Pipeline, list[tuple[CommissionRequest, bool]]],
) -> None:
    line, asked = lived
    rows = plant(7 * HOUR_ROWS)
    calm = np.delete(rows, np.r_[FAULT], axis=0)
    assert rows[FAULT, 1].min() > calm[:, 1].max(), "the two can be told apart"
    (profile,) = line.profiles()
    assert len(profile.memory[PIECES]) > 0
    for request, _ in asked:
        assert request.rows[:, 1].max() <= calm[:, 1].max()
    assert all(request.settling is not None and request.settling.alarms for request, _ in asked)


def test_what_could_not_be_learnt_is_counted_and_the_machine_stays_as_it_was(small: Scorer) -> None:
    line = pipeline(small)

    def once(request: CommissionRequest) -> Profile | None:
        return learn(request, scorer=small, settings=SETTINGS) if request.settling is None else None

    asked = drive(line, plant(7 * HOUR_ROWS), answer=once)
    assert asked
    assert not any(used for _, used in asked)
    (profile,) = line.profiles()
    assert profile.rows == SETTINGS.commission_rows
    assert line.machines()["press"].settlings_refused == len(asked)
