"""The network: normalisation, encoder, decoder and head as one graph; knows nothing of data, losses or files.

Every channel passes through the same weights alone, so any number of channels fits and none can disturb
another; only the head of a fine-tuned network sees all channels together. Instance normalisation gives the
shape of a window and throws its level away (Kim et al., "Reversible instance normalization", ICLR 2022),
which costs the anomalies that are a change of level; the level therefore takes a path of its own into the
embedding.
Axes: B windows, C channels, T rows, D embedding, K classes, N = B*C.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUTS = 3
"""What the encoder sees of each row: shape, whether it was observed, and amplitude in the machine's own units."""
LEVEL_DIM = 8
"""Numbers of the embedding that tell of the level: see `_level`."""
LEVEL_GAIN = 0.2
"""Of the level beside the learnt part, whose length is 1: what is far by level counts, but does not drown the rest."""
_DEVIATION_LIMIT = 1e6
"""Robust deviations beyond this are clamped: squares stay finite in float32."""
_SCALE_FLOOR = 1e-12
_SPREAD_FLOOR = 0.05
"""A window quieter than this share of the machine's usual spread is not blown up to full size."""
_RECENT_ROWS = 16
_USUAL = 3.0
"""Robust deviations within which a machine usually works, by level and by spread."""


class Output(NamedTuple):
    """What the graph answers.

    Attributes:
        embedding: [B, C, D]. reconstruction: [B, C, T] physical units. logits: [B, K] or None without a head.
        shape: [B, C, T] the reconstruction in units of the window's own mean and spread.
    """

    embedding: Tensor
    reconstruction: Tensor
    shape: Tensor
    logits: Tensor | None


@dataclass(frozen=True, slots=True)
class Normalised:
    """A window in units of the machine (`deviation`) and in units of itself (`shape`); hidden cells are 0.

    `mean` and `spread` [B, C, 1] lead from one to the other: deviation = shape * spread + mean.
    """

    deviation: Tensor
    shape: Tensor
    observed: Tensor
    mean: Tensor
    spread: Tensor


def normalise(window: Tensor, observed: Tensor, location: Tensor, scale: Tensor) -> Normalised:
    """Window [B, C, T] in robust deviations from the machine's centre, then by its own mean and spread.

    Whatever finite number a hidden cell holds has no effect.
    """
    centred = (window - location.unsqueeze(-1)) / scale.clamp(min=_SCALE_FLOOR).unsqueeze(-1)
    deviation = centred.clamp(-_DEVIATION_LIMIT, _DEVIATION_LIMIT) * observed
    count = observed.sum(-1, keepdim=True).clamp(min=1.0)
    mean = deviation.sum(-1, keepdim=True) / count
    residual = (deviation - mean) * observed
    spread = torch.sqrt(residual.square().sum(-1, keepdim=True) / count + _SPREAD_FLOOR**2)
    return Normalised(deviation, residual / spread, observed, mean, spread)


def _level(normalised: Normalised) -> Tensor:
    """[B, C, 8]: where the window lies and how much it moves, squashed so that no outlier rules.

    In order: mean, lowest, highest, mean of the last rows, their step against the window's mean, trend (late
    half minus early half), spread, mean absolute step from row to row.
    """
    deviation, observed, mean = normalised.deviation, normalised.observed, normalised.mean
    hidden = 1.0 - observed
    filled = deviation + hidden * mean
    recent = filled[..., -_RECENT_ROWS:].mean(-1, keepdim=True)
    half = filled.shape[-1] // 2
    trend = filled[..., half:].mean(-1, keepdim=True) - filled[..., :half].mean(-1, keepdim=True)
    steps = (filled[..., 1:] - filled[..., :-1]).abs().mean(-1, keepdim=True)
    places = [
        mean,
        filled.amin(-1, keepdim=True),
        filled.amax(-1, keepdim=True),
        recent,
        recent - mean,
        trend,
    ]
    movements = [torch.log(normalised.spread), torch.log(steps + _SPREAD_FLOOR)]
    return torch.cat([torch.asinh(torch.cat(places, -1)), torch.cat(movements, -1)], -1)


class CausalConv(nn.Module):
    """Convolution padded on the left alone: an output step depends on no later row."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.padding = kernel - stride
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride=stride, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, signal: Tensor) -> Tensor:
        """[N, inputs, T] -> [N, outputs, T / stride]; the normalisation folds into the convolution at export."""
        out: Tensor = self.norm(self.conv(functional.pad(signal, (self.padding, 0))))
        return out


class Residual(nn.Module):
    """Two causal convolutions beside a shortcut."""

    def __init__(self, width: int, *, kernel: int) -> None:
        super().__init__()
        self.first = CausalConv(width, width, kernel=kernel)
        self.second = CausalConv(width, width, kernel=kernel)

    def forward(self, signal: Tensor) -> Tensor:
        """[N, width, T] -> the same shape."""
        return functional.relu(signal + self.second(functional.relu(self.first(signal))))


class ConvEncoder(nn.Module):
    """Strided causal residual convolutions; the features' mean, maximum and last step give the embedding."""

    def __init__(
        self, window_rows: int, embedding_dim: int, *, widths: tuple[int, int, int] = (32, 48, 96)
    ) -> None:
        super().__init__()
        if window_rows % 16:
            message = f"window_rows must be a multiple of 16, not {window_rows}"
            raise ValueError(message)
        narrow, middle, wide = widths
        self.stem = CausalConv(INPUTS, narrow, kernel=8, stride=4)
        self.stages = nn.Sequential(
            Residual(narrow, kernel=3),
            CausalConv(narrow, middle, kernel=4, stride=2),
            nn.ReLU(),
            Residual(middle, kernel=3),
            CausalConv(middle, wide, kernel=4, stride=2),
            nn.ReLU(),
        )
        self.project = nn.Linear(3 * wide + LEVEL_DIM, embedding_dim)

    def features(self, signal: Tensor) -> Tensor:
        """[N, 3, T] -> [N, widest, T / 16]."""
        out: Tensor = self.stages(functional.relu(self.stem(signal)))
        return out

    def forward(self, signal: Tensor, level: Tensor) -> Tensor:
        """[N, 3, T] shape, observed, amplitude and [N, 8] level -> [N, embedding_dim]."""
        features = self.features(signal)
        pooled = torch.cat([features.mean(-1), features.amax(-1), features[..., -1], level], -1)
        out: Tensor = self.project(pooled)
        return out


