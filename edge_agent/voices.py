"""What is unusual about a window: several complementary voices against a machine's memory, and their fusion.

Pure numpy: no clock, no chance, no model. The memory is what `commission` learnt from calm rows; the
newest row of a window is "now", so every score is causal.

Axes: B windows, C channels, T rows, V voices, M remembered windows, K numbers that describe a window.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.features import Float32, signed_log, standardise, statistics

Memory = Mapping[str, NDArray[Any]]

# Newest parts of a window that are described by statistics: short ones see a fault early, long ones see
# a slow one at all.
LENGTHS_ROWS = (16, 32, 64, 128)
VOICES = (*(f"statistics_{rows}" for rows in LENGTHS_ROWS), "shape", "embedding", "reconstruction")
# A window counts as far from the memory by its mean distance to this many remembered windows.
_NEIGHBOURS = 3


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
        value: how near an alarm, [B]; above 1 the budget of false alarms is used up.
        contributions: share of each channel in the score, [B, C]; at least 0, rows sum to 1 or are all 0.
        voices: each voice's calibrated value, [B, V] in the order of `VOICES`; 0 is an ordinary calm
            window, 1 the 99 % point of calm; an absent voice says 0.
    """

    value: Float32
    contributions: Float32
    voices: Float32


def score(memory: Memory, windows: Float32, encoded: Encoded | None) -> Scores:
    """Score windows [B, C, T] in physical units (NaN: hidden cell) against a machine's memory.

    Voices that need the encoder stay silent where `encoded` is None or the memory was made without it.
    """
    raw, shares = raw_voices(memory, windows, encoded)
    calibrated = calibrate(memory, raw)
    loud = memory["weights"] * np.square(np.maximum(calibrated, 0.0))
    weighed = np.einsum("bv,bvc->bc", loud, shares)
    total = weighed.sum(axis=1, keepdims=True)
    contributions = np.divide(weighed, total, out=np.zeros_like(weighed), where=total > 0)
    return Scores(
        value=fuse(memory, calibrated) / memory["threshold"],
        contributions=contributions.astype(np.float32),
        voices=calibrated,
    )


def calibrate(memory: Memory, raw: Float32) -> Float32:
    """Raw voices [B, V] on one scale: 0 at the calm median, 1 at the calm 99 % point."""
    middle, reach = memory["calibration"]
    return ((raw - middle) / reach).astype(np.float32)


def fuse(memory: Memory, calibrated: Float32) -> Float32:
    """Calibrated voices [B, V] -> [B]: weighted root mean square.

    One voice that is loud enough suffices, and several that are raised count for more than one.
    """
    fused: Float32 = np.sqrt(np.square(np.maximum(calibrated, 0.0)) @ memory["weights"]).astype(np.float32)
    return fused


def raw_voices(memory: Memory, windows: Float32, encoded: Encoded | None) -> tuple[Float32, Float32]:
    """(what each voice says [B, V], the channels' shares in it [B, V, C]) before calibration."""
    z = standardise(windows, location=memory["location"], scale=memory["scale"], limit=memory["limit"])
    raw = np.zeros((len(z), len(VOICES)), np.float32)
    shares = np.zeros((len(z), len(VOICES), z.shape[1]), np.float32)
    for index, voice in enumerate(VOICES):
        said = _voice(memory, voice, z, windows, encoded)
        if said is not None:
            raw[:, index], parts = said
            total = parts.sum(axis=1, keepdims=True)
            np.divide(parts, total, out=shares[:, index], where=total > 0)
    return raw, shares


def _voice(
    memory: Memory, voice: str, z: Float32, windows: Float32, encoded: Encoded | None
) -> tuple[Float32, Float32] | None:
    """(value [B], what each channel adds [B, C]) of a voice, None where the memory or the encoder lacks it."""
    if voice == "shape":
        return shape_distance(
            z,
            mean=memory["shape_mean"],
            precision=memory["shape_precision"],
            relief=memory["shape_relief"],
        )
    if voice == "reconstruction":
        if encoded is None or "embedding_bank" not in memory:
            return None
        return reconstruction_error(
            windows, encoded.reconstruction, scale=memory["scale"], usual=memory["reconstruction_usual"]
        )
    if f"{voice}_bank" not in memory or (voice == "embedding" and encoded is None):
        return None
    described = encoded.embedding if encoded is not None and voice == "embedding" else None
    if described is None:
        described = statistics(z[..., -int(voice.rpartition("_")[2]) :])
    point = describe(described, centre=memory[f"{voice}_centre"], spread=memory[f"{voice}_spread"])
    bank = memory[f"{voice}_bank"]
    distance, nearest = neighbours(point, bank)
    apart = (point - bank[nearest]).reshape(len(z), z.shape[1], -1)
    return distance, np.sum(apart * apart, axis=2)


def describe(described: Float32, *, centre: Float32, spread: Float32) -> Float32:
    """Descriptions [B, C, F] relative to calm ones, squashed and laid out as points [B, C * F]."""
    return signed_log((described - centre) / spread).reshape(len(described), -1)


def neighbours(
    points: Float32, bank: Float32, *, barred: NDArray[np.bool_] | None = None
) -> tuple[Float32, NDArray[np.int64]]:
    """(mean distance to the nearest remembered windows [B], index of the nearest [B]).

    `barred` [B, M] are pairs that do not count: in calibration a window may not meet its own rows.
    """
    squared = np.sum(points * points, axis=1)[:, None] - 2.0 * (points @ bank.T) + np.sum(bank * bank, axis=1)
    if barred is not None:
        squared = np.where(barred, np.float32(np.inf), squared)
    k = min(_NEIGHBOURS, bank.shape[0])
    closest = np.partition(squared, k - 1, axis=1)[:, :k]
    distance = np.sqrt(np.maximum(closest, 0.0)).mean(axis=1)
    return distance.astype(np.float32), np.argmin(squared, axis=1)


def shape_distance(
    z: Float32, *, mean: Float32, precision: Float32, relief: Float32 | None = None
) -> tuple[Float32, Float32]:
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


def reconstruction_error(
    windows: Float32, reconstruction: Float32, *, scale: Float32, usual: Float32
) -> tuple[Float32, Float32]:
    """Largest error of a channel relative to its usual calm error `usual` [C]; hidden cells do not count.

    The maximum over channels, because the mean drowns one faulty channel in many healthy ones.
    """
    error = np.abs(windows - reconstruction) / scale[None, :, None]
    observed = np.isfinite(error)
    total = np.where(observed, error, np.float32(0.0)).sum(axis=2)
    relative = total / np.maximum(observed.sum(axis=2), 1) / usual
    return relative.max(axis=1).astype(np.float32), relative * relative
