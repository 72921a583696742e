"""What is unusual about a window: complementary voices against a machine's memory, and their fusion.

Pure numpy: no clock, no chance, no model. The memory is what `commission` learnt from calm rows; the
newest row of a window is "now", so every score is causal.

Axes: B windows, C channels, T rows, V voices, P views of a window, F statistics of a view, M remembered
windows, D embedding dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.signals.features import Float32, signed_log, standardise

Memory = Mapping[str, NDArray[Any]]

# Newest parts of a window that are described: short ones see a fault early, long ones see a slow one at all.
LENGTHS_ROWS = (16, 32, 64, 128)
# Newest parts that are compared with the longest one: a machine that drifts slowly changes neither.
CHANGE_ROWS = (16, 32)
# The voices that alarm come first; those after "shape" only rank.
VOICES = (
    *(f"together_{rows}" for rows in LENGTHS_ROWS),
    "shape",
    *(f"wide_{rows}" for rows in LENGTHS_ROWS),
    *(f"alone_{rows}" for rows in LENGTHS_ROWS),
    *(f"change_{rows}" for rows in CHANGE_ROWS),
    *(f"contrast_{rows}" for rows in CHANGE_ROWS),
    "embedding",
    "reconstruction",
    "reconstruction_newest",
    "jump",
)
# Rows of the newest part whose reconstruction error is a voice of its own.
_NEWEST_ROWS = 16
# Calm spreads up to which a statistic counts nearly in full; beyond, its logarithm does. An alarm must not be
# ruled by one statistic that ran away; a ranking gains from hearing how far it ran.
ALARM_KNEE = 2.0
RANK_KNEE = 5.0
# A window counts as far from the memory by its mean distance to this many remembered windows.
_NEIGHBOURS = 3
# What a jump beyond its threshold adds to a score of 1, times its logarithm. Chosen on recordings that are not scored.
_JUMP_SAY = 0.25

Said = tuple[Float32, Float32]


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the pre-trained encoder says of B windows of C channels.

    Attributes:
        embedding: [B, C, D].
        reconstruction: [B, C, T], physical units.
    """

    embedding: Float32
    reconstruction: Float32


def calibrate(memory: Memory, raw: Float32) -> Float32:
    """Raw voices [B, V] on one scale: 0 at the calm median, 1 at the calm 99 % point."""
    scales = memory["calibration"]
    calibrated: Float32 = ((raw - scales[..., 0, :]) / scales[..., 1, :]).astype(np.float32)
    return calibrated


def fuse(memory: Memory, calibrated: Float32) -> tuple[Float32, Float32, Float32]:
    """Calibrated voices [B, V] -> what may alarm [B, 2], the same of the newest rows only [B], what ranks [B].

    For an alarm, a root mean square: one voice that is loud enough suffices. The jump alarms by itself: among the
    others a plain step of one channel would be drowned. For ranking, a mean of logarithms: several voices that are
    raised count for more than one that shouts.
    """
    raised = np.maximum(calibrated, np.float32(0.0))
    weights = memory["weights"]
    loudness: Float32 = np.sqrt((weights[..., :3, :] @ np.square(raised)[..., None])[..., 0])
    rank: Float32 = (weights[..., 3:, :] @ np.log1p(raised)[..., None])[..., 0, 0]
    return loudness[:, :2], loudness[:, 2], rank


def describe(seen: Float32, *, centre: Float32, spread: Float32, knee: float) -> Float32:
    """Views [P, B, C, F] relative to calm ones, squashed beyond the knee: points in the space of a memory.

    Centre and spread are [P, C, F], or [P, B, C, F] for windows of several machines.
    """
    if centre.ndim < seen.ndim:
        centre, spread = centre[:, None], spread[:, None]
    bend = np.float32(knee)
    return bend * signed_log((seen - centre) / (bend * spread))


