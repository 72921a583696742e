"""MiniRocket, the published transform in numpy, as a baseline: no part of the product.

Dempster, Schmidt & Webb, "MiniRocket: a very fast (almost) deterministic transform for time series
classification", KDD 2021; several channels as in the authors' multivariate version (each combination of
kernel and dilation sums a random subset of channels).

Axes: N windows, C channels, T rows, K the 84 kernels.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

KERNELS = np.array(list(combinations(range(9), 3)))  # [84, 3]: taps of weight 2, the other six weigh -1
_MOST_DILATIONS = 32
_MOST_CHANNELS = 9


class MiniRocket:
    """The transform; biases are quantiles of the convolutions of training windows, which need no labels."""

    def __init__(self, *, n_features: int, seed: int) -> None:
        self.n_features = n_features
        self.seed = seed

    def fit(self, windows: NDArray[np.float32]) -> "MiniRocket":
        """Choose dilations, channels and biases from windows [N, C, T]."""
        rng = np.random.default_rng(self.seed)
        n_channels, length = windows.shape[1:]
        per_kernel = self.n_features // len(KERNELS)
        most = min(per_kernel, _MOST_DILATIONS)
        steps = np.logspace(0, np.log2((length - 1) / 8), most, base=2.0).astype(np.int64)
        dilations, counts = np.unique(steps, return_counts=True)
        counts = (counts * per_kernel / most).astype(np.int64)
        counts[: per_kernel - counts.sum()] += 1
        golden = (np.sqrt(5.0) + 1.0) / 2.0
        quantiles = np.array([(i * golden) % 1.0 for i in range(1, per_kernel * len(KERNELS) + 1)])
        self.plan: list[tuple[int, NDArray[np.bool_], NDArray[np.float32]]] = []
        at = 0
        for dilation, count in zip(dilations, counts, strict=True):
            chosen = np.zeros((len(KERNELS), n_channels), np.bool_)
            for kernel in range(len(KERNELS)):
                limit = min(n_channels, _MOST_CHANNELS)
                n_chosen = int(2 ** rng.uniform(0.0, np.log2(limit + 1)))
                chosen[kernel, rng.choice(n_channels, min(n_chosen, limit), replace=False)] = True
            biases = np.empty((len(KERNELS), count), np.float32)
            sample = windows[rng.choice(len(windows), min(len(windows), 32), replace=False)]
            for kernel, response in enumerate(_responses(sample, int(dilation), chosen)):
                one = response[rng.integers(len(sample))]
                biases[kernel] = np.quantile(one, quantiles[at : at + count])
                at += int(count)
            self.plan.append((int(dilation), chosen, biases))
        return self

    def transform(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Share of rows above each bias: [N, C, T] -> [N, about n_features]."""
        chunks = [self._transform(windows[at : at + 256]) for at in range(0, len(windows), 256)]
        return np.concatenate(chunks)

    def _transform(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        found = []
        for dilation, chosen, biases in self.plan:
            pad = 4 * dilation
            for kernel, response in enumerate(_responses(windows, dilation, chosen)):
                # Every second kernel ignores the padded edge, as published.
                inner = response if kernel % 2 == 0 or 2 * pad >= response.shape[1] else response[:, pad:-pad]
                found.append(np.stack([(inner > bias).mean(axis=1) for bias in biases[kernel]], axis=1))
        return np.concatenate(found, axis=1).astype(np.float32)


def _responses(windows: NDArray[np.float32], dilation: int, chosen: NDArray[np.bool_]):  # noqa: ANN202
    """Yield the convolution [N, T] of each kernel with its channels' sum, zeros beyond the edges."""
    length = windows.shape[2]
    padded = np.pad(windows, ((0, 0), (0, 0), (4 * dilation, 4 * dilation)))
    taps = np.stack([padded[..., tap * dilation : tap * dilation + length] for tap in range(9)])  # 9 N C T
    every = taps.sum(axis=0)
    for kernel, channels in zip(KERNELS, chosen, strict=True):
        of = np.flatnonzero(channels)
        yield (3.0 * taps[kernel][:, :, of].sum(axis=(0, 2)) - every[:, of].sum(axis=1))
