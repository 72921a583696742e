"""What a machine that runs programs was told while its rows were learnt: recipes, and where set-points were. Pure.

Lies among a machine's arrays as `told_<field>`.

Axes: R rows, T rows of a window, C channels, G channels that are told, L values.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.cycles.maker import RECIPES_LIMIT
from edge_agent.cycles.rules import CycleRule
from edge_agent.records import Float32

_PREFIX = "told_"
_FEW_VALUES = 8
_REACH_MORE = 0.1
"""Of what was learnt, by which a set-point may be further and still be known."""


class ToldRows(NamedTuple):
    """What the channels that tell the program were while the machine was learnt.

    Attributes:
        at: which channels, [G].
        values: of those that had few, NaN elsewhere, [G, L].
        reach: least and largest, [2, G]; NaN where a channel said nothing.
    """

    at: NDArray[np.int64]
    values: Float32
    reach: Float32

    @classmethod
    def of(cls, rows: Float32, channels: Sequence[str], rule: CycleRule) -> "ToldRows":
        """By the rows [R, C] that a machine was learnt from."""
        told = [at for at, name in enumerate(channels) if name == rule.recipe or rule.gives(name)]
        values = np.full((len(told), RECIPES_LIMIT), np.nan, np.float32)
        reach = np.full((2, len(told)), np.nan, np.float32)
        for place, at in enumerate(told):
            seen = np.unique(rows[np.isfinite(rows[:, at]), at])
            if len(seen):
                reach[:, place] = seen[0], seen[-1]
            if len(seen) <= (RECIPES_LIMIT if channels[at] == rule.recipe else _FEW_VALUES):
                values[place, : len(seen)] = seen
        return cls(np.array(told, np.int64), values, reach)

    @classmethod
    def read(cls, memory: Mapping[str, NDArray[Any]]) -> "ToldRows | None":
        """Those among a machine's arrays; None where it was learnt without."""
        names = [_PREFIX + field for field in cls._fields]
        return cls._make([memory[name] for name in names]) if all(name in memory for name in names) else None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By the names that a profile keeps them under."""
        return {_PREFIX + field: getattr(self, field) for field in self._fields}

    def known(self, window: Float32) -> bool:
        """Whether all rows of [C, T] ran what was learnt; what is missing is nothing new."""
        for place, at in enumerate(self.at.tolist()):
            low, high = self.reach[:, place].tolist()
            seen = window[at]
            least, most = float(np.fmin.reduce(seen)), float(np.fmax.reduce(seen))
            if math.isnan(least) or math.isnan(low):
                continue
            few = self.values[place]
            if math.isnan(few[0]):
                more = _REACH_MORE * (high - low)
                if least < low - more or most > high + more:
                    return False
                continue
            told = np.array([least]) if least == most else np.unique(seen[np.isfinite(seen)])
            if (np.fmin.reduce(np.abs(told[:, np.newaxis] - few), axis=1) > 1e-3 * np.abs(told) + 1e-6).any():
                return False
        return True
