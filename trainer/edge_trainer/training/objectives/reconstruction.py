"""Denoising autoencoder: restore hidden rows, judged row by row and by the spectrum of the error."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edge_trainer.network.network import Network, Output, normalise
from edge_trainer.training.objectives.batch import Batch

TARGET_LIMIT = 8.0
"""Spreads of the observed cells beyond which a hidden cell counts as this far only."""


@dataclass(frozen=True, slots=True)
class MaskedReconstruction:
    """Restore a window from which patches were hidden and to which noise was added.

    The error is taken in units of the window's own spread, so that loud and quiet machines count alike, with
    Huber's loss (a spike is not worth more than the rest of the window). Hidden cells weigh more: there,
    copying does not help. The log-power of the error's spectrum makes an oscillation that was missed cost more
    than noise of the same size, which nobody can restore. (The error of the log-spectrum, used elsewhere,
    rewards invented noise: the decoder learnt to put a spike into the last row of every window.)
    Source: He et al., "Masked autoencoders are scalable vision learners", CVPR 2022, on rows instead of pixels.

    Attributes:
        hidden_share: largest share of a window that is hidden; each window draws its own from 0 to this.
        patch_rows: (shortest, longest) hidden run.
        noise: largest standard deviation of the noise in robust deviations; each window draws its own.
        visible_weight: weight of an observed cell against 1 of a hidden one.
        spectrum_weight: weight of the log-power of the error's spectrum.
    """

    hidden_share: float = 0.5
    patch_rows: tuple[int, int] = (2, 24)
    noise: float = 0.1
    visible_weight: float = 0.3
    spectrum_weight: float = 0.1

    def loss(self, network: Network, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Output]:
        """Hide, disturb, restore, compare."""
        hidden = self.hide(batch.present, rng)
        observed = batch.present * (1.0 - hidden)
        size = torch.from_numpy(rng.uniform(0.0, self.noise, batch.scale.shape).astype(np.float32))
        noise = torch.from_numpy(rng.standard_normal(batch.window.shape, dtype=np.float32))
        disturbed = batch.window + noise * (size * batch.scale).unsqueeze(-1)
        output = network(disturbed, observed, batch.location, batch.scale)
        own = normalise(disturbed, observed, batch.location, batch.scale)
        clean = normalise(batch.window, batch.present, batch.location, batch.scale)
        # A cell far outside of what was observed cannot be restored; one such must not drown the batch.
        target = ((clean.deviation - own.mean) / own.spread).clamp(-TARGET_LIMIT, TARGET_LIMIT)
        weight = batch.present * (hidden + self.visible_weight * (1.0 - hidden))
        errors = functional.smooth_l1_loss(output.shape, target, reduction="none")
        loss = (errors * weight).sum() / weight.sum().clamp(min=1.0)
        if self.spectrum_weight > 0:
            # Where a value is missing the target is unknown: there, no error is counted.
            error = (output.shape - target) * batch.present
            loss = loss + self.spectrum_weight * torch.log1p(_power(error)).mean()
        return loss, output

    def hide(self, present: Tensor, rng: np.random.Generator) -> Tensor:
        """[B, C, T] of 1 where a row is to be hidden: runs of patches, a share of the window."""
        B, C, T = present.shape
        shortest, longest = self.patch_rows
        budget = rng.uniform(0.0, self.hidden_share, (B * C, 1)) * T
        tries = max(1, 2 * T // (shortest + longest))
        starts = rng.integers(-longest + 1, T, (B * C, tries))
        lengths = rng.integers(shortest, longest + 1, (B * C, tries))
        lengths = np.where(np.cumsum(lengths, axis=1) <= budget, lengths, 0)
        rows = np.arange(T)
        covered = (rows >= starts[..., None]) & (rows < (starts + lengths)[..., None])  # N tries T
        return torch.from_numpy(covered.any(axis=1).reshape(B, C, T).astype(np.float32))


def _power(signal: Tensor) -> Tensor:
    """[..., T] -> [..., T/2] power of each frequency but 0; white noise of variance 1 has 1 at each."""
    spectrum = torch.fft.rfft(signal, dim=-1)[..., 1:]
    power: Tensor = (spectrum.real.square() + spectrum.imag.square()) / signal.shape[-1]
    return power
