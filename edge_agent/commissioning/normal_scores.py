"""Normal scores of one machine that outlive its learning, so that thresholds can follow another budget. Pure.

Kept are the largest of blocks, which is all that the law of thresholds reads (`threshold`): some 24 numbers a part. So
what another budget asks for is known at once, and is what learning the same rows anew would have given.

Axes: W normal windows, n blocks, P parts of a score: all detectors together, a plain step, the newest rows.
"""

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from edge_agent.commissioning.threshold import chance_above, largest_of_blocks, of_blocks, shared
from edge_agent.signals.features import Float32

_PEAKS, _LOGITS, _LOOK = "budget_peaks", "budget_logits", "budget_look"
_PARTS = 3
_LEAST_THRESHOLD = (
    1.0  # the 99 % point of normal; a machine that stood still has nothing to set a threshold by
)


@dataclass(frozen=True, slots=True)
class Look:
    """How normal windows were looked at.

    Attributes:
        windows: W. stride: scored windows that pass from one to the next.
        windows_per_week: that the machine is scored on.
        independent: windows that share no rows.
        caution: factor of each threshold.
        budget_per_week: false alarms a week that the thresholds were set for.
    """

    windows: float
    stride: float
    windows_per_week: float
    independent: float
    caution: float
    budget_per_week: float


class NormalScores(NamedTuple):
    """The largest normal scores of blocks.

    Attributes:
        peaks: of what the detectors come to, before any threshold, [n, P].
        logits: of a judge's logits less their threshold, [m]; empty where none was heard.
        look: see there.
    """

    peaks: NDArray[np.float64]
    logits: NDArray[np.float64]
    look: Look

    @classmethod
    def of(cls, scores: Float32, recent: Float32, look: Look) -> Self:
        """Those of the held-out scores [W, 2] and of the newest rows [W]."""
        peaks = [largest_of_blocks(part) for part in (*scores.T, recent)]
        return cls(np.stack(peaks, axis=1), np.empty(0), look)

    @classmethod
    def of_service(cls, peaks: NDArray[np.float64], blocks_per_week: float) -> Self:
        """Those of blocks [n, P] in service, of which a week has so many."""
        count = float(len(peaks))
        return cls(peaks, np.empty(0), Look(count, 1.0, blocks_per_week, math.inf, 1.0, math.nan))

    @classmethod
    def read(cls, memory: Mapping[str, NDArray[Any]]) -> Self | None:
        """Those among a machine's arrays; None where an older agent kept none."""
        if not {_PEAKS, _LOGITS, _LOOK} <= memory.keys():
            return None
        peaks, look = np.asarray(memory[_PEAKS], np.float64), np.asarray(memory[_LOOK], np.float64)
        if peaks.ndim != 2 or peaks.shape[1] != _PARTS or not len(peaks) or look.shape != (6,):
            return None
        return cls(peaks, np.asarray(memory[_LOGITS], np.float64), Look(*look.tolist()))

    def with_logits(self, logits: NDArray[np.floating[Any]]) -> Self:
        """The same with a judge's, [W]."""
        return self._replace(logits=largest_of_blocks(logits)) if len(logits) else self

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `read` reads."""
        return {
            _PEAKS: self.peaks.astype(np.float32),
            _LOGITS: self.logits.astype(np.float32),
            _LOOK: np.array(astuple(self.look)),
        }

    def thresholds(self, budget_per_week: float) -> Float32:
        """What each part is divided by so that a budget is kept, [P]."""
        look = self.look
        limits = [
            of_blocks(
                part,
                windows=look.windows,
                windows_per_week=look.windows_per_week,
                budget_per_week=budget,
                stride=look.stride,
                independent=look.independent,
            )
            for part, budget in zip(self.peaks.T, (*shared(budget_per_week, 2), budget_per_week), strict=True)
        ]
        raised = np.float32(look.caution) * np.array(limits, np.float32)
        found: Float32 = np.maximum(raised, np.float32(_LEAST_THRESHOLD))
        return found

    def above_a_week(self, limits: NDArray[np.floating[Any]]) -> float:
        """Blocks a week in which what may alarm exceeds `limits`, [2] or more, in the scores' own units."""
        chances = [
            chance_above(part, limit, independent=self.look.independent)
            for part, limit in zip(self.peaks.T[:2], limits[:2].tolist(), strict=True)
        ]
        return self.blocks_a_week(len(self.peaks)) * min(sum(chances), 1.0)

    def blocks_a_week(self, count: int) -> float:
        """How many blocks a week has, where the normal windows were so many."""
        return self.look.windows_per_week * count / (self.look.windows * self.look.stride)