def neighbours(
    points: Float32, bank: Float32, *, square: Float32, barred: NDArray[np.bool_] | None = None
) -> tuple[Float32, NDArray[np.int64]]:
    """(mean distance to the nearest remembered windows [..., B], index of the nearest [..., B]).

    `points` [..., B, K] and `bank` [..., M, K] hold K numbers a window, `square` [..., M] the squared length
    of the latter. `barred` [B, M] are pairs that do not count: in calibration a window may not meet its
    own rows.
    """
    squared = points @ np.swapaxes(bank, -1, -2)
    return nearest_of(squared, points, square=square[..., None, :], barred=barred)


def nearest_of(
    products: Float32, points: Float32, *, square: Float32, barred: NDArray[np.bool_] | None = None
) -> tuple[Float32, NDArray[np.int64]]:
    """The same from the points' scalar products [..., B, M] with the bank, which are overwritten.

    `square` is [..., 1, M], or [..., B, M] where each window has a bank of its own.
    """
    squared = products
    squared *= -2.0
    squared += square
    if barred is not None:
        squared = np.where(barred, np.float32(np.inf), squared)
    k = min(_NEIGHBOURS, squared.shape[-1])
    nearest = squared.argmin(axis=-1)
    squared.partition(k - 1, axis=-1)
    closest = squared[..., :k] + square_of(points)[..., None]
    distance: Float32 = np.sqrt(np.maximum(closest, 0.0)).sum(axis=-1) / np.float32(k)
    return distance, nearest


def square_of(points: Float32) -> Float32:
    """Squared lengths of points [..., K]."""
    squares: Float32 = np.einsum("...k,...k->...", points, points)
    return squares


def excess(distance: Float32, *, usual: Float32, reach: Float32) -> Float32:
    """How far [..., B] each channel is beyond its usual calm distance, in its calm reach; at least 0."""
    beyond: Float32 = np.maximum((distance - usual[..., None]) / reach[..., None], np.float32(0.0))
    return beyond


def norm(beyond: Float32) -> Float32:
    """Length over the channels: [C, B] -> [B]. One faulty channel of many is not drowned by the healthy."""
    length: Float32 = np.sqrt(np.einsum("cb,cb->b", beyond, beyond))
    return length


def contrast(points: Float32) -> Said:
    """Size of a change's points [B, C, F], and the channels' parts of its square."""
    parts = square_of(points)
    return np.sqrt(parts.sum(axis=1)), parts


def joined(parts: NDArray[Any]) -> NDArray[Any]:
    """What all voices together [..., 0] and the jump [..., 1] come to: [..., P] -> [...].

    The jump has a say only where it alarms by itself, and then by its logarithm: it is loudest half a window after a
    change, where nothing may be wrong any more, and would hide in what order the other voices put the windows.
    """
    together, step = parts[..., 0], parts[..., 1:].max(axis=-1, initial=0.0)
    if not (step > 1.0).any():
        return together.copy()
    alarmed = 1.0 + _JUMP_SAY * np.log(np.maximum(step, 1.0))
    return np.where(step > 1.0, np.maximum(together, alarmed), together)


def steps(seen: Float32, n_lengths: int) -> Float32:
    """How far the level of a window's newest half is from the whole window's: views [P, B, C, F] -> [B, C].

    Many statistics together drown a plain step of one channel; and unlike the level itself, a step is no larger on a
    machine that has drifted since it was learnt.
    """
    found: Float32 = seen[max(n_lengths - 2, 0), ..., 0] - seen[n_lengths - 1, ..., 0]
    return found


def jump(step: Float32, *, centre: Float32, spread: Float32) -> Said:
    """The largest step [B, C] of a channel, in its calm spreads, and the channels' parts."""
    apart = (step - centre) / spread
    return np.abs(apart).max(axis=1), np.square(apart)


def shape_distance(z: Float32, *, mean: Float32, precision: Float32) -> Float32:
    """Mahalanobis distance [B] of the newest raw rows of all channels of standardised windows [B, C, T].

    It sees what no channel shows alone: a relation between channels, or between neighbouring rows, that broke.
    `mean` is [C * L], `precision` [C * L, C * L].
    """
    apart = newest_apart(z, mean=mean)
    distance: Float32 = np.sqrt(_square_by(apart, apart @ precision))
    return distance


