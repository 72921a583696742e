"""Adversarial autoencoder: a discriminator keeps the embeddings spread like a prior while the decoder restores."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_trainer.network.network import Network, Output
from edge_trainer.training.objectives.batch import Batch


class _Reversed(torch.autograd.Function):
    """Identity forward; backward, the gradient changes its sign: one step trains both opponents."""

    @staticmethod
    def forward(_ctx: Any, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


class Discriminator(nn.Sequential):
    """Tells embeddings from draws of the prior: [N, d] -> [N, 1]."""

    WIDTH = 64

    def __init__(self, learnt_dim: int) -> None:
        super().__init__(
            nn.Linear(learnt_dim, self.WIDTH), nn.LeakyReLU(0.2), nn.Linear(self.WIDTH, self.WIDTH),
            nn.LeakyReLU(0.2), nn.Linear(self.WIDTH, 1),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AdversarialEmbedding:
    """The directions of the embeddings should look as if drawn evenly from the sphere.

    The discriminator learns to tell them from such draws; through a reversed gradient the encoder learns to deceive
    it. Alone it teaches nothing about signals: it is the prior of an autoencoder, to be added to a reconstruction.
    Source: Makhzani et al., "Adversarial autoencoders", arXiv 1511.05644; one step for both: Ganin et al., JMLR 17,
    2016 (gradient reversal). On the sphere, because the embedding's learnt part has length 1 before its gain.

    Attributes:
        companion: trained beside the network, thrown away afterwards.
    """

    companion: Discriminator

    def loss(self, network: Network, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Output]:
        """The discriminator's cross-entropy, which it lowers and the encoder raises."""
        output = network(batch.window, batch.present, batch.location, batch.scale)
        direction = functional.normalize(network.learnt(output.embedding).flatten(0, 1), dim=-1)
        prior = torch.from_numpy(rng.standard_normal(tuple(direction.shape), dtype=np.float32))
        reverse: Tensor = _Reversed.apply(direction)  # type: ignore[no-untyped-call]
        given = torch.cat([reverse, functional.normalize(prior, dim=-1)])
        logits = self.companion(given)[:, 0]
        target = torch.cat([torch.zeros(len(direction)), torch.ones(len(prior))])
        return functional.binary_cross_entropy_with_logits(logits, target), output
