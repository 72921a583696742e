"""Names of faults from a handful of examples: pure numpy, no network to train, no clock, no chance of its own.

A fault is a direction: which statistics of which channels leave normal, and in what proportion. Windows of one
fault differ in strength, so only the direction is compared, and in a space where what a machine does anyway
(the covariance of normal windows and of neighbouring windows, neither of which needs a label) is shrunk away.

Axes: B windows, C channels, T rows, F numbers that describe a window, N examples, M normal windows,
P pairs of neighbouring windows, K fault classes, R directions in which the machine moves anyway.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.diagnose.extra_trees import grow, vote
from edge_agent.errors import UsageError
from edge_agent.signals.channel_kinds import transform
from edge_agent.signals.features import Float32, signed_log, standardise, statistics

Faults = Mapping[str, NDArray[Any]]
"""What `learn` writes and `classify` reads: flat, so that it can be stored beside a machine's memory."""

UNKNOWN_BELOW = 0.25
"""Under this, what `classify` calls known is better called an unknown fault: on simulated machines about nine
in ten windows of faults that were never learnt lay below it."""
# Unlabelled windows and pairs that are looked at: bounds the time of learning (an eigenproblem of their sum).
_MOST_NORMAL = 1000
_MOST_PAIRS = 1000
# Normal windows that a machine's memory keeps for it: on simulated machines twice as many gained nothing.
_KEPT_NORMAL = 256
_NORMAL = "diagnose_calm"
# Variance below this share of the mean variance counts as noise of the estimate and is not shrunk away.
_RIDGE_SHARE = 3e-3
# Weight of the examples against the prior that all classes are alike, in the logistic head.
_TRUST = 100.0
_STEPS = 300
_TREES = 100
_SPLITS_TRIED = 32
# The trees' votes count twice what the head's probabilities do, as far as they are trusted: on simulated machines
# and on wells of another benchmark 2 was better than 1 at five and at ten examples a class.
_TREES_WEIGHT = 2.0
# A class that no tree votes for is improbable, not impossible.
_LEAST_VOTE = 1e-2
# Few examples make a timid head; by so much its logits are raised (chosen on simulated machines).
_SHARPNESS = 1.5
_TINY = 1e-9
# Below these (normal scales) a standard deviation or a step counts as none: logarithms of silence mean nothing.
_QUIET_SD = 0.05
_QUIET_STEP = 0.02
# Changes that count as one unit, in nats.
_LEAST_LOG_SD = 0.25
_LEAST_LOG_STEP = 0.1


def describe(memory: Mapping[str, NDArray[Any]], windows: Float32, embedding: Float32 | None) -> Float32:
    """What diagnosis sees of windows: the statistics of all channels relative to the machine's normal ones.

    Args:
        memory: what `commission` learnt of the machine.
        windows: [B, C, T] in physical units, NaN where hidden.
        embedding: [B, C, D] of the encoder, used where the memory holds normal embeddings to compare with.

    Returns:
        [B, F]; 0 is the normal centre, and magnitudes are logarithmic, so that no single number can rule.
    """
    seen = transform(windows, memory)
    z = standardise(seen, location=memory["location"], scale=memory["scale"], limit=memory["limit"])
    found = [_relative_statistics(memory, z)]
    if embedding is not None and "embedding_centre" in memory:
        found.append((embedding - memory["embedding_centre"]) / memory["embedding_spread"])
    flat = [part.reshape(len(z), -1) for part in found]
    return signed_log(np.concatenate(flat, axis=1).astype(np.float32, copy=False))


