"""Synthetic-anomaly head: say of every row whether an anomaly was injected there. The head is for training only."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_trainer.data import synthetic
from edge_trainer.network.network import Network, Output, normalise
from edge_trainer.training.objectives.batch import Batch


class RowHead(nn.Module):
    """A logit for each row from the embedding, the window's shape and what the decoder expected there."""

    WIDTH = 16

    def __init__(self, embedding_dim: int) -> None:
        super().__init__()
        self.of_embedding = nn.Linear(embedding_dim, self.WIDTH)
        self.of_rows = nn.Conv1d(3, self.WIDTH, 9, padding=4)
        self.judge = nn.Conv1d(self.WIDTH, 1, 9, padding=4)

    def forward(self, embedding: Tensor, shape: Tensor, expected: Tensor) -> Tensor:
        """[N, D], [N, T], [N, T] -> [N, T]."""
        rows = self.of_rows(torch.stack([shape, expected, (shape - expected).abs()], 1))
        logits: Tensor = self.judge(functional.relu(rows + self.of_embedding(embedding)[..., None]))
        return logits[:, 0]


@dataclass(frozen=True, slots=True)
class InjectedRows:
    """Balanced cross-entropy of each row's logit against where an anomaly was injected into half of the windows.

    Source: Lan et al., "Time-RCD", arXiv 2509.21190 (injected anomalies with labels as pre-training).

    Attributes:
        companion: trained beside the network, thrown away afterwards.
        windows: how many windows of a batch take part.
        share: of them with an anomaly.
    """

    companion: RowHead
    windows: int = 64
    share: float = 0.5

    def loss(self, network: Network, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Output]:
        """Inject, embed, judge every row."""
        n = self.windows
        spoiled, label, _ = synthetic.inject(rng, batch.window[:n, 0].numpy(), share=self.share)
        window, present = torch.from_numpy(spoiled)[:, None], batch.present[:n]
        location, scale = batch.location[:n], batch.scale[:n]
        output = network(window, present, location, scale)
        shape = normalise(window, present, location, scale).shape.clamp(-8.0, 8.0)
        logits = self.companion(output.embedding[:, 0], shape[:, 0], output.shape[:, 0])
        target, weight = torch.from_numpy(label.astype(np.float32)), present[:, 0]
        rare = (weight.sum() / (target * weight).sum().clamp(min=1.0)).clamp(max=20.0)
        errors = functional.binary_cross_entropy_with_logits(
            logits, target, pos_weight=rare, reduction="none"
        )
        return (errors * weight).sum() / weight.sum().clamp(min=1.0), output
