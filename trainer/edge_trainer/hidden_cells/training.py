"""How the masked autoencoder learns from hidden cells; the same seed gives the same weights on the same machine.

Axes: N cells, E expectations.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edge_agent.errors import TrainingError
from edge_agent.records import Float32
from edge_trainer.hidden_cells.examples import Examples
from edge_trainer.hidden_cells.network import HiddenCellNetwork

EPOCHS = 12
_BATCH = 512
_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 1e-3
_WARM_UP_SHARE = 0.1
_LARGEST_GRADIENT = 1.0
_KNEE = 2.0
"""Units of scale beyond which an error counts linearly: one jump must not drown a machine."""
_FARTHEST = 50.0
_SURENESS_WEIGHT = 0.1


def loss(network: HiddenCellNetwork, features: Tensor, expected: Tensor, truth: Tensor) -> Tensor:
    """Huber's loss of the value, and how badly the deviation tells the value's error (which it does not move)."""
    value, log_deviation = network(features, expected)
    error = (value - truth).clamp(-_FARTHEST, _FARTHEST)
    told = functional.huber_loss(error, torch.zeros_like(error), delta=_KNEE)
    sureness = log_deviation + error.detach().abs() * torch.exp(-log_deviation)
    total: Tensor = told + _SURENESS_WEIGHT * sureness.mean()
    return total


def untrained(examples: Examples, *, seed: int) -> HiddenCellNetwork:
    """A network with random weights that knows the features' scales."""
    torch.manual_seed(seed)
    network = HiddenCellNetwork(features=examples.features.shape[1], expectations=examples.expected.shape[1])
    network.learn_scales(torch.from_numpy(examples.features))
    return network.eval()


def train(
    examples: Examples, *, seed: int, epochs: int = EPOCHS, report: Callable[[str], None]
) -> HiddenCellNetwork:
    """A network that has learnt from the examples.

    Raises:
        TrainingError: they are not even one batch, or the loss is no number any more.
    """
    network = untrained(examples, seed=seed).train()
    given = [torch.from_numpy(part) for part in (examples.features, examples.expected, examples.truth)]
    batches = len(examples.truth) // _BATCH
    if batches == 0:
        raise TrainingError(f"{len(examples.truth)} hidden cells are less than one batch of {_BATCH}")
    optimiser = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    pace = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=_LEARNING_RATE, total_steps=epochs * batches + 1, pct_start=_WARM_UP_SHARE
    )
    chance = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        losses = []
        order = torch.randperm(len(examples.truth), generator=chance)[: batches * _BATCH]
        for cells in order.reshape(batches, _BATCH):
            found = loss(network, *(part[cells] for part in given))
            optimiser.zero_grad()
            found.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
            optimiser.step()
            pace.step()
            losses.append(float(found.detach()))
        newest = float(np.mean(losses))
        if not np.isfinite(newest):
            raise TrainingError(f"the loss is {newest} after {epoch + 1} epochs")
        report(f"seed {seed}, epoch {epoch + 1} of {epochs}: loss {newest:.4f}")
    return network.eval()


@torch.no_grad()
def values(networks: Sequence[HiddenCellNetwork], examples: Examples) -> Float32:
    """The mean of what networks expect of each cell, as `Examples.truth` is, [N]."""
    given = torch.from_numpy(examples.features), torch.from_numpy(examples.expected)
    found: Float32 = torch.stack([network(*given)[0] for network in networks]).mean(dim=0).numpy()
    return found
