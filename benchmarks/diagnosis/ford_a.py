"""FordA, engine noise with and without a symptom: default split, accuracy, for the diagnosis benchmark.

Every representation becomes a kernel between series, and a kernel ridge regression names the class; its ridge is chosen
in cross-validation inside the training set, whose folds are clusters of alike spectra: series of one engine run are
almost copies of each other, and at random they would fall on both sides.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.model_selection import GroupKFold

from benchmarks.diagnosis.kernel_transforms import competing_kernels, log_spectrum, pooled_kernels
from benchmarks.diagnosis.spectral_views import views

Floats = NDArray[np.float32]
Split = tuple[NDArray[np.int64], NDArray[np.int64]]

_RIDGES = (0.3, 1.0, 3.0, 10.0)
_CLUSTERS, _FOLDS = 60, 6
_SEGMENTS = (125, 250, 500)


def measure(folder: Path) -> dict[str, Any]:
    """Accuracy on the test set of each representation, and in cross-validation."""
    parts = [np.load(folder / f"FordA_{part}.npz") for part in ("TRAIN", "TEST")]
    series = np.concatenate([part["X"] for part in parts]).astype(np.float32)
    truth = np.concatenate([part["y"] for part in parts]).astype(np.float64)
    n_train = len(parts[0]["y"])
    folds = _folds(series[:n_train])
    accuracy: dict[str, Any] = {}
    for name, kernel in _kernels(series, n_train=n_train).items():
        scores = [_validated(kernel[:n_train, :n_train], truth[:n_train], folds, ridge) for ridge in _RIDGES]
        ridge = _RIDGES[int(np.argmax(scores))]
        answer = _ridge_answer(kernel, truth, np.arange(n_train), np.arange(n_train, len(truth)), ridge)
        test = float(np.mean(np.sign(answer) == truth[n_train:]))
        accuracy[name] = {"test": round(test, 4), "validation": round(max(scores), 4), "ridge": ridge}
        print(f"ford_a           {name:36s} {accuracy[name]}", flush=True)
    size = f"2 classes, {n_train} series to learn from, {len(truth) - n_train} to test on, {series.shape[1]} samples."
    return {"size": size, "accuracy": accuracy}


def _kernels(series: Floats, *, n_train: int) -> dict[str, Floats]:
    """Similarity of all series [N, N] by each representation, and by all of them together."""
    steps = np.diff(series, axis=1)
    convolved = {
        "pooled kernels": pooled_kernels(series, n_train=n_train, seed=0),
        "pooled kernels of differences": pooled_kernels(steps, n_train=n_train, seed=1),
        "competing kernels": competing_kernels(series, seed=0),
    }
    found = {name: _linear(features, n_train=n_train) for name, features in convolved.items()}
    spectra = np.concatenate([log_spectrum(series, segment=segment) for segment in _SEGMENTS], axis=1)
    found["spectra"] = _radial(_linear(spectra, n_train=n_train), n_train=n_train)
    seen_as = views()
    for name, see in seen_as.items():
        training = np.arange(len(series)) < n_train
        seen = see(series[:, :, None], training, rate_hz=1.0)
        found[name] = _radial(_linear(seen, n_train=n_train), n_train=n_train)
    kernels = np.mean([found[name] for name in convolved], axis=0)
    both = kernels + found["spectra"]
    alone = {name: found[name] for name in ("spectra", *seen_as)}
    return alone | {"convolution kernels": kernels, "kernels and spectra": both}


def _linear(features: Floats, *, n_train: int) -> Floats:
    """Scalar products of standardised features, on the mean 1 for a series with itself."""
    centre, spread = features[:n_train].mean(axis=0), features[:n_train].std(axis=0)
    standard = (features - centre) / (spread + 1e-6)
    kernel: Floats = standard @ standard.T / standard.shape[1]
    return kernel


def _radial(linear: Floats, *, n_train: int) -> Floats:
    """Gaussian of the distance, its width the median distance of training series."""
    square = np.diag(linear)
    distance = square[:, None] + square - 2.0 * linear
    kernel: Floats = np.exp(-distance / np.median(distance[:n_train, :n_train]))
    return kernel


def _folds(series: Floats) -> list[Split]:
    spectra = log_spectrum(series, segment=_SEGMENTS[0])
    spectra = (spectra - spectra.mean(axis=0)) / spectra.std(axis=0)
    cluster = KMeans(_CLUSTERS, random_state=0, n_init=2).fit_predict(spectra)
    return list(GroupKFold(_FOLDS).split(series, groups=cluster))


def _validated(kernel: Floats, truth: NDArray[Any], folds: Sequence[Split], ridge: float) -> float:
    right = np.zeros(len(truth), np.bool_)
    for train, test in folds:
        right[test] = np.sign(_ridge_answer(kernel, truth, train, test, ridge)) == truth[test]
    return float(right.mean())


def _ridge_answer(
    kernel: Floats, truth: NDArray[Any], train: NDArray[np.int64], test: NDArray[np.int64], ridge: float
) -> NDArray[Any]:
    """Kernel ridge regression of the class, -1 or 1: the sign is the answer."""
    mean = truth[train].mean()
    regularised = kernel[np.ix_(train, train)] + np.float32(ridge) * np.eye(len(train), dtype=np.float32)
    weights = np.linalg.solve(regularised, (truth[train] - mean).astype(np.float32))
    answer: NDArray[Any] = kernel[np.ix_(test, train)] @ weights + mean
    return answer
