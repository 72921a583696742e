"""All voices together: how unusual windows are, of one machine or of many that are due at once. Pure numpy.

One window costs almost as many calls of numpy as hundreds, so what can be is done for all machines at once; only what
compares a window with the remembered ones is done machine by machine.

Axes: B windows, C channels, T rows, V voices, P views of a window, F statistics of a view, K numbers of a view,
M remembered windows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect import detectors
from edge_agent.detect.compact_memory import at_hand, products, ranks, remembered
from edge_agent.detect.detectors import ALARM_KNEE, CHANGE_ROWS, RANK_KNEE, VOICES, Encoded, Said
from edge_agent.signals.features import Float32
from edge_agent.signals.views import Seen, look

Memory = Mapping[str, NDArray[Any]]

_STEP_NUMBERS = 4_000_000
"""Numbers that one step of scoring many windows may hold at a time; bounds the gateway's memory."""
_MACHINES_AT_A_TIME = 8
"""Their remembered windows are held while they are compared: 0.3 MB each."""
_PLACE = {voice: at for at, voice in enumerate(VOICES)}


@dataclass(frozen=True, slots=True)
class Scores:
    """Of B windows; higher is worse.

    Attributes:
        value: how near an alarm, [B]; above 1 the budget of false alarms is used up. See `voices.joined`.
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

    def part(self, chosen: slice) -> "Scores":
        """Those of some of the windows."""
        return Scores(
            self.value[chosen],
            self.parts[chosen],
            self.recent[chosen],
            self.rank[chosen],
            self.contributions[chosen],
            self.voices[chosen],
        )


def score(memory: Memory, windows: Float32, encoded: Encoded | None, *, ranking: bool = True) -> Scores:
    """Score windows [B, C, T] in physical units (NaN: hidden cell) against a machine's memory.

    Voices that need the encoder stay silent where `encoded` is None or the memory was made without it. Without
    `ranking`, or with a memory that is `lean`, only the voices that can alarm are asked, in about half of the time;
    `rank` is then 0.
    """
    ranking = ranking and ranks(memory)
    numbers = memory["together_square"].size + (memory["alone_square"].size if ranking else 0)
    step = max(1, _STEP_NUMBERS // numbers)
    parts = []
    for at in range(0, max(len(windows), 1), step):
        looked = look(memory, windows[at : at + step], change_rows=CHANGE_ROWS if ranking else ())
        said = _alarming_say([memory], [looked])
        if ranking:
            said |= _ranking_say(memory, looked, _part(encoded, at, step))
        parts.append(_joined(memory, said, looked.z.shape, ranking=ranking))
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


def score_together(memories: Sequence[Memory], looked: Sequence[Seen]) -> list[Scores]:
    """What may alarm, of windows of several machines that were looked at together: as `score` without `ranking`."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for at, (memory, seen) in enumerate(zip(memories, looked, strict=True)):
        shapes = (seen.z.shape[1:], memory["together_square"].shape, memory["shape_mean"].shape)
        groups.setdefault((*shapes, *memory["lengths"].tolist()), []).append(at)
    found: dict[int, Scores] = {}
    for members in groups.values():
        for first in range(0, len(members), _MACHINES_AT_A_TIME):
            chosen = members[first : first + _MACHINES_AT_A_TIME]
            scores, start = _score_chosen([memories[at] for at in chosen], [looked[at] for at in chosen]), 0
            for at in chosen:
                count = len(looked[at].z)
                found[at] = scores.part(slice(start, start + count))
                start += count
    return [found[at] for at in range(len(memories))]


def _score_chosen(memories: Sequence[Memory], looked: Sequence[Seen]) -> Scores:
    counts = [len(seen.z) for seen in looked]
    known = _by_window(memories, counts, names=("calibration", "weights", "threshold", "recent_threshold"))
    shape = (sum(counts), *looked[0].z.shape[1:])
    return _joined(known, _alarming_say(memories, looked), shape, ranking=False)


def _by_window(memories: Sequence[Memory], counts: Sequence[int], *, names: Sequence[str]) -> dict[str, Any]:
    """These arrays, for each window those of its machine."""
    stacked = {name: np.stack([memory[name] for memory in memories]) for name in names}
    if all(count == 1 for count in counts):
        return stacked
    return {name: np.repeat(array, counts, axis=0) for name, array in stacked.items()}


