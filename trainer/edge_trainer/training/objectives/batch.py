"""What an objective is given and what it answers, and the sum of several; not how it is fed or stepped.

An objective looks at a batch and returns a loss; `Weighted` adds several up. All chance comes from the
generator that is passed in, so a step can be repeated exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from edge_trainer.network.network import Network, Output


def _nothing() -> Tensor:
    return torch.zeros(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Batch:
    """B windows of C channels.

    Attributes:
        window: [B, C, T] physical units, any finite number where not present.
        near: [B, C, T] the same signals a few rows earlier or later; may be `window` itself.
        present, near_present: [B, C, T] 1 where a value was recorded.
        location, scale: [B, C] the machine's robust centre and spread.
        label: [B] class of the last row, -1 where there is none.
        memory, memory_present: [M, K, T] K further windows, from elsewhere in time, of each of the first M signals of
            a batch of single channels; M is 0 where none were drawn.
    """

    window: Tensor
    near: Tensor
    present: Tensor
    near_present: Tensor
    location: Tensor
    scale: Tensor
    label: Tensor
    memory: Tensor = field(default_factory=_nothing)
    memory_present: Tensor = field(default_factory=_nothing)


class Objective(Protocol):
    """One thing to learn."""

    def loss(self, network: Network, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Output]:
        """A scalar, lower is better, with what the network answered for (the first of) `batch.window`."""


@dataclass(frozen=True, slots=True)
class Weighted:
    """Several objectives on the same batch, each with its weight; those of weight 0 are not computed."""

    parts: Mapping[str, tuple[float, Objective]]

    def loss(self, network: Network, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Output]:
        """Sum of weight times loss, with the first part's output."""
        total, _, output = self.losses(network, batch, rng)
        return total, output

    def losses(
        self, network: Network, batch: Batch, rng: np.random.Generator
    ) -> tuple[Tensor, dict[str, float], Output]:
        """(sum, each part's unweighted loss, the first part's output)."""
        total, values, first = torch.zeros(()), {}, None
        for name, (weight, objective) in self.parts.items():
            if weight > 0:
                loss, output = objective.loss(network, batch, rng)
                total = total + weight * loss
                values[name] = float(loss.detach())
                first = first or output
        if first is None:
            raise ValueError("every objective has weight 0")
        return total, values, first

    def companions(self) -> nn.ModuleDict:
        """What the parts train beside the network: heads and opponents that nobody keeps."""
        modules = nn.ModuleDict()
        for name, (weight, objective) in self.parts.items():
            if weight > 0 and (module := getattr(objective, "companion", None)) is not None:
                modules[name] = module
        return modules