class DenseEncoder(nn.Module):
    """The classic autoencoder's first half: one hidden layer on the rows of a window. The baseline."""

    WIDTH = 64

    def __init__(self, window_rows: int, embedding_dim: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(INPUTS * window_rows + LEVEL_DIM, self.WIDTH)
        self.project = nn.Linear(self.WIDTH, embedding_dim)

    def forward(self, signal: Tensor, level: Tensor) -> Tensor:
        """[N, 3, T] shape, observed, amplitude and [N, 8] level -> [N, embedding_dim]."""
        out: Tensor = self.project(functional.relu(self.hidden(torch.cat([signal.flatten(1), level], 1))))
        return out


class Decoder(nn.Sequential):
    """From the bottleneck to all rows at once: [N, d] -> [N, T], one hidden layer.

    A decoder of convolutions restored held-out windows no better and took five times the operations.
    """

    def __init__(self, window_rows: int, embedding_dim: int, *, width: int) -> None:
        super().__init__(nn.Linear(embedding_dim, width), nn.ReLU(), nn.Linear(width, window_rows))


Build = Callable[[int, int], nn.Module]
ARCHITECTURES: dict[str, tuple[Build, Build]] = {
    "conv": (ConvEncoder, partial(Decoder, width=256)),
    "conv_small": (partial(ConvEncoder, widths=(16, 24, 48)), partial(Decoder, width=64)),
    "dense": (DenseEncoder, partial(Decoder, width=DenseEncoder.WIDTH)),
}
"""name -> (encoder [N, 3, T], [N, 8] -> [N, d], decoder [N, d] -> [N, T]), each built from (T, d)."""


class Head(nn.Module):
    """Names the fault from all channels' embeddings together: a fault is a relation between channels."""

    WIDTH = 128

    def __init__(self, *, channels: int, embedding_dim: int, classes: int) -> None:
        super().__init__()
        self.channels = channels
        self.classes = classes
        self.layers = nn.Sequential(
            nn.LayerNorm(channels * embedding_dim),
            nn.Linear(channels * embedding_dim, self.WIDTH),
            nn.ReLU(),
            nn.Linear(self.WIDTH, classes),
        )

    def forward(self, embedding: Tensor) -> Tensor:
        """[B, C, D] -> [B, K]."""
        out: Tensor = self.layers(embedding.flatten(1))
        return out


class Network(nn.Module):
    """Encoder and decoder between the normalisation and its inverse, with an optional head."""

    def __init__(
        self, *, architecture: str, window_rows: int, embedding_dim: int, head: Head | None = None
    ) -> None:
        super().__init__()
        build_encoder, build_decoder = ARCHITECTURES[architecture]
        learnt = embedding_dim - LEVEL_DIM
        self.architecture = architecture
        self.window_rows = window_rows
        self.embedding_dim = embedding_dim
        self.encoder = build_encoder(window_rows, learnt)
        self.decoder = build_decoder(window_rows, learnt)
        self.head = head

    def forward(self, window: Tensor, observed: Tensor, location: Tensor, scale: Tensor) -> Output:
        """Window and observed [B, C, T], location and scale [B, C]."""
        batch, channels, rows = window.shape
        normalised = normalise(window, observed, location, scale)
        amplitude, level_part = torch.asinh(normalised.deviation), _level(normalised)
        signal = torch.stack([normalised.shape, observed, amplitude], 2)
        learnt = self.encoder(
            signal.reshape(batch * channels, INPUTS, rows), level_part.reshape(batch * channels, LEVEL_DIM)
        )
        shape = self.decoder(learnt).reshape(batch, channels, rows)
        # What lies beyond the machine's usual range is not expected, however well its shape is restored: without
        # this bound a channel that stands still at a wrong level would be restored without an error.
        deviation = shape * normalised.spread.clamp(max=_USUAL) + normalised.mean.clamp(-_USUAL, _USUAL)
        reconstruction = deviation * scale.unsqueeze(-1) + location.unsqueeze(-1)
        shape_part = learnt.reshape(batch, channels, -1)
        logits = None if self.head is None else self.head(torch.cat([shape_part, level_part], -1))
        # Distances between directions are bounded, however strange a window is, and comparable between machines.
        direction = shape_part * torch.rsqrt(shape_part.square().sum(-1, keepdim=True) + _SCALE_FLOOR)
        embedding = torch.cat([direction, LEVEL_GAIN * level_part], -1)
        return Output(embedding, reconstruction, shape, logits)

    def learnt(self, embedding: Tensor) -> Tensor:
        """The part of an embedding [..., D] that is learnt; the rest is the level."""
        return embedding[..., : self.embedding_dim - LEVEL_DIM]
