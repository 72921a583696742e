"""A guard against gross slow-downs that no busy machine can trip: calls of functions a message, not time.

Counted with everything that Python runs, its built-in functions included. The limits are half as much again as what
was counted when this was written; who needs more says so here.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from types import FrameType

import numpy as np
import pytest

from edge_agent.config.file import Config
from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import CommissionRequest
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Delivery, Profile
from edge_agent.service.wiring import load_scorer, message_decoder, pipeline_settings

CHANNELS, RATE_HZ, MACHINES, WINDOW_ROWS, HOP_ROWS = 8, 20, 10, 128, 20
PERIOD_NS = 1_000_000_000 // RATE_HZ
NAMES = tuple(f"c{at}" for at in range(CHANNELS))


def values(rows: int, *, seed: int) -> np.ndarray:
    noise = np.clip(np.random.default_rng(seed).normal(size=(rows, CHANNELS)), -2.5, 2.5)
    wave = np.sin(2 * np.pi * np.arange(rows) / 32)[:, None]
    return (10.0 * (np.arange(CHANNELS) + 1) + wave + 0.1 * noise).astype(np.float32)


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return load_scorer(Config.model_validate({}))


@pytest.fixture(scope="module")
def profile(scorer: Scorer) -> Profile:
    request = CommissionRequest("m0", NAMES, values(1500, seed=0), PERIOD_NS, 1, 1500 * PERIOD_NS)
    return learn(request, scorer=scorer, settings=PipelineSettings())


def deliveries(*, rows: int, block_rows: int) -> Iterator[Delivery]:
    seen, first_s = values(1024, seed=1).round(3), 1_700_000_000.0
    for begin in range(0, rows, block_rows):
        for machine in range(MACHINES):
            block = seen[(begin + np.arange(block_rows)) % len(seen)]
            times = [first_s + (begin + row) / RATE_HZ for row in range(block_rows)]
            told: dict[str, object] = {"ts": times, "values": dict(zip(NAMES, block.T.tolist(), strict=True))}
            if block_rows == 1:
                told = {"ts": times[0], "values": dict(zip(NAMES, block[0].tolist(), strict=True))}
            yield Delivery(f"sensors/m{machine}", json.dumps(told).encode(), 1_700_100_000_000_000_000)


def calls_per_message(scorer: Scorer, profile: Profile, *, rows: int, block_rows: int) -> float:
    config = Config.model_validate({})
    pipeline = Pipeline(
        decode=message_decoder(config, monotonic=time.monotonic),
        scorer=scorer,
        settings=pipeline_settings(config),
        profiles=[replace(profile, machine=f"m{at}", hop_rows=HOP_ROWS) for at in range(MACHINES)],
    )
    warm_rows = -(-(WINDOW_ROWS + HOP_ROWS) // block_rows) * block_rows
    stream = list(deliveries(rows=warm_rows + rows, block_rows=block_rows))
    warm = MACHINES * warm_rows // block_rows
    for at in range(0, warm, MACHINES):
        pipeline.step(stream[at : at + MACHINES])
    scored, calls = pipeline.ledger.windows_scored, 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        for at in range(warm, len(stream), MACHINES):
            pipeline.step(stream[at : at + MACHINES])
    finally:
        sys.setprofile(None)
    assert pipeline.ledger.accepted == len(stream)
    assert pipeline.ledger.windows_scored - scored == MACHINES * rows // HOP_ROWS
    return calls / (len(stream) - warm)


def test_a_row_message_costs_few_calls(scorer: Scorer, profile: Profile) -> None:
    assert calls_per_message(scorer, profile, rows=200, block_rows=1) < 130


def test_a_block_costs_far_less_than_its_rows_one_by_one(scorer: Scorer, profile: Profile) -> None:
    # Most are of the windows that end in it, which the network judges, and not of its rows.
    assert calls_per_message(scorer, profile, rows=400, block_rows=100) < 2100
