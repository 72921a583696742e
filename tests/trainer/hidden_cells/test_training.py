"""The masked autoencoder learns whom to believe, and how far it may be off."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from edge_trainer.hidden_cells import training
from edge_trainer.hidden_cells.examples import Examples
from edge_trainer.hidden_cells.network import HiddenCellNetwork

from edge_agent.errors import TrainingError
from edge_agent.records import Float32

CELLS, EXPECTATIONS = 4096, 4


def cells(seed: int = 0) -> Examples:
    """The first feature says which of two expectations is right, the second how large the noise is."""
    rng = np.random.default_rng(seed)
    expected = rng.standard_normal((CELLS, EXPECTATIONS)).astype(np.float32)
    told = rng.standard_normal((CELLS, 6)).astype(np.float32)
    noise = np.where(told[:, 1] > 0, 0.5, 0.05)
    truth = np.where(told[:, 0] > 0, expected[:, 1], expected[:, 2]) + noise * rng.standard_normal(CELLS)
    return Examples(
        features=told,
        expected=expected,
        truth=truth.astype(np.float32),
        others=np.empty((CELLS, 0), np.float32),
        scale=np.ones(CELLS, np.float32),
        episode=np.arange(CELLS) // 64,
        family=np.full(CELLS // 64, "toy"),
        gap=np.zeros(CELLS // 64, np.int64),
        best=np.ones(CELLS // 64, np.int64),
    )


def trained(seed: int = 0) -> HiddenCellNetwork:
    return training.train(cells(), seed=seed, epochs=30, report=lambda _: None)


def off(found: Float32, known: Examples) -> float:
    return float(np.sqrt(np.mean((found - known.truth) ** 2)))


def test_it_believes_whom_the_evidence_speaks_for() -> None:
    known, network = cells(9), trained()
    ours = off(training.values([network], known), known)
    assert ours < 0.6 * min(off(known.expected[:, at], known) for at in range(EXPECTATIONS))
    assert ours < 0.6 * off(training.values([training.untrained(known, seed=3)], known), known)


def test_it_says_how_sure_it_is() -> None:
    known, network = cells(9), trained()
    with torch.no_grad():
        deviation = network(torch.from_numpy(known.features), torch.from_numpy(known.expected))[1].numpy()
    loud = known.features[:, 1] > 0
    assert deviation[loud].mean() > deviation[~loud].mean() + 0.5


def test_the_loss_moves_the_weights_where_it_is_wrong() -> None:
    known = cells()
    network = training.untrained(known, seed=0)
    given = [torch.from_numpy(part) for part in (known.features, known.expected, known.truth)]
    found = training.loss(network, *given)
    found.backward()  # type: ignore[no-untyped-call]
    assert found > 0.1
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in network.parameters())


def test_the_same_seed_gives_the_same_weights() -> None:
    few = replace(cells(), episode=np.zeros(CELLS, np.int64))
    once, again = (training.train(few, seed=4, epochs=1, report=lambda _: None) for _ in range(2))
    for left, right in zip(once.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)


def test_less_than_a_batch_is_refused() -> None:
    known = cells()
    few = replace(
        known, truth=known.truth[:100], features=known.features[:100], expected=known.expected[:100]
    )
    with pytest.raises(TrainingError, match="less than one batch"):
        training.train(few, seed=0, epochs=1, report=lambda _: None)
