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

from edge_agent.features import Float32, signed_log, standardise
from edge_agent.lean import at_hand, products, ranks, remembered
from edge_agent.seen import Seen, look

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
# Numbers that one step of scoring many windows may hold at a time; bounds the gateway's memory.
_STEP_NUMBERS = 4_000_000

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


@dataclass(frozen=True, slots=True)
class Scores:
    """Of B windows; higher is worse.

    Attributes:
        value: how near an alarm, [B]; above 1 the budget of false alarms is used up. See `joined`.
        parts: the same by all voices together and by the jump alone, each with a threshold of its own, [B, 2].
        recent: the same of the newest rows only, [B]; falls as soon as a fault ends, whatever else the window holds.
        rank: how unusual, [B]; orders windows by how sure several voices are, whatever the budget.
        contributions: share of each channel in the value, [B, C]; at least 0, rows sum to 1 or are all 0.
        voices: each voice's calibrated value, [B, V] in the order of `VOICES`; 0 is an ordinary calm
            window, 1 the 99 % point of calm; an absent voice says 0.
    """

    value: Float32
    parts: Float32
    recent: Float32
    rank: Float32
    contributions: Float32
    voices: Float32


def score(
    memory: Memory,
    windows: Float32,
    encoded: Encoded | None,
    *,
    ranking: bool = True,
    seen: Seen | None = None,
) -> Scores:
    """Score windows [B, C, T] in physical units (NaN: hidden cell) against a machine's memory.

    Voices that need the encoder stay silent where `encoded` is None or the memory was made without it. Without
    `ranking`, or with a memory that is `lean`, only the voices that can alarm are asked, in about half of the time;
    `rank` is then 0. `seen` is what `look_together` has found already; who ranks looks again.
    """
    ranking = ranking and ranks(memory)
    if seen is not None and not ranking:
        return _score_step(memory, seen, None, ranking=False)
    numbers = memory["together_square"].size + (memory["alone_square"].size if ranking else 0)
    step = max(1, _STEP_NUMBERS // numbers)
    parts = [
        _score_step(
            memory,
            look(memory, windows[at : at + step], change_rows=CHANGE_ROWS if ranking else ()),
            _part(encoded, at, step),
            ranking=ranking,
        )
        for at in range(0, max(len(windows), 1), step)
    ]
    if len(parts) == 1:
        return parts[0]
    return Scores(
        value=np.concatenate([part.value for part in parts]),
        parts=np.concatenate([part.parts for part in parts]),
        recent=np.concatenate([part.recent for part in parts]),
        rank=np.concatenate([part.rank for part in parts]),
        contributions=np.concatenate([part.contributions for part in parts]),
        voices=np.concatenate([part.voices for part in parts]),
    )


def calibrate(memory: Memory, raw: Float32) -> Float32:
    """Raw voices [B, V] on one scale: 0 at the calm median, 1 at the calm 99 % point."""
    middle, reach = memory["calibration"]
    calibrated: Float32 = ((raw - middle) / reach).astype(np.float32)
    return calibrated


def fuse(memory: Memory, calibrated: Float32) -> tuple[Float32, Float32, Float32]:
    """Calibrated voices [B, V] -> what may alarm [B, 2], the same of the newest rows only [B], what ranks [B].

    For an alarm, a root mean square: one voice that is loud enough suffices. The jump alarms by itself: among the
    others a plain step of one channel would be drowned. For ranking, a mean of logarithms: several voices that are
    raised count for more than one that shouts.
    """
    raised = np.maximum(calibrated, np.float32(0.0))
    alarming, jumping, newest, ranking = memory["weights"]
    power = np.square(raised)
    loudness: Float32 = np.sqrt(np.stack([power @ alarming, power @ jumping], axis=1))
    recent: Float32 = np.sqrt(power @ newest)
    rank: Float32 = np.log1p(raised) @ ranking
    return loudness, recent, rank


def describe(seen: Float32, *, centre: Float32, spread: Float32, knee: float) -> Float32:
    """Views [P, B, C, F] relative to calm ones, squashed beyond the knee: points in the space of a memory."""
    bend = np.float32(knee)
    return bend * signed_log((seen - centre[:, None]) / (bend * spread[:, None]))


def neighbours(
    points: Float32, bank: Float32, *, square: Float32, barred: NDArray[np.bool_] | None = None
) -> tuple[Float32, NDArray[np.int64]]:
    """(mean distance to the nearest remembered windows [..., B], index of the nearest [..., B]).

    `points` [..., B, K] and `bank` [..., M, K] hold K numbers a window, `square` [..., M] the squared length
    of the latter. `barred` [B, M] are pairs that do not count: in calibration a window may not meet its
    own rows.
    """
    squared = points @ np.swapaxes(bank, -1, -2)
    return nearest_of(squared, points, square=square, barred=barred)


def nearest_of(
    products: Float32, points: Float32, *, square: Float32, barred: NDArray[np.bool_] | None = None
) -> tuple[Float32, NDArray[np.int64]]:
    """The same from the points' scalar products [..., B, M] with the bank, which are overwritten."""
    squared = products
    squared *= -2.0
    squared += square[..., None, :]
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


def shape_distance(z: Float32, *, mean: Float32, precision: Float32, relief: Float32 | None = None) -> Said:
    """Mahalanobis distance of the newest raw rows of all channels, and what each channel adds to its square.

    It sees what no channel shows alone: a relation between channels, or between neighbouring rows, that broke.
    A channel adds as much as the square would fall if that channel alone were put right ("reconstruction-based
    contribution", Alcala and Qin, Automatica 45, 2009): shares of the plain product smear over healthy channels.

    Args:
        z: standardised windows [B, C, T].
        mean: [C * L].
        precision: [C * L, C * L].
        relief: inverse of each channel's own block of the precision [C, L, L]; without it nobody is blamed.
    """
    B, C, _ = z.shape
    rows = mean.size // C
    apart = z[..., -rows:].reshape(B, -1) - mean
    pull = apart @ precision
    squared = np.maximum(np.einsum("bk,bk->b", apart, pull), 0.0)
    if relief is None:
        return np.sqrt(squared), np.zeros((B, C), np.float32)
    pulls = pull.reshape(B, C, 1, rows)
    parts = (pulls @ relief @ pulls.transpose(0, 1, 3, 2)).reshape(B, C)
    return np.sqrt(squared), np.maximum(parts, 0.0)


def reconstruction_errors(z: Float32, reconstruction: Float32, memory: Memory) -> Float32:
    """Mean absolute error of each channel over the window and over its newest rows: [2, C, B], calm scales."""
    rebuilt = standardise(
        reconstruction, location=memory["location"], scale=memory["scale"], limit=memory["limit"]
    )
    error = np.abs(z - rebuilt)
    return np.stack([error.mean(axis=2).T, error[..., -_NEWEST_ROWS:].mean(axis=2).T])


def _part(encoded: Encoded | None, at: int, step: int) -> Encoded | None:
    if encoded is None:
        return None
    return Encoded(
        embedding=encoded.embedding[at : at + step], reconstruction=encoded.reconstruction[at : at + step]
    )


def _score_step(memory: Memory, looked: Seen, encoded: Encoded | None, *, ranking: bool) -> Scores:
    z, seen = looked.z, looked.views
    lengths = memory["lengths"].tolist()
    said = _together_say(memory, seen[: len(lengths)], name="together", knee=ALARM_KNEE)
    said["shape"] = shape_distance(
        z, mean=memory["shape_mean"], precision=memory["shape_precision"], relief=memory["shape_relief"]
    )
    step = steps(seen, len(lengths))
    said["jump"] = jump(step, centre=memory["jump_centre"], spread=memory["jump_spread"])
    if ranking:
        said |= _together_say(memory, seen[: len(lengths)], name="wide", knee=RANK_KNEE)
        said |= _channels_say(memory, seen, lengths)
        if encoded is not None and "embedding_bank" in memory:
            said |= _encoder_says(memory, z, encoded)
    raw = np.tile(memory["calibration"][0], (len(z), 1))
    shares = np.zeros((len(z), len(VOICES), z.shape[1]), np.float32)
    for voice, (value, parts) in said.items():
        raw[:, VOICES.index(voice)] = value
        shares[:, VOICES.index(voice)] = parts
    calibrated = calibrate(memory, raw)
    loudness, recent, rank = fuse(memory, calibrated)
    loud = memory["weights"][:2].sum(axis=0) * np.square(np.maximum(calibrated, np.float32(0.0)))
    loud /= np.maximum(shares.sum(axis=2), np.float32(1e-30))
    weighed = np.einsum("bv,bvc->bc", loud, shares)
    total = weighed.sum(axis=1, keepdims=True)
    parts = (loudness / memory["threshold"]).astype(np.float32)
    return Scores(
        value=joined(parts),
        parts=parts,
        recent=(recent / memory["recent_threshold"]).astype(np.float32),
        rank=rank if ranking else np.zeros_like(rank),
        contributions=(weighed / np.maximum(total, np.float32(1e-30))).astype(np.float32),
        voices=calibrated,
    )


def _together_say(memory: Memory, seen: Float32, *, name: str, knee: float) -> dict[str, Said]:
    """Voices of all channels together: distance of their statistics [P, B, C, F] to the remembered windows."""
    n_views = len(seen)
    points = describe(
        seen, centre=memory["view_centre"][:n_views], spread=memory["view_spread"][:n_views], knee=knee
    )
    flat = points.reshape(*points.shape[:2], -1)
    bank = at_hand(memory, name)
    distance, nearest = nearest_of(products(bank, name, flat), flat, square=memory[f"{name}_square"])
    closest = remembered(bank, name, nearest)
    said: dict[str, Said] = {}
    for view, rows in enumerate(memory["lengths"].tolist()):
        apart = (flat[view] - closest[view]).reshape(points[view].shape)
        said[f"{name}_{rows}"] = distance[view], square_of(apart)
    return said


def _channels_say(memory: Memory, seen: Float32, lengths: list[int]) -> dict[str, Said]:
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


def _encoder_says(memory: Memory, z: Float32, encoded: Encoded) -> dict[str, Said]:
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