def learn(
    described: Float32,
    labels: NDArray[np.int64],
    *,
    normal: Float32 | None,
    seed: int,
    pairs: Float32 | None = None,
    groups: NDArray[np.int64] | None = None,
) -> Faults:
    """Learn fault classes from few examples; to add an example, learn again from all that were kept.

    The space is whitened as in linear discriminant analysis, but with a within-class covariance from
    unlabelled windows: normal ones, and differences of neighbours in time, which mostly share their class
    (the closed form of contrastive learning with temporal positives; "relevant components", Bar-Hillel et
    al., JMLR 6, 2005). The head is a logistic regression on directions, its classes weighed equally; from
    the second example a class on it is joined by randomised trees, which find the one number that matters.

    Args:
        described: N examples [N, F] from `describe`, at least one.
        labels: class of each example [N], any integers.
        normal: described normal windows [M, F] of the machine, or None.
        seed: chooses among normal windows and pairs where there are more than are needed.
        pairs: described windows [P, 2, F] a few rows apart in the machine's history, faulty or not, or None.
        groups: which event each example is a window of [N]; several of one event are one witness. None: each its own.

    Returns:
        name -> array; "classes" [K] are the labels in the order of `classify`'s probabilities.

    Raises:
        UsageError: no example, or a label missing.
    """
    if described.ndim != 2 or len(described) == 0 or len(labels) != len(described):
        raise UsageError(
            f"examples {described.shape} and labels {np.shape(labels)}: expected [N, F] and [N], N > 0"
        )
    rng = np.random.default_rng(seed)
    centre = (
        np.zeros(described.shape[1], np.float32) if normal is None or not len(normal) else normal.mean(axis=0)
    )
    directions, gains = _usual_movement(_unlabelled(normal, pairs, centre, rng), n_numbers=described.shape[1])
    faults: dict[str, NDArray[Any]] = {"centre": centre, "directions": directions, "gains": gains}
    examples = _direction(faults, described)
    classes, index = np.unique(labels, return_inverse=True)
    faults["classes"] = classes
    faults["examples"] = examples
    faults["head"] = _logistic(examples, index)
    # One example a class tells nothing about which number matters: trees would part the classes by chance.
    witnesses = len(labels) if groups is None else len(np.unique(groups))
    trust = 1.0 - len(classes) / witnesses if len(classes) > 1 else 0.0
    faults["trust_in_trees"] = np.array(trust, np.float32)
    if trust > 0:
        seen = np.concatenate([described, examples], axis=1)
        trees = grow(seen, index, n_trees=_TREES, n_tried=_SPLITS_TRIED, rng=rng)
        faults.update({f"trees_{name}": array for name, array in trees.items()})
    return faults


def classify(faults: Faults, described: Float32) -> tuple[Float32, Float32]:
    """Which of the learnt faults windows look like.

    Args:
        faults: what `learn` returned.
        described: windows [B, F] from `describe`.

    Returns:
        (probability of each learnt class [B, K] given that it is one of them, how much the window looks
        like any of them [B]: 1 certain, 0 unknown).
    """
    points = _direction(faults, described)
    logits = np.log(_softmax(points @ faults["head"].T) + _TINY)
    trust = float(faults["trust_in_trees"])
    if trust > 0:
        trees = {
            name.removeprefix("trees_"): array for name, array in faults.items() if name.startswith("trees_")
        }
        votes = vote(trees, np.concatenate([described, points], axis=1).astype(np.float32))
        logits = logits + _TREES_WEIGHT * trust * np.log(votes + _LEAST_VOTE)
    likeness = np.maximum((points @ faults["examples"].T).max(axis=1), 0.0)
    # Unknown faults betray themselves twice: nothing known points their way, and head and trees disagree.
    agreement = _softmax(logits / (1.0 + _TREES_WEIGHT * trust)).max(axis=1)
    known = np.clip(likeness * agreement**2, 0.0, 1.0)
    return _softmax(_SHARPNESS * logits).astype(np.float32), known.astype(np.float32)


def normal_reference(
    memory: Mapping[str, NDArray[Any]], rows: Float32, *, window_rows: int
) -> dict[str, NDArray[Any]]:
    """What the machine does anyway, to be kept beside its memory: described normal windows of rows [R, C]."""
    starts = np.unique(np.linspace(0, len(rows) - window_rows, _KEPT_NORMAL).astype(np.int64))
    windows = np.stack([rows[start : start + window_rows].T for start in starts])
    return {_NORMAL: describe(memory, windows, None).astype(np.float16)}


def normal_of(memory: Mapping[str, NDArray[Any]]) -> Float32 | None:
    """What `normal_reference` kept [M, F]; None in a memory that is older than it."""
    return memory[_NORMAL].astype(np.float32) if _NORMAL in memory else None


