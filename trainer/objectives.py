"""What a network is asked to learn without labels, one class an objective; not how it is fed or stepped.

An objective looks at a batch and returns a loss; `Weighted` adds several up. All chance comes from the
generator that is passed in, so a step can be repeated exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainer.model import Network, Output, normalise

TARGET_LIMIT = 8.0
"""Spreads of the observed cells beyond which a hidden cell counts as this far only."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B windows of C channels.

    Attributes:
        window: [B, C, T] physical units, any finite number where not present.
        near: [B, C, T] the same signals a few rows earlier or later; may be `window` itself.
        present, near_present: [B, C, T] 1 where a value was recorded.
        location, scale: [B, C] the machine's robust centre and spread.
        label: [B] class of the last row, -1 where there is none.
    """

    window: Tensor
    near: Tensor
    present: Tensor
    near_present: Tensor
    location: Tensor
    scale: Tensor
    label: Tensor


class Objective(Protocol):
    """One thing to learn."""

    def loss(self, network: Network, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Output]:
        """A scalar, lower is better, with what the network answered for (the first of) `batch.window`."""


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
