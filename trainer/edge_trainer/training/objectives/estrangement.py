"""The agent's own question as an objective: is a faulty window farther from the memory than a normal one?"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from edge_trainer.data import synthetic
from edge_trainer.network.network import Network, Output
from edge_trainer.training.objectives.batch import Batch

_NEIGHBOURS = 3
"""As the agent measures: mean distance to this many remembered windows."""
_LEAST_DISTANCE = 0.1
"""Distances below this are alike: the agent divides by no smaller reach."""
_LIFTS = (1.5, 8.0)
"""Smallest and largest displacement of a whole window, robust spreads of the signal."""


@dataclass(frozen=True, slots=True)
class Estrangement:
    """A window with an injected anomaly must lie farther from its signal's memory than normal windows do.

    Each of some signals brings K windows as its memory. Normal distances are those of each remembered window to the
    others and of an untouched further window; faulty ones those of the same further window with an anomaly
    (`synthetic.inject`, a lasting displacement, or a window of a foreign signal at this one's level). The loss is the
    mean of softplus((margin + log normal - log faulty) / temperature) over all pairs of a signal: logarithms, because
    an agent judges distances relative to the machine's own normal ones, so that nothing is gained by larger numbers.
    The untouched window and its faulty twin drift together by a little, for a drift is no fault.
    Source: training as one will be asked, in episodes: Snell et al., "Prototypical networks", NeurIPS 2017; injected
    anomalies as negatives: Carmona et al., "Neural contextual anomaly detection", IJCAI 2022.

    Attributes:
        margin: by how much, in nats, a faulty distance should exceed a normal one.
        temperature: nats over which a violated pair begins to count.
        faulty: faulty twins of each further window.
        wander: standard deviation of the drift, robust spreads.
    """

    margin: float = 0.5
    temperature: float = 0.3
    faulty: int = 2
    wander: float = 0.3

    def loss(self, network: Network, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Output]:
        """Distances of normal and of faulty windows to the memory of their signals, pair by pair."""
        S, K, _ = batch.memory.shape
        location, scale = batch.location[:S], batch.scale[:S]
        normal = self._wandered(batch.window[:S, 0].numpy(), scale.numpy(), rng)
        faulty = [
            spoiled(normal, location=location.numpy(), scale=scale.numpy(), rng=rng)
            for _ in range(self.faulty)
        ]
        queries = torch.from_numpy(np.stack([normal, *faulty], axis=1))  # S 1+F T
        present = batch.present[:S].expand(-1, 1 + self.faulty, -1)
        windows = torch.cat([batch.memory, queries], 1)
        observed = torch.cat([batch.memory_present, present], 1)
        # Windows of one signal pass as its channels: the network treats each alone.
        N = windows.shape[1]
        output = network(windows, observed, location.expand(-1, N), scale.expand(-1, N))
        own = Output(
            output.embedding[:, K : K + 1],
            output.reconstruction[:, K : K + 1],
            output.shape[:, K : K + 1],
            None,
        )
        # The level beside the learnt part is given: what is learnt must tell by itself.
        return self._apart(network.learnt(output.embedding), K), own

    def _apart(self, points: Tensor, remembered: int) -> Tensor:
        """The loss of points [S, K + 1 + F, D]: memory, normal window, faulty ones."""
        K = remembered
        memory, asked = points[:, :K], points[:, K:]
        among = to_nearest(memory, memory, barred=torch.eye(K, dtype=torch.bool))  # S K
        apart = to_nearest(asked, memory)  # S 1+F
        still = torch.log(torch.cat([among, apart[:, :1]], 1) + _LEAST_DISTANCE)
        moved = torch.log(apart[:, 1:] + _LEAST_DISTANCE)
        pairs = (self.margin + still[:, :, None] - moved[:, None, :]) / self.temperature
        return self.temperature * functional.softplus(pairs).mean()

    def _wandered(
        self, window: NDArray[np.float32], scale: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """[S, T] with a little offset and slope."""
        S, T = window.shape
        offset, slope = rng.normal(0.0, self.wander, (2, S, 1))
        drift = scale * (offset + slope * np.linspace(-0.5, 0.5, T))
        wandered: NDArray[np.float32] = (window + drift).astype(np.float32)
        return wandered


def spoiled(
    window: NDArray[np.float32],
    *,
    location: NDArray[np.float32],
    scale: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Windows [S, T] of signals with location and scale [S, 1], each with a fault."""
    S, T = window.shape
    fault, _, _ = synthetic.inject(rng, window)
    displacement = (
        scale
        * np.exp(rng.uniform(np.log(_LIFTS[0]), np.log(_LIFTS[1]), (S, 1)))
        * rng.choice([-1.0, 1.0], (S, 1))
    )
    onset = rng.integers(0, T - T // 8, (S, 1)) * (rng.random((S, 1)) < 0.5)  # half began before the window
    lifted = window + displacement * (np.arange(T) >= onset)
    foreign = (np.roll(window, 1, axis=0) - np.roll(location, 1, axis=0)) / np.maximum(
        np.roll(scale, 1, axis=0), 1e-12
    )
    kind = rng.random((S, 1))
    chosen = np.where(kind < 0.2, lifted, np.where(kind < 0.3, foreign * scale + location, fault))
    return chosen.astype(np.float32)


def to_nearest(points: Tensor, memory: Tensor, *, barred: Tensor | None = None) -> Tensor:
    """Mean distance [S, N] of points [S, N, D] to the nearest of memory [S, K, D]; `barred` [N, K] do not count."""
    squared = (points[:, :, None] - memory[:, None]).square().sum(-1)  # S N K
    if barred is not None:
        squared = squared.masked_fill(barred, torch.inf)
    nearest = squared.topk(min(_NEIGHBOURS, memory.shape[1] - 1), dim=-1, largest=False).values
    return torch.sqrt(nearest + 1e-6).mean(-1)
