"""Extremely randomised trees in numpy, grown level by level, all trees at once; they know nothing of machines.

Geurts, Ernst & Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006: every node draws some
features and for each a threshold between the least and the largest of its examples, and keeps the best.

Axes: N examples, F numbers, K classes, B windows, E entries (an example in a tree), V nodes of all trees.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Trees = Mapping[str, NDArray[Any]]
"""Flat: "feature", "threshold", "left" [V] (-1: leaf; the right child follows the left), "vote" [V, K], "roots"."""


def grow(
    points: NDArray[np.float32],
    index: NDArray[np.int64],
    *,
    n_trees: int,
    n_tried: int,
    rng: np.random.Generator,
) -> Trees:
    """Trees that part all examples by class, classes weighed equally.

    Args:
        points: examples [N, F].
        index: class of each, 0..K - 1, each present [N].
        n_trees: how many.
        n_tried: splits that a node chooses among.
        rng: draws features and thresholds.
    """
    n_examples, n_classes = len(index), int(index.max()) + 1
    weight = 1.0 / np.bincount(index)[index]
    entry = np.tile(np.arange(n_examples), n_trees)  # E
    node = np.repeat(np.arange(n_trees), n_examples)  # E: in this level
    votes, features, thresholds, lefts = [], [], [], []
    width, reached = n_trees, n_trees
    while width:
        held = _held(node, index[entry], weight[entry], width=width, n_classes=n_classes)
        feature, threshold, gain = _best_split(
            points, index, weight, entry, node, held, n_tried=n_tried, rng=rng
        )
        parts = gain > 1e-9
        left = np.full(width, -1)
        left[parts] = reached + 2 * np.arange(parts.sum())
        votes.append(held / held.sum(axis=1, keepdims=True))
        features.append(feature)
        thresholds.append(threshold)
        lefts.append(left)
        stays = parts[node]
        entry, node = entry[stays], node[stays]
        right = points[entry, feature[node]] > threshold[node]
        node = left[node] - reached + right
        width = 2 * int(parts.sum())
        reached += width
    return {
        "feature": np.concatenate(features),
        "threshold": np.concatenate(thresholds).astype(np.float32),
        "left": np.concatenate(lefts),
        "vote": np.concatenate(votes).astype(np.float32),
        "roots": np.arange(n_trees),
    }


def vote(trees: Trees, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of the trees' votes for windows [B, F]: [B, K], rows sum to 1."""
    node = np.broadcast_to(trees["roots"], (len(points), len(trees["roots"]))).copy()  # B trees
    window = np.broadcast_to(np.arange(len(points))[:, None], node.shape)
    inside = trees["left"][node] >= 0
    while inside.any():
        at = node[inside]
        right = points[window[inside], trees["feature"][at]] > trees["threshold"][at]
        node[inside] = trees["left"][at] + right
        inside = trees["left"][node] >= 0
    mean: NDArray[np.float32] = trees["vote"][node].mean(axis=1)
    return mean


def _best_split(
    points: NDArray[np.float32],
    index: NDArray[np.int64],
    weight: NDArray[np.float64],
    entry: NDArray[np.int64],
    node: NDArray[np.int64],
    held: NDArray[np.float64],
    *,
    n_tried: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float64]]:
    """(feature, threshold, gain of Gini purity) of each node's best of `n_tried` random splits; held [V, K]."""
    width, n_classes = held.shape
    best_gain = np.zeros(width)
    best_feature, best_threshold = np.zeros(width, np.int64), np.zeros(width, np.float32)
    before = _purity(held)
    order = np.argsort(node, kind="stable")
    entry, node = entry[order], node[order]
    starts = np.searchsorted(node, np.arange(width))
    for _ in range(n_tried):
        feature: NDArray[np.int64] = rng.integers(points.shape[1], size=(width,))
        value = points[entry, feature[node]]
        low, high = np.minimum.reduceat(value, starts), np.maximum.reduceat(value, starts)
        threshold = (low + (high - low) * rng.random(width)).astype(np.float32)
        goes_left = value <= threshold[node]
        own = entry[goes_left]
        left = _held(node[goes_left], index[own], weight[own], width=width, n_classes=n_classes)
        right = np.maximum(held - left, 0.0)
        after = _purity(left) + _purity(right)
        gain = np.where((low < high) & (threshold < high), after - before, 0.0)
        better = gain > best_gain
        best_gain[better], best_feature[better] = gain[better], feature[better]
        best_threshold[better] = threshold[better]
    return best_feature, best_threshold, best_gain


def _held(
    node: NDArray[np.int64],
    index: NDArray[np.int64],
    weight: NDArray[np.float64],
    *,
    width: int,
    n_classes: int,
) -> NDArray[np.float64]:
    """Weight of each class in each node [V, K], of entries with their node, class and weight [E]."""
    cell = node * n_classes + index
    summed = np.bincount(cell, weights=weight, minlength=width * n_classes).astype(np.float64, copy=False)
    return summed.reshape(width, n_classes)


def _purity(held: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight of each node that is of one class, in the sense of Gini: [V, K] -> [V]."""
    purity: NDArray[np.float64] = (held**2).sum(axis=1) / np.maximum(held.sum(axis=1), 1e-12)
    return purity
