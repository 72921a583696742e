"""How unusual blocks are, by one class: each method learns from good blocks alone.

`features` is what the format `waveform` makes of a block today, with the distance of Mahalanobis. `spectrum` is the
mean log spectrum in 64 bands. Pictures are log spectrograms, seen by the network for pictures (or the same untrained)
and compared with the patches of the learnt ones (PatchCore), as the product does with parts.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from benchmarks.pictures.looks import Look
from benchmarks.sound.datasets import SoundSet
from edge_agent.pipeline.cameras.learning import CameraRequest, learn
from edge_agent.records import Float32
from edge_agent.signals.vibration import features

Scores = Callable[[Float32], NDArray[np.floating]]
_BANDS = 64
_SIDE = 128
_HOPS = 96
_TINY = 1e-12


def by_features(one: SoundSet) -> Scores:
    """What the product's waveform channels say."""

    def described(blocks: Float32) -> NDArray[np.floating]:
        axes = [features(blocks[..., axis], rate_hz=one.rate_hz) for axis in range(blocks.shape[2])]
        return np.concatenate(axes, axis=1)

    return _mahalanobis(described, one.learnt)


def by_spectrum(one: SoundSet) -> Scores:
    """The mean log spectrum in bands: hand-made."""

    def described(blocks: Float32) -> NDArray[np.floating]:
        return np.concatenate([axis.mean(axis=2) for axis in _spectrograms(blocks)], axis=1)

    return _mahalanobis(described, one.learnt)


def by_pictures(one: SoundSet, look: Look) -> Scores:
    """Log spectrograms as pictures, an axis a colour."""
    usual = np.stack(_spectrograms(one.learnt))
    low, high = np.quantile(usual, [0.01, 0.99])

    def seen(blocks: Float32) -> Float32:
        axes = _spectrograms(blocks)
        grey = [np.clip((axis - low) / max(high - low, _TINY) * 160 + 48, 0, 255) for axis in axes]
        colours = np.stack([grey[at % len(grey)] for at in range(3)], axis=-1)
        return np.concatenate(
            [look(_enlarged(part)) for part in np.array_split(colours, -(-len(colours) // 8))]
        )

    learnt = seen(one.learnt)
    count = len(learnt)
    memory = learn(
        CameraRequest(
            machine="", camera="", network="", subject="part", patches=learnt.astype(np.float16), counted=None,
            gauges=np.zeros((count, 6), np.float32), times_ns=tuple(range(count)), aspect=1.0, budget_per_week=1.0,
        )
    )  # fmt: skip

    def scores(blocks: Float32) -> NDArray[np.floating]:
        maps = [memory.unusual(one) for one in seen(blocks)]
        return np.array([np.sort(one.ravel())[-one.size // 20 :].mean() for one in maps])

    return scores


def _mahalanobis(described: Callable[[Float32], NDArray[np.floating]], learnt: Float32) -> Scores:
    usual = described(learnt)
    centre, spread = usual.mean(axis=0), usual.std(axis=0) + _TINY
    fitted = LedoitWolf().fit((usual - centre) / spread)
    return lambda blocks: np.sqrt(fitted.mahalanobis((described(blocks) - centre) / spread))


def _spectrograms(blocks: Float32) -> list[NDArray[np.floating]]:
    """Of each axis the log power [N, B, H] in log-spaced bands, of overlapping Hann windows."""
    length = max(64, 2 ** int(np.log2(blocks.shape[1] / 12)))
    starts = np.linspace(0, blocks.shape[1] - length, _HOPS).astype(int)
    edges = np.geomspace(1.0, length // 2, _BANDS + 1)
    bins = np.arange(length // 2 + 1)
    weights = np.maximum(
        1.0 - np.abs(bins - edges[1:, np.newaxis]) / np.maximum(np.diff(edges), 1.0)[:, np.newaxis], 0.0
    )
    weights /= weights.sum(axis=1, keepdims=True) + _TINY
    found = []
    for axis in range(blocks.shape[2]):
        centred = blocks[..., axis] - blocks[..., axis].mean(axis=1, keepdims=True)
        frames = np.stack([centred[:, start : start + length] for start in starts], axis=1) * np.hanning(
            length
        )
        power = np.abs(np.fft.rfft(frames, axis=2)) ** 2
        found.append(np.log(power @ weights.T + _TINY).transpose(0, 2, 1))
    return found


def _enlarged(colours: NDArray[np.floating]) -> NDArray[np.uint8]:
    """[N, B, H, 3] to [N, 128, 128, 3], the nearest of each."""
    rows, columns = (np.arange(_SIDE) * size // _SIDE for size in colours.shape[1:3])
    found: NDArray[np.uint8] = colours[:, rows][:, :, columns].astype(np.uint8)
    return found
