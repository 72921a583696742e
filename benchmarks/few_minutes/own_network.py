"""A judge that is trained on the machine alone: what could be done with its own calm rows and with no other's.

The episodes, the network and its loss are those of pre-training; only the machines are missing. Each episode learns
from half to three quarters of the calm rows and has faults injected into the rest, forwards or backwards in time.
"""

from functools import partial

import numpy as np
from edge_trainer.in_context import corpus, episodes, training
from edge_trainer.in_context.export import to_onnx
from edge_trainer.in_context.machines.families import Family
from edge_trainer.in_context.machines.machine import MachineRows, troubled
from numpy.typing import NDArray

from benchmarks.detection.networks import NONE, judged, with_judge
from edge_agent.detect.scorer import Scorer
from edge_agent.errors import CommissionError

_EPISODES, _WINDOWS = 40, 64
_HIDDEN, _DROPOUT = 64, 0.15
_SCHEDULE = training.Schedule(epochs=12, batch_windows=256, learning_rate=2e-3)
_LEAST_SHARE, _MOST_SHARE = 0.5, 0.75
_LEAST_CONTEXT_ROWS, _FEWEST_ROWS = 300, 400


def with_own_judge(scorer: Scorer, rows: NDArray[np.float32], *, seed: int) -> Scorer:
    """The scorer with a judge that knows calm rows [R, C] of one machine; with none where they are too few for one."""
    graph = own_judge(rows, seed=seed)
    if graph is None:
        return judged(scorer, NONE)
    return with_judge(scorer, model=lambda _, *, seed: graph, seed=seed)  # noqa: ARG005 - one graph, one seed


def own_judge(rows: NDArray[np.float32], *, seed: int, n_episodes: int = _EPISODES) -> bytes | None:
    """The graph of a judge that learnt from calm rows [R, C]; None where they do not make one batch of windows."""
    if len(rows) < _FEWEST_ROWS:
        return None
    rng = np.random.default_rng(seed)
    family = Family("own", "recording", 1.0, partial(_drawn, rows))
    made = [episode for _ in range(n_episodes) if (episode := _made(rng, family)) is not None]
    if sum(len(episode.label) for episode in made) < _SCHEDULE.batch_windows:
        return None
    network = training.train(
        corpus.of(made), _SCHEDULE, seed=seed, hidden=_HIDDEN, dropout=_DROPOUT, report=lambda _: None
    )
    return to_onnx(network, **network.sizes)


def _made(rng: np.random.Generator, family: Family) -> episodes.Episode | None:
    try:
        return episodes.make(rng, family, windows=_WINDOWS)
    except CommissionError:
        return None


def _drawn(rows: NDArray[np.float32], rng: np.random.Generator) -> MachineRows:
    context = max(int(len(rows) * rng.uniform(_LEAST_SHARE, _MOST_SHARE)), _LEAST_CONTEXT_ROWS)
    own = rows if rng.random() < 0.5 else rows[::-1]
    return troubled(rng, own.copy(), context_rows=context, period_s=1.0)
