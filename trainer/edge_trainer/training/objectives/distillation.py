"""Distillation: a smaller network learns to answer as a trained one does."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edge_trainer.network.network import Network, Output
from edge_trainer.training.objectives.batch import Batch


@dataclass(frozen=True, slots=True)
class Imitation:
    """The student's embeddings point where the teacher's do, and it restores what the teacher restores.

    Source: Romero et al., "FitNets", ICLR 2015 (answers of inner layers as targets).

    Attributes:
        teacher: in evaluation mode, of the same embedding and window; never changed.
        restoring: weight of the difference between the restored windows, in their own spreads.
    """

    teacher: Network
    restoring: float = 0.3

    def loss(self, network: Network, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Output]:
        """1 - cosine of the learnt parts, and Huber's loss between the restored windows."""
        hidden = rng.random((len(batch.window), 1, 1)) * 0.5 > rng.random(batch.window.shape)
        observed = batch.present * torch.from_numpy(~hidden).float()
        output = network(batch.window, observed, batch.location, batch.scale)
        with torch.no_grad():
            wanted = self.teacher(batch.window, observed, batch.location, batch.scale)
        ours, theirs = network.learnt(output.embedding), network.learnt(wanted.embedding)
        apart = 1.0 - functional.cosine_similarity(ours, theirs, dim=-1).mean()
        return apart + self.restoring * functional.smooth_l1_loss(output.shape, wanted.shape), output
