"""Small corpora whose faults can be told: in a faulty window the first feature of the guilty channels is raised.

And machines that are drawn in no time, for stages that are given families of machines.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, Self

import numpy as np
from edge_trainer.in_context.corpus import Corpus
from edge_trainer.in_context.machines.families import Family
from edge_trainer.in_context.machines.machine import MachineRows, troubled

CHANNEL_FEATURES, MACHINE_FEATURES = 5, 3
WINDOWS = 40


def corpus(*, machines: int = 30, seed: int = 0, raised: float = 3.0) -> Corpus:
    rng = np.random.default_rng(seed)
    counts = np.repeat(rng.integers(1, 6, machines), WINDOWS)
    n_windows, n_cells = len(counts), int(counts.sum())
    label = rng.random(n_windows) < 0.4
    of_cell = np.repeat(np.arange(n_windows), counts)
    guilty = np.zeros(n_cells, np.bool_)
    guilty[np.cumsum(counts) - counts] = label  # the first channel of each faulty window
    channels = rng.standard_normal((n_cells, CHANNEL_FEATURES))
    channels[guilty, 0] += raised
    assert (guilty <= label[of_cell]).all()
    return Corpus(
        channels=channels.astype(np.float16),
        machine=rng.standard_normal((n_windows, MACHINE_FEATURES)).astype(np.float16),
        present=np.ones(n_cells, np.bool_),
        guilty=guilty,
        counts=counts,
        label=label,
        weight=np.ones(n_windows, np.float32),
        parts=rng.random((n_windows, 2)).astype(np.float32),
        what=np.where(label, "level", "calm"),
        episode=np.repeat(np.arange(machines), WINDOWS),
        family=np.array(["pump" if number % 2 else "slow" for number in range(machines)]),
        context_rows=rng.integers(300, 9000, machines),
    )


def toy_machine(rng: np.random.Generator) -> MachineRows:
    """White noise of one to three channels, troubled."""
    values = rng.standard_normal((2500, int(rng.integers(1, 4)))).astype(np.float32)
    return troubled(rng, values, context_rows=500, period_s=1.0)


def toy_family() -> Family:
    return Family("toy", "signal", 1.0, toy_machine)


class PoolInThisProcess:
    """Runs what it is given at once, where what a test has changed is known."""

    def __init__(self, _jobs: int, **_settings: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def submit(self, call: Callable[..., Any], *given: object) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(call(*given))
        return future

    def map(self, call: Callable[..., Any], given: Iterable[Any]) -> Iterator[Any]:
        return map(call, given)