def _relative_statistics(memory: Mapping[str, NDArray[Any]], z: Float32) -> Float32:
    """Statistics, slope, roughness and loudness of each channel relative to normal: [B, C, T] -> [B, C, S].

    They are taken over the longest newest part that the memory knows and the window has.
    """
    known = [
        int(name.split("_")[1]) for name in memory if name.startswith("statistics_") and "centre" in name
    ]
    length = max((rows for rows in known if rows <= z.shape[2]), default=z.shape[2])
    z = z[..., -length:]
    found = statistics(z)
    centre = memory.get(f"statistics_{length}_centre", np.zeros(found.shape[1:], np.float32))
    spread = memory.get(f"statistics_{length}_spread", np.ones(found.shape[1:], np.float32))
    ramp = (
        np.sqrt(3.0) * np.linspace(-1.0, 1.0, length) / length
    )  # answers a unit ramp like a mean does a unit step
    slope = z @ ramp.astype(np.float32) / spread[:, 0]
    turning = np.abs(np.diff(z, n=2, axis=2)).mean(axis=2)
    roughness = np.log((turning + _QUIET_STEP) / (found[..., 4] + _QUIET_STEP)) / _LEAST_LOG_STEP
    loudness = np.log((found[..., 1] + _QUIET_SD) / (centre[:, 1] + _QUIET_SD)) / _LEAST_LOG_SD
    extra = np.stack([slope, roughness, loudness], axis=2)
    return np.concatenate([(found - centre) / spread, extra], axis=2).astype(np.float32, copy=False)


def _unlabelled(
    normal: Float32 | None, pairs: Float32 | None, centre: Float32, rng: np.random.Generator
) -> Float32:
    """Samples [.., F] of what varies within a class: normal windows about their centre, and steps in time."""
    samples = [np.empty((0, len(centre)), np.float32)]
    if normal is not None:
        samples.append(_some(normal, _MOST_NORMAL, rng) - centre)
    if pairs is not None:
        chosen = _some(pairs, _MOST_PAIRS, rng)
        samples.append((chosen[:, 1] - chosen[:, 0]) / np.float32(np.sqrt(2.0)))
    return np.concatenate(samples)


def _some(rows: Float32, most: int, rng: np.random.Generator) -> Float32:
    return rows if len(rows) <= most else rows[np.sort(rng.choice(len(rows), most, replace=False))]


def _usual_movement(samples: Float32, *, n_numbers: int) -> tuple[Float32, Float32]:
    """(orthonormal directions [R, F] in which the samples vary, what is left of each after whitening [R])."""
    if len(samples) < 2:
        return np.empty((0, n_numbers), np.float32), np.empty(0, np.float32)
    scaled = samples.astype(np.float64) / np.sqrt(len(samples))
    # The smaller of the two Gram matrices has the same non-zero eigenvalues.
    tall = len(scaled) > n_numbers
    variance, vectors = np.linalg.eigh(scaled.T @ scaled if tall else scaled @ scaled.T)
    real = variance > _TINY * max(float(variance[-1]), _TINY)
    variance = variance[real]
    directions = vectors[:, real].T if tall else (vectors[:, real] / np.sqrt(variance)).T @ scaled
    floor = _RIDGE_SHARE * float(variance.sum()) / n_numbers
    gains = np.sqrt(floor / (variance + floor))
    return directions.astype(np.float32), gains.astype(np.float32)


def _direction(faults: Faults, described: Float32) -> Float32:
    """Whitened windows as points [B, F] on the unit sphere."""
    points: NDArray[Any] = described - faults["centre"]
    usual = points @ faults["directions"].T  # B R
    points = points - (usual * (1.0 - faults["gains"])) @ faults["directions"]
    length = np.sqrt(np.sum(points * points, axis=1, keepdims=True))
    unit: Float32 = np.divide(points, np.maximum(length, _TINY)).astype(np.float32, copy=False)
    return unit


def _logistic(examples: Float32, index: NDArray[np.int64]) -> Float32:
    """Weights [K, F] of a multinomial logistic regression, by Nesterov's accelerated gradient in the dual.

    The weights are combinations of the examples, so that the work does not depend on F.
    """
    n_examples = len(index)
    target = np.eye(index.max() + 1)[index]  # N K
    weigh = (_TRUST * n_examples / target.shape[1]) / target.sum(axis=0)[index][:, None]
    gram = examples.astype(np.float64) @ examples.T.astype(np.float64)
    steepest = 1.0 + 0.5 * float(weigh.max()) * float(np.linalg.eigvalsh(gram)[-1])
    momentum = (np.sqrt(steepest) - 1.0) / (np.sqrt(steepest) + 1.0)
    at = ahead = np.zeros_like(target)
    for _ in range(_STEPS):
        step = ahead - (ahead + weigh * (_softmax(gram @ ahead) - target)) / steepest
        ahead, at = step + momentum * (step - at), step
    weights: Float32 = (at.T @ examples).astype(np.float32)
    return weights


def _softmax(logits: NDArray[Any]) -> NDArray[Any]:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: NDArray[Any] = raised / raised.sum(axis=1, keepdims=True)
    return total
