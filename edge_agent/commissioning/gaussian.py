"""A Gaussian of few points in many dimensions: mean and inverse covariance, shrunk as far as the data ask for. Pure."""

import numpy as np
from numpy.typing import NDArray

from edge_agent.signals.features import Float32


def gaussian(points: NDArray[np.float64]) -> tuple[Float32, Float32]:
    """(mean [K], precision [K, K]) of points [W, K], the covariance shrunk as far as the data ask for."""
    mean = points.mean(axis=0)
    precision = np.linalg.inv(_shrunk_covariance(points - mean))
    return mean.astype(np.float32), precision.astype(np.float32)


def _shrunk_covariance(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance of centred points [W, K], shrunk towards equal variances by the oracle approximation.

    Source: Chen, Wiesel, Eldar and Hero, "Shrinkage Algorithms for MMSE Covariance Estimation", IEEE TSP 58, 2010.
    """
    n, k = centred.shape
    covariance = centred.T @ centred / max(n, 1)
    mean_variance = float(np.trace(covariance)) / k
    spread = float(np.mean(np.square(covariance)))
    rest = (n + 1) * (spread - mean_variance**2 / k)
    share = 1.0 if rest <= 0 else min((spread + mean_variance**2) / rest, 1.0)
    diagonal = share * mean_variance + 1e-6 * (1.0 + mean_variance)
    shrunk: NDArray[np.float64] = (1.0 - share) * covariance + diagonal * np.eye(k)
    return shrunk
