"""Raw scores of all detectors to one: calibrated, weighed, and held against a threshold that keeps a budget.

Where a pre-trained judge is heard (`judge`), it decides in the place of all statistics together, which object, or add a
little. The jump keeps its own part, but is heard only where the judge does not deny that anything is wrong.

Axes: B windows, C channels, V raw scores.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.context_features import rows_learnt
from edge_agent.detect.detector import Entries, RawScore
from edge_agent.detect.judge import (
    FAR,
    FAR_STEPS,
    LOGIT,
    STRANGENESS,
    Judge,
    alarm_logit,
    ordered,
    state_logit,
    value_of,
)
from edge_agent.model.lazy_arrays import held
from edge_agent.signals.features import Float32

# What a jump beyond its threshold adds to a score of 1, times its logarithm. Chosen on recordings that are not scored.
_JUMP_WEIGHT = 0.25
_JUDGED = frozenset({LOGIT, STRANGENESS})


@dataclass(frozen=True, slots=True)
class Scores:
    """Of B windows; higher is worse.

    Attributes:
        value: how near an alarm, [B]; above 1 the budget of false alarms is used up. See `joined`.
        parts: the same by all detectors together and by the jump alone, each with a threshold of its own, [B, 2].
        recent: the same of the newest rows only, [B]; falls as soon as a fault ends, whatever else the window holds.
        contributions: share of each channel in the value, [B, C]; at least 0, rows sum to 1 or are all 0.
        calibrated: each raw score on one scale, [B, V]; 0 is an ordinary normal window, 1 the 99 % point of normal
            ones; a score that is absent is 0, and so is what the judge says, which has a scale of its own.
        mode: number of the operating mode that the newest row is in, -1 in transit, [B]; None: there is one.
    """

    value: Float32
    parts: Float32
    recent: Float32
    contributions: Float32
    calibrated: Float32
    mode: NDArray[np.int64] | None = None

    def part(self, chosen: slice) -> "Scores":
        """Those of some of the windows."""
        return Scores(
            self.value[chosen],
            self.parts[chosen],
            self.recent[chosen],
            self.contributions[chosen],
            self.calibrated[chosen],
            None if self.mode is None else self.mode[chosen],
        )


class Fusion(NamedTuple):
    """How a machine's raw scores are brought together, or those of each of B windows: then all have B in front.

    Attributes:
        calibration: normal median of each raw score, and the way from there to its 99 % point, [2, V].
        weights: of each raw score in what alarms together, by itself, and by the newest rows only, each sums to 1;
            then what older agents ranked by: [4, V].
        threshold: of the first two, [2]. recent_threshold: of the third, 0-d.
        limits: of the judge, see `Judge.limits`, [9]; None without one.
        mode_calibration: the calibration in each set of windows, [K + 1, 2, V]; None: one for all.
    """

    calibration: Float32
    weights: Float32
    threshold: Float32
    recent_threshold: Float32
    limits: Float32 | None = None
    mode_calibration: Float32 | None = None

    @classmethod
    def read(cls, arrays: Entries, judge: Judge | None = None) -> "Fusion":
        """The one among a machine's arrays."""
        return cls(
            held(arrays["calibration"]),
            held(arrays["weights"]),
            held(arrays["threshold"]),
            held(arrays["recent_threshold"]),
            None if judge is None else judge.limits(arrays, rows=rows_learnt(arrays)),
            held(arrays["mode_calibration"]) if "mode_calibration" in arrays else None,
        )

    @property
    def n_scores(self) -> int:
        """V, raw scores that there were when the machine was learnt."""
        return int(self.calibration.shape[-1])

    def scores(
        self,
        found: Mapping[str, RawScore],
        places: Mapping[str, int],
        *,
        n_windows: int,
        n_channels: int,
    ) -> Scores:
        """What the raw scores come to; `places` of each among all."""
        raw = np.empty((n_windows, self.n_scores), np.float32)
        raw[:] = self.calibration[..., 0, :]
        shares = np.zeros((n_windows, self.n_scores, n_channels), np.float32)
        for name, score in found.items():
            if name in _JUDGED:
                continue
            raw[:, places[name]] = score.value
            shares[:, places[name]] = score.contributions
        calibrated = calibrate(self.calibration, raw)
        loudness, recent = fuse(self.weights, calibrated)
        loud = self.weights[..., :2, :].sum(axis=-2) * np.square(np.maximum(calibrated, np.float32(0.0)))
        loud /= np.maximum(shares.sum(axis=2), np.float32(1e-30))
        weighed = np.einsum("bv,bvc->bc", loud, shares)
        total = weighed.sum(axis=1, keepdims=True)
        over = (loudness / self.threshold).astype(np.float32)
        recently = (recent / self.recent_threshold).astype(np.float32)
        contributions = (weighed / np.maximum(total, np.float32(1e-30))).astype(np.float32)
        if self.limits is not None and LOGIT in found:
            logit, heard = found[LOGIT], found[STRANGENESS].value <= 1.0
            parts, state = judged(self.limits, logit.value, over, shape=calibrated[:, places["shape"]])
            over = np.where(heard[:, np.newaxis], parts, over)
            recently = np.where(heard, state, recently)
            contributions = np.where(heard[:, np.newaxis], logit.contributions, contributions)
        return Scores(
            value=joined(over),
            parts=over,
            recent=recently,
            contributions=contributions,
            calibrated=calibrated,
        )