def newest_apart(z: Float32, *, mean: Float32) -> Float32:
    """The newest raw rows of windows [B, C, T] without their mean [C * L] or [B, C * L]: [B, C * L]."""
    B, C, _ = z.shape
    apart: Float32 = z[..., -(mean.shape[-1] // C) :].reshape(B, -1) - mean
    return apart


def shape_says(apart: Float32, pull: Float32, *, relief: Float32) -> Said:
    """The same distance, and what each channel adds to its square.

    A channel adds as much as the square would fall if that channel alone were put right ("reconstruction-based
    contribution", Alcala and Qin, Automatica 45, 2009): shares of the plain product smear over healthy channels.

    Args:
        apart: see `newest_apart`.
        pull: its product with the precision, [B, C * L].
        relief: inverse of each channel's own block of the precision, [C, L, L] or [B, C, L, L].
    """
    B, rows = len(apart), relief.shape[-1]
    pulls = pull.reshape(B, -1, 1, rows)
    parts = (pulls @ relief @ pulls.transpose(0, 1, 3, 2)).reshape(B, -1)
    return np.sqrt(_square_by(apart, pull)), np.maximum(parts, 0.0)


def _square_by(apart: Float32, pull: Float32) -> Float32:
    square: Float32 = np.maximum(np.einsum("bk,bk->b", apart, pull), 0.0)
    return square


def reconstruction_errors(z: Float32, reconstruction: Float32, memory: Memory) -> Float32:
    """Mean absolute error of each channel over the window and over its newest rows: [2, C, B], calm scales."""
    rebuilt = standardise(
        reconstruction, location=memory["location"], scale=memory["scale"], limit=memory["limit"]
    )
    error = np.abs(z - rebuilt)
    return np.stack([error.mean(axis=2).T, error[..., -_NEWEST_ROWS:].mean(axis=2).T])


def channels_say(memory: Memory, seen: Float32, lengths: list[int]) -> dict[str, Said]:
    """Voices of each channel alone, and of the newest rows against the window's own past."""
    points = describe(seen, centre=memory["view_centre"], spread=memory["view_spread"], knee=RANK_KNEE)
    distance, _ = neighbours(np.swapaxes(points, 1, 2), memory["alone_bank"], square=memory["alone_square"])
    beyond = excess(distance, usual=memory["alone_usual"], reach=memory["alone_reach"])
    said = {f"alone_{rows}": (norm(beyond[view]), (beyond[view] ** 2).T) for view, rows in enumerate(lengths)}
    changes = [rows for rows in CHANGE_ROWS if rows < lengths[-1]]
    for view, rows in enumerate(changes, start=len(lengths)):
        said[f"change_{rows}"] = norm(beyond[view]), (beyond[view] ** 2).T
        said[f"contrast_{rows}"] = contrast(points[view])
    return said


def encoder_says(memory: Memory, z: Float32, encoded: Encoded) -> dict[str, Said]:
    """Voices of the pre-trained encoder: distance of the embeddings, error of the reconstruction."""
    distance, _ = neighbours(
        np.swapaxes(encoded.embedding, 0, 1), memory["embedding_bank"], square=memory["embedding_square"]
    )
    beyond = excess(distance, usual=memory["embedding_usual"], reach=memory["embedding_reach"])
    errors = excess(
        reconstruction_errors(z, encoded.reconstruction, memory),
        usual=memory["reconstruction_usual"],
        reach=memory["reconstruction_reach"],
    )
    # The largest error of a channel, because the mean drowns one faulty channel in many healthy ones.
    return {
        "embedding": (norm(beyond), (beyond**2).T),
        "reconstruction": (errors[0].max(axis=0), (errors[0] ** 2).T),
        "reconstruction_newest": (errors[1].max(axis=0), (errors[1] ** 2).T),
    }
