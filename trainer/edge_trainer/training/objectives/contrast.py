"""Contrast: windows that lie next to each other are alike, windows of different signals are not."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edge_trainer.network.network import Network, Output
from edge_trainer.training.objectives.batch import Batch


@dataclass(frozen=True, slots=True)
class NearTriplet:
    """A window a few rows on must lie closer to its anchor than any other signal's window, by a margin.

    All pairs of the batch serve: the mean over anchors i and others j != i of max(0, margin + d(i, near i) -
    d(i, j)), with d = 1 - cosine of the learnt part of the embedding of all channels. The diagonal is left
    out by picking the other elements, not by adding infinity to it: relu(margin + d - inf) is 0 for every
    pair.
    Source: Park et al., "PaAno", arXiv 2602.01359 (positives shifted by at most 2 rows).

    Attributes:
        margin: by which others must lie farther than the near window.
        windows: how many windows of a batch take part; each costs two passes, and pairs grow with the square.
    """

    margin: float = 0.5
    windows: int = 32

    def loss(self, network: Network, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Output]:
        """Anchors against their shifted selves and against all others of the batch."""
        del rng
        n = self.windows
        location, scale = batch.location[:n], batch.scale[:n]
        output = network(batch.window[:n], batch.present[:n], location, scale)
        shifted = network(batch.near[:n], batch.near_present[:n], location, scale)
        anchor = functional.normalize(network.learnt(output.embedding).flatten(1), dim=1)  # B C*d
        near = functional.normalize(network.learnt(shifted.embedding).flatten(1), dim=1)
        to_near = 1.0 - (anchor * near).sum(1, keepdim=True)  # B 1
        to_others = 1.0 - anchor @ anchor.T  # B B
        violations = functional.relu(self.margin + to_near - to_others)
        others = ~torch.eye(len(anchor), dtype=torch.bool)
        return violations[others].mean(), output