def judged(limits: Float32, logit: Float32, over: Float32, *, shape: Float32) -> tuple[Float32, Float32]:
    """What alarms [B, 2] and what tells when an alarm is over [B], by a judge's logits [B].

    Args:
        limits: of the judge, [9] or [B, 9].
        logit: what it says.
        over: what all statistics together come to by their threshold, and the jump by its, [B, 2].
        shape: calibrated Mahalanobis distance of the newest rows, [B].
    """
    threshold, state = limits[..., 0], limits[..., 1]
    alarm = alarm_logit(logit, over[:, 0], objection=limits[..., 2:])
    loud = over[:, 0] / limits[..., 4]
    steps = limits[..., 5] + np.where(over[:, 0] >= FAR, np.float32(FAR_STEPS), np.float32(0.0))
    denied = alarm < threshold - steps
    jump = np.where(denied, np.minimum(over[:, 1], np.float32(1.0)), over[:, 1])
    told = ordered(alarm, threshold, over[:, 0], objection=limits[..., 2:])
    parts = np.column_stack([np.maximum(value_of(told, threshold), loud), jump])
    return parts, value_of(state_logit(logit, shape), state)


def calibration_of_sets(
    calibration: Float32, by_set: Float32, *, sets: NDArray[np.int64], views: NDArray[np.int64]
) -> Float32:
    """The calibration of each window, [B, 2, V].

    Args:
        calibration: of the machine, [2, V].
        by_set: of each set of windows, [K + 1, 2, V].
        sets: of the windows for each length, [lengths, B].
        views: place of the length by whose set a raw score is calibrated, [V]; -1: by none.
    """
    found = np.repeat(calibration[None], sets.shape[1], axis=0)
    heard = np.flatnonzero(views[: calibration.shape[-1]] >= 0)
    chosen = by_set[sets[views[heard]], :, heard[:, None]]  # heard B 2
    found[:, :, heard] = chosen.transpose(1, 2, 0)
    return found


def calibrate(calibration: Float32, raw: Float32) -> Float32:
    """Raw scores [B, V] on one scale: 0 at the normal median, 1 at the normal 99 % point."""
    calibrated: Float32 = ((raw - calibration[..., 0, :]) / calibration[..., 1, :]).astype(np.float32)
    return calibrated


def fuse(weights: Float32, calibrated: Float32) -> tuple[Float32, Float32]:
    """Calibrated scores [B, V] -> what may alarm [B, 2], the same of the newest rows only [B].

    A root mean square: one detector that is loud enough suffices. The jump alarms by itself: among the others a plain
    step of one channel would be drowned.
    """
    raised = np.maximum(calibrated, np.float32(0.0))
    loudness: Float32 = np.sqrt((weights[..., :3, :] @ np.square(raised)[..., None])[..., 0])
    return loudness[:, :2], loudness[:, 2]


def joined(parts: NDArray[Any]) -> NDArray[Any]:
    """What all detectors together [..., 0] and the jump [..., 1] come to: [..., P] -> [...].

    The jump counts only where it alarms by itself, and then by its logarithm: it is loudest half a window after a
    change, where nothing may be wrong any more, and would hide in what order the others put the windows.
    """
    together, step = parts[..., 0], parts[..., 1:].max(axis=-1, initial=0.0)
    if not (step > 1.0).any():
        return together.copy()
    alarmed = 1.0 + _JUMP_WEIGHT * np.log(np.maximum(step, 1.0))
    return np.where(step > 1.0, np.maximum(together, alarmed), together)
