"""How far each space is to be trusted with a machine's faults, by leaving whole cases out of its own. Pure.

Windows of one alarm are alike, so a whole case is left out and named by the others. What each space says of the truth
is held against what is usual of such machines (predictive likelihoods, as in Bayesian model averaging: Hoeting,
Madigan, Raftery, Volinsky, Statistical Science 14, 1999); with few cases the usual rules, with many the evidence.

Axes: F numbers that describe a window, N examples, O of them left out, K classes.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.diagnose.fault_space import Space
from edge_agent.diagnose.logistic_head import fit, log_probability, softmax
from edge_agent.signals.features import Float32

# What is usual where the named windows lie outside of the normal ones, and where they do not.
_USUAL = {"all": 0.8, "pairs": 0.1, "none": 0.1}
_USUAL_WITHOUT_CALM = {"all": 0.1, "pairs": 0.45, "none": 0.45}
_FOLDS = 4
_STEPS = 100
# One case cannot rule a space out.
_LEAST_PROBABILITY = 0.05
# A space with less to say is not asked.
_LEAST_WEIGHT = 0.1


def weigh(
    spaces: Mapping[str, Space],
    described: Float32,
    index: NDArray[np.int64],
    *,
    cases: NDArray[np.int64],
    is_calm: bool,
    votes: Callable[[NDArray[np.bool_]], NDArray[Any]],
    sharpness: float,
) -> dict[str, float]:
    """The weight of each space that is worth asking, heaviest first; they sum to 1.

    Args:
        spaces: by name, see `fault_space.spaces`.
        described: examples [N, F].
        index: class of each, 0..K - 1 [N].
        cases: which case each is a window of [N].
        is_calm: whether the examples lie outside of the normal windows.
        votes: which examples are left out [N] -> what is added to the head's logarithms of those, [O, K].
        sharpness: by what the sum is raised.
    """
    usual = _USUAL if is_calm else _USUAL_WITHOUT_CALM
    folds = list(_left_out(index, cases)) if index.max() > 0 else []
    if is_calm and not folds:
        return {"all": 1.0}
    say = np.array([np.log(usual[name]) for name in spaces])
    for out in folds:
        voted = votes(out)
        for number, space in enumerate(spaces.values()):
            logits = sharpness * (_by_others(space, described, index, out) + voted)
            say[number] += _said(logits, index[out], cases[out])
    weight = np.exp(say - say.max())
    weight /= weight.sum()
    order = np.argsort(-weight, kind="stable")
    names = list(spaces)
    kept = {names[at]: float(weight[at]) for at in order if weight[at] >= _LEAST_WEIGHT}
    return {name: each / sum(kept.values()) for name, each in kept.items()}


def _left_out(index: NDArray[np.int64], cases: NDArray[np.int64]) -> Iterator[NDArray[np.bool_]]:
    """Which examples are left out at a time [N]: whole cases, never the last one of a class."""
    fold = np.full(len(index), -1)
    for label in range(int(index.max()) + 1):
        own = np.unique(cases[index == label])
        for number, case in enumerate(own if len(own) > 1 else own[:0]):
            fold[(index == label) & (cases == case)] = number % _FOLDS
    for number in range(_FOLDS):
        if (out := fold == number).any():
            yield out


def _by_others(
    space: Space, described: Float32, index: NDArray[np.int64], out: NDArray[np.bool_]
) -> NDArray[Any]:
    """What a head learnt from the other examples says of those left out, as logarithms [O, K]."""
    points = space.units(described)
    return log_probability(fit(points[~out], index[~out], steps=_STEPS), points[out])


def _said(logits: NDArray[Any], index: NDArray[np.int64], cases: NDArray[np.int64]) -> float:
    """Logarithm of the probability [O, K] of the true names [O], each case having one say."""
    truth = softmax(logits)[np.arange(len(index)), index]
    _, of, counts = np.unique(np.stack([index, cases]), axis=1, return_inverse=True, return_counts=True)
    return float(np.sum(np.log(np.maximum(truth, _LEAST_PROBABILITY)) / counts[of.ravel()]))
