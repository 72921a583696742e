"""A multinomial logistic regression on few examples; it knows nothing of machines.

Axes: B windows, F numbers, N examples, K classes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.signals.features import Float32

# Weight of the examples against the prior that all classes are alike.
_TRUST = 100.0
_STEPS = 300
_TINY = 1e-9


def fit(examples: Float32, index: NDArray[np.int64], *, steps: int = _STEPS) -> Float32:
    """Weights [K, F] of examples [N, F] of classes 0..K - 1 [N], classes weighed equally.

    By accelerated gradient in the dual (Nesterov, 1983, for strongly convex functions): the weights are combinations of
    the examples, so that the work does not depend on F.
    """
    n_examples = len(index)
    target = np.eye(index.max() + 1)[index]  # N K
    weigh = (_TRUST * n_examples / target.shape[1]) / target.sum(axis=0)[index][:, None]
    gram = examples.astype(np.float64) @ examples.T.astype(np.float64)
    steepest = 1.0 + 0.5 * float(weigh.max()) * float(np.linalg.eigvalsh(gram)[-1])
    momentum = (np.sqrt(steepest) - 1.0) / (np.sqrt(steepest) + 1.0)
    at = ahead = np.zeros_like(target)
    for _ in range(steps):
        step = ahead - (ahead + weigh * (softmax(gram @ ahead) - target)) / steepest
        ahead, at = step + momentum * (step - at), step
    weights: Float32 = (at.T @ examples).astype(np.float32)
    return weights


def log_probability(head: Float32, points: Float32) -> NDArray[Any]:
    """What a head [K, F] says of points [B, F], as logarithms [B, K]."""
    found: NDArray[Any] = np.log(softmax(points @ head.T) + _TINY)
    return found


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Logits [B, K] as probabilities."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: NDArray[Any] = raised / raised.sum(axis=1, keepdims=True)
    return total
