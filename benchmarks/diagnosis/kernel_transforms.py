"""Convolution kernels and spectra of single-channel series, the published transforms in torch: no part of the product.

Pooled kernels: Tan, Dempster, Bergmeir & Webb, "MultiRocket", Data Mining and Knowledge Discovery 36, 2022 (here
with the share of positive values and their mean). Competing kernels: Dempster, Schmidt & Webb, "Hydra", ibid. 37, 2023.

Axes: N series, T samples, F features.
"""

from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

Floats = NDArray[np.float32]

_KERNELS = tuple(combinations(range(9), 3))  # taps of weight 2, the other six weigh -1
_FEATURES_PER_KERNEL = 74
_MOST_DILATIONS = 32
_BIAS_SERIES = 8
_GROUPS, _RIVALS = 64, 8
_CHUNK = 64


def pooled_kernels(series: Floats, *, n_train: int, seed: int) -> Floats:
    """Share and mean of what exceeds a bias, of 84 kernels at many dilations: [N, T] -> [N, 12432].

    Biases are quantiles of the convolutions of the first `n_train` series, which need no labels.
    """
    rng = np.random.default_rng(seed)
    length = series.shape[1]
    steps = np.logspace(0, np.log2((length - 1) / 8), _MOST_DILATIONS, base=2.0).astype(np.int64)
    dilations, counts = np.unique(steps, return_counts=True)
    counts = counts * _FEATURES_PER_KERNEL // _MOST_DILATIONS
    counts[: _FEATURES_PER_KERNEL - counts.sum()] += 1
    golden, at = (np.sqrt(5.0) + 1.0) / 2.0, 0
    whole, found = torch.from_numpy(series), []
    for dilation, count in zip(dilations.tolist(), counts.tolist(), strict=True):
        padded = functional.pad(whole, (4 * dilation, 4 * dilation))
        taps = [padded[:, tap * dilation : tap * dilation + length] for tap in range(9)]
        every = torch.stack(taps).sum(dim=0)
        for number, (first, second, third) in enumerate(_KERNELS):
            response = 3.0 * (taps[first] + taps[second] + taps[third]) - every
            quantiles = (np.arange(at + 1, at + count + 1) * golden) % 1.0
            at += count
            sample = response[rng.integers(n_train, size=_BIAS_SERIES)].numpy()
            # Every second kernel ignores the padded edge, as published.
            inner = response if number % 2 == 0 else response[:, 4 * dilation : -4 * dilation]
            for bias in np.quantile(sample, quantiles).tolist():
                above = torch.relu(inner - bias)
                share = (above > 0).float().mean(dim=1)
                found += [share, above.mean(dim=1) / share.clamp(min=1e-6)]
    return torch.stack(found, dim=1).numpy()


def competing_kernels(series: Floats, *, seed: int) -> Floats:
    """How often, and how strongly, each of 8 random kernels of a group answers best: [N, T] -> [N, 6144]."""
    generator = torch.Generator().manual_seed(seed)
    whole = torch.from_numpy(series)[:, None]
    found = []
    for exponent in range(int(np.log2((series.shape[1] - 1) / 8)) + 1):
        for signal in (whole, whole.diff(dim=-1)):
            kernels = torch.randn(_GROUPS // 2 * _RIVALS, 1, 9, generator=generator)
            kernels -= kernels.mean(dim=-1, keepdim=True)
            kernels /= kernels.abs().sum(dim=-1, keepdim=True)
            chunks = [
                _compete(signal[start : start + _CHUNK], kernels, dilation=2**exponent)
                for start in range(0, len(signal), _CHUNK)
            ]
            found.append(torch.cat(chunks))
    return torch.cat(found, dim=1).clamp(min=0.0).sqrt().numpy()


def _compete(signal: torch.Tensor, kernels: torch.Tensor, *, dilation: int) -> torch.Tensor:
    answers = functional.conv1d(signal, kernels, dilation=dilation, padding=4 * dilation)
    answers = answers.view(len(signal), _GROUPS // 2, _RIVALS, -1)
    best, winner = answers.max(dim=2)
    _, loser = answers.min(dim=2)
    empty = torch.zeros(answers.shape[:3])
    strength = empty.clone().scatter_add_(-1, winner, best)
    count = empty.clone().scatter_add_(-1, loser, torch.ones_like(best))
    return torch.cat([strength.flatten(1), count.flatten(1)], dim=1)


def log_spectrum(series: Floats, *, segment: int) -> Floats:
    """Logarithm of the mean power spectrum of half-overlapping tapered segments: [N, T] -> [N, segment // 2 + 1]."""
    starts = range(0, series.shape[1] - segment + 1, segment // 2)
    taper = np.hanning(segment)
    power = [np.abs(np.fft.rfft(series[:, at : at + segment] * taper, axis=1)) ** 2 for at in starts]
    logarithm: Floats = np.log(np.mean(power, axis=0) + 1e-6).astype(np.float32)
    return logarithm
