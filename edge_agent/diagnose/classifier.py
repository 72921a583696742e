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
from edge_agent.diagnose.fault_space import Space, ask_normal, lengths, spaces
from edge_agent.diagnose.left_out_cases import weigh
from edge_agent.diagnose.logistic_head import fit, log_probability, softmax
from edge_agent.errors import UsageError
from edge_agent.signals.channel_kinds import transform
from edge_agent.signals.features import Float32, signed_log, standardise, statistics

Faults = Mapping[str, NDArray[Any]]
"""What `learn` writes and `classify` reads: flat, so that it can be stored beside a machine's memory."""

UNKNOWN_BELOW = 0.4
"""Under this, what `classify` calls known is better called an unknown fault: on simulated machines about nine
in ten windows of faults that were never learnt lay below it."""
# Normal windows that a machine's memory keeps for it: on simulated machines twice as many gained nothing.
_KEPT_NORMAL = 256
_CELLS_AT_A_TIME = 2_000_000
"""Of windows that are described together: bounds the memory that a wide machine takes."""
_NORMAL = "diagnose_calm"
_TREES = 100
_TREES_OF_A_FOLD = 30
_MOST_SPACES = 3
_SPLITS_TRIED = 32
# The trees' votes count twice what the head's probabilities do, as far as they are trusted: on simulated machines
# and on wells of another benchmark 2 was better than 1 at five and at ten examples a class.
_TREES_WEIGHT = 2.0
# A window is in doubt where no example explains so much of it: this share of the length of a normal window seen by the
# other half of the normal ones or, where that is not known, of what parts an example from another case of its class.
_OF_NORMAL = 0.5
_OF_OTHER_CASES = 0.8
# At what product of the three signs a fault is as well known as not (both chosen on simulated machines).
_EVEN = 0.2
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
    cases: NDArray[np.int64] | None = None,
) -> Faults:
    """Learn fault classes from few examples; to add an example, learn again from all that were kept.

    The space is whitened as in linear discriminant analysis, but with a within-class covariance from
    unlabelled windows (`fault_space`). Whether that helps this machine is decided by its own rows: by whether the
    examples lie outside of what is called normal and, where a class has several cases, by leaving cases out
    (`left_out_cases`). The head is a logistic regression on directions, its classes weighed equally; where evidence is
    divided, heads of several spaces are asked, each with its weight. From the second example a class on they are
    joined by randomised trees, which find the one number that matters.

    Args:
        described: N examples [N, F] from `describe`, at least one.
        labels: class of each example [N], any integers.
        normal: described normal windows [M, F] of the machine in the order of time, or None.
        seed: chooses among normal windows and pairs where there are more than are needed.
        pairs: described windows [P, 2, F] a few rows apart in the machine's history, faulty or not, or None.
        groups: which event each example is a window of [N]; several of one event are one witness. None: each its own.
        cases: which examples are left out together [N], where that is more than an event. None: the groups.

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
    classes, index = np.unique(labels, return_inverse=True)
    groups = np.arange(len(labels)) if groups is None else groups
    cases = groups if cases is None else cases
    possible = spaces(normal, pairs, n_numbers=described.shape[1], rng=rng)
    usual = ask_normal(normal, described)
    seen = np.concatenate([described, possible["all"].units(described)], axis=1)

    def votes(out: NDArray[np.bool_]) -> NDArray[Any]:
        trees = _grow(
            seen[~out], index[~out], groups[~out], n_trees=_TREES_OF_A_FOLD, rng=np.random.default_rng(seed)
        )
        return _voted(trees, seen[out])

    weights = weigh(
        possible, described, index, cases=cases, is_calm=usual.is_calm, votes=votes, sharpness=_SHARPNESS
    )
    faults = _heads(possible, weights, described, index)
    faults |= _nearness(possible, weights, described, index, cases=cases, of_normal=usual.spread)
    return {"classes": classes} | faults | _grow(seen, index, groups, n_trees=_TREES, rng=rng)


def classify(faults: Faults, described: Float32) -> tuple[Float32, Float32]:
    """Which of the learnt faults windows look like.

    Args:
        faults: what `learn` returned.
        described: windows [B, F] from `describe`.

    Returns:
        (probability of each learnt class [B, K] given that it is one of them, how much the window looks
        like any of them [B]: 1 certain, 0 unknown).
    """
    nearest = int(faults["nearest"])
    points = {
        number: _space(faults, number).units(described)
        for number in range(_MOST_SPACES)
        if _of("centre", number) in faults
    }
    logits = _voted(faults, np.concatenate([described, points[0]], axis=1).astype(np.float32))
    for number, seen in points.items():
        if (name := _of("head", number)) in faults:
            logits = logits + float(faults[_of("weight", number)]) * log_probability(faults[name], seen)
    likeness = np.maximum((points[nearest] @ faults["examples"].T).max(axis=1), 0.0)
    # Unknown faults betray themselves thrice: nothing known points their way, head and trees disagree, and what no
    # example explains of them is more than what parts windows of one kind.
    agreement = softmax(logits / (1.0 + _TREES_WEIGHT * float(faults["trust_in_trees"]))).max(axis=1)
    known = likeness * agreement**2
    if (unit := float(faults["unexplained_unit"])) > 0:
        unexplained = _unexplained(likeness, lengths(_space(faults, nearest).whitened(described)))
        known /= 1.0 + (unexplained / unit) ** 2
        known *= (1.0 + _EVEN) / (known + _EVEN)
    known = np.clip(known, 0.0, 1.0)
    return softmax(_SHARPNESS * logits).astype(np.float32), known.astype(np.float32)


def normal_reference(
    memory: Mapping[str, NDArray[Any]], rows: Float32, *, window_rows: int
) -> dict[str, NDArray[Any]]:
    """What the machine does anyway, to be kept beside its memory: described normal windows of rows [R, C]."""
    starts = np.unique(np.linspace(0, len(rows) - window_rows, _KEPT_NORMAL).astype(np.int64))
    step = max(1, _CELLS_AT_A_TIME // (rows.shape[1] * window_rows))
    found = []
    for at in range(0, len(starts), step):
        windows = np.stack([rows[start : start + window_rows].T for start in starts[at : at + step]])
        found.append(describe(memory, windows, None).astype(np.float16))
    return {_NORMAL: np.concatenate(found)}


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


def _of(part: str, number: int) -> str:
    """Where a part of the number-th space is kept."""
    return part if number == 0 else f"{part}_{number}"


def _space(faults: Faults, number: int) -> Space:
    return Space(*(faults[_of(part, number)] for part in Space._fields))


def _heads(
    possible: Mapping[str, Space],
    weights: Mapping[str, float],
    described: Float32,
    index: NDArray[np.int64],
) -> dict[str, NDArray[Any]]:
    """The spaces that are asked, with their heads and weights, and the first, in which trees see."""
    found: dict[str, NDArray[Any]] = {}
    for number, (name, space) in enumerate(possible.items()):
        if number == 0 or name in weights:
            found |= {_of(part, number): array for part, array in space._asdict().items()}
        if name in weights:
            found[_of("head", number)] = fit(space.units(described), index)
            found[_of("weight", number)] = np.array(weights[name], np.float32)
    return found


def _nearness(
    possible: Mapping[str, Space],
    weights: Mapping[str, float],
    described: Float32,
    index: NDArray[np.int64],
    *,
    cases: NDArray[np.int64],
    of_normal: float,
) -> dict[str, NDArray[Any]]:
    """The examples as the heaviest space has them, and how much of a window they may leave unexplained; 0: unknown."""
    heaviest = next(iter(weights))
    unit = _OF_NORMAL * of_normal if heaviest == "all" else 0.0
    unit = unit or _OF_OTHER_CASES * _between_cases(possible[heaviest], described, index, cases)
    return {
        "nearest": np.array(list(possible).index(heaviest)),
        "examples": possible[heaviest].units(described),
        "unexplained_unit": np.array(unit, np.float32),
    }


def _grow(
    seen: Float32,
    index: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    n_trees: int,
    rng: np.random.Generator,
) -> dict[str, NDArray[Any]]:
    """Trees over what is seen of examples [N, S], and how far they are trusted; none where they are not."""
    n_classes, witnesses = len(np.unique(index)), len(np.unique(groups))
    # One example a class tells nothing about which number matters: trees would part the classes by chance.
    trust = 1.0 - n_classes / witnesses if n_classes > 1 else 0.0
    found = {"trust_in_trees": np.array(trust, np.float32)}
    if trust > 0:
        trees = grow(seen, index, n_trees=n_trees, n_tried=_SPLITS_TRIED, rng=rng)
        found |= {f"trees_{name}": array for name, array in trees.items()}
    return found


def _voted(faults: Faults, seen: Float32) -> NDArray[Any]:
    """What the trees add to the heads' logarithms of windows [B, S]: [B, K], or 0."""
    trust = float(faults["trust_in_trees"])
    if trust <= 0:
        return np.zeros((len(seen), 1))
    trees = {
        name.removeprefix("trees_"): array for name, array in faults.items() if name.startswith("trees_")
    }
    added: NDArray[Any] = _TREES_WEIGHT * trust * np.log(vote(trees, seen) + _LEAST_VOTE)
    return added


def _unexplained(likeness: NDArray[Any], length: Float32) -> NDArray[Any]:
    """What is left of windows of that length without what points an example's way, by their likeness to it."""
    left: NDArray[Any] = length * np.sqrt(np.clip(1.0 - likeness**2, 0.0, 1.0))
    return left


def _between_cases(
    space: Space, described: Float32, index: NDArray[np.int64], cases: NDArray[np.int64]
) -> float:
    """What the nearest example of another case of its class usually leaves unexplained of one; 0: no class has two."""
    points = space.units(described)
    left = _unexplained(np.maximum(points @ points.T, 0.0), lengths(space.whitened(described))[:, None])
    left[(index[:, None] != index) | (cases[:, None] == cases)] = np.inf
    nearest = left.min(axis=1)
    nearest = nearest[np.isfinite(nearest)]
    return float(np.median(nearest)) if len(nearest) else 0.0