def _joined(memory: Memory, said: Mapping[str, Said], shape: tuple[int, ...], *, ranking: bool) -> Scores:
    """What the voices come to: `memory` is one machine's, or has its arrays for each window of `shape` [B, C, T]."""
    B, C, _ = shape
    raw = np.empty((B, len(VOICES)), np.float32)
    raw[:] = memory["calibration"][..., 0, :]
    shares = np.zeros((B, len(VOICES), C), np.float32)
    for voice, (value, parts) in said.items():
        raw[:, _PLACE[voice]] = value
        shares[:, _PLACE[voice]] = parts
    calibrated = detectors.calibrate(memory, raw)
    loudness, recent, rank = detectors.fuse(memory, calibrated)
    loud = memory["weights"][..., :2, :].sum(axis=-2) * np.square(np.maximum(calibrated, np.float32(0.0)))
    loud /= np.maximum(shares.sum(axis=2), np.float32(1e-30))
    weighed = np.einsum("bv,bvc->bc", loud, shares)
    total = weighed.sum(axis=1, keepdims=True)
    over = (loudness / memory["threshold"]).astype(np.float32)
    return Scores(
        value=detectors.joined(over),
        parts=over,
        recent=(recent / memory["recent_threshold"]).astype(np.float32),
        rank=rank if ranking else np.zeros_like(rank),
        contributions=(weighed / np.maximum(total, np.float32(1e-30))).astype(np.float32),
        voices=calibrated,
    )


def _alarming_say(memories: Sequence[Memory], looked: Sequence[Seen]) -> dict[str, Said]:
    """The voices that may alarm, of windows of one shape: those of each machine one after another."""
    counts = [len(seen.z) for seen in looked]
    lengths = memories[0]["lengths"].tolist()
    z = looked[0].z if len(looked) == 1 else np.concatenate([seen.z for seen in looked])
    views = [seen.views[: len(lengths)] for seen in looked]
    seen = views[0] if len(views) == 1 else np.concatenate(views, axis=1)
    said = _together_say(memories, counts, seen, name="together", knee=ALARM_KNEE)
    known = _by_window(memories, counts, names=("jump_centre", "jump_spread", "shape_mean", "shape_relief"))
    apart = detectors.newest_apart(z, mean=known["shape_mean"])
    pull = np.empty_like(apart)
    for memory, part in zip(memories, _slices(counts), strict=True):
        np.matmul(apart[part], memory["shape_precision"], out=pull[part])
    said["shape"] = detectors.shape_says(apart, pull, relief=known["shape_relief"])
    step = detectors.steps(seen, len(lengths))
    said["jump"] = detectors.jump(step, centre=known["jump_centre"], spread=known["jump_spread"])
    return said


def _ranking_say(memory: Memory, looked: Seen, encoded: Encoded | None) -> dict[str, Said]:
    """The voices that only rank, of one machine's windows."""
    lengths = memory["lengths"].tolist()
    counts = [len(looked.z)]
    said = _together_say([memory], counts, looked.views[: len(lengths)], name="wide", knee=RANK_KNEE)
    said |= detectors.channels_say(memory, looked.views, lengths)
    if encoded is not None and "embedding_bank" in memory:
        said |= detectors.encoder_says(memory, looked.z, encoded)
    return said


def _together_say(
    memories: Sequence[Memory], counts: Sequence[int], seen: Float32, *, name: str, knee: float
) -> dict[str, Said]:
    """Voices of all channels together: distance of their statistics [P, B, C, F] to the remembered windows."""
    P, B, C, F = seen.shape
    centre, spread = (_by_view(memories, counts, part, n_views=P) for part in ("centre", "spread"))
    flat = detectors.describe(seen, centre=centre, spread=spread, knee=knee).reshape(P, B, C * F)
    banks = [at_hand(memory, name) for memory in memories]
    likeness = np.empty((P, B, memories[0][f"{name}_square"].shape[-1]), np.float32)
    square = np.empty_like(likeness) if len(memories) > 1 else memories[0][f"{name}_square"][:, None]
    for memory, bank, part in zip(memories, banks, _slices(counts), strict=True):
        likeness[:, part] = products(bank, name, flat[:, part])
        if len(memories) > 1:
            square[:, part] = memory[f"{name}_square"][:, None]
    distance, nearest = detectors.nearest_of(likeness, flat, square=square)
    apart = flat.copy()
    for bank, part in zip(banks, _slices(counts), strict=True):
        apart[:, part] -= remembered(bank, name, nearest[:, part])
    parts = detectors.square_of(apart.reshape(P, B, C, F))
    lengths = memories[0]["lengths"].tolist()
    return {f"{name}_{rows}": (distance[view], parts[view]) for view, rows in enumerate(lengths)}


def _by_view(memories: Sequence[Memory], counts: Sequence[int], part: str, *, n_views: int) -> Float32:
    """Centre or spread of the views: [P, C, F] of one machine, [P, B, C, F] of several."""
    known = [memory[f"view_{part}"][:n_views] for memory in memories]
    if len(known) == 1:
        return known[0]
    return np.repeat(np.stack(known, axis=1), counts, axis=1)


def _slices(counts: Sequence[int]) -> list[slice]:
    ends = np.cumsum(counts).tolist()
    return [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]


def _part(encoded: Encoded | None, at: int, step: int) -> Encoded | None:
    if encoded is None:
        return None
    return Encoded(
        embedding=encoded.embedding[at : at + step], reconstruction=encoded.reconstruction[at : at + step]
    )
