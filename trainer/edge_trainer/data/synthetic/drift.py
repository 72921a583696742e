"""What changes slowly on a healthy machine: drift, daily cycles and steps of its load, laid under signals."""

import numpy as np

from edge_trainer.data.synthetic.shapes import Signals

_SHARE = 0.5
"""Of signals that get something slow; the others stay as they are."""
_SIZES = (0.2, 3.0)
"""Smallest and largest amplitude, in standard deviations of the signal."""


def laid_under(rng: np.random.Generator, signals: Signals) -> Signals:
    """Signals [N, R] with a slope, a slow sine or lasting steps under some; constants stay constant.

    Args:
        rng: the only source of chance.
        signals: float32 [N, R], left as they are.
    """
    count, length = signals.shape
    time = np.linspace(0.0, 1.0, length)
    turns = rng.uniform(0.3, 4.0, (count, 1))
    sine = np.sin(2 * np.pi * (turns * time + rng.random((count, 1))))
    slope = 2.0 * rng.choice([-1.0, 1.0], (count, 1)) * time
    changes = rng.random((count, length)) < rng.uniform(1.0, 6.0, (count, 1)) / length
    steps = np.cumsum(changes * rng.standard_normal((count, length)), axis=1)
    which = rng.random((count, 1))
    slow = np.where(which < 0.4, sine, np.where(which < 0.7, slope, steps))
    size = np.exp(rng.uniform(np.log(_SIZES[0]), np.log(_SIZES[1]), (count, 1))) * (
        rng.random((count, 1)) < _SHARE
    )
    drifting: Signals = (signals + size * signals.std(axis=1, keepdims=True) * slow).astype(np.float32)
    return drifting
