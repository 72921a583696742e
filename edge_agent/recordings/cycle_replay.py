"""What a replay says of a recording's cycles, a row each. Collects only; the pipeline has judged them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.cycles.rules import is_cycle
from edge_agent.pipeline.results import StepResults
from edge_agent.records import Alarm, Float32


@dataclass(frozen=True, slots=True)
class CycleReplay:
    """Of K cycles, in order.

    Attributes:
        end_ns: [K] when each was over.
        channels: C names. values: [K, C], NaN where a cycle lacks one.
        score: [K]; NaN where the cycle was not judged, because it was learnt from.
        alarm: [K] whether an alarm of the cycles was open at its end.
    """

    end_ns: NDArray[np.int64]
    channels: tuple[str, ...]
    values: Float32
    score: Float32
    alarm: NDArray[np.bool_]

    def columns(self) -> dict[str, Any]:
        """As a table."""
        named = {name: self.values[:, at] for at, name in enumerate(self.channels)}
        return {
            "timestamp": self.end_ns.astype("datetime64[ns]"),
            "score": self.score,
            "alarm": self.alarm,
            **named,
        }


@dataclass(slots=True)
class CycleCollector:
    """Takes in the steps of a replay."""

    _rows: dict[int, dict[str, float]] = field(default_factory=dict)
    _scores: dict[int, float] = field(default_factory=dict)
    _alarms: list[Alarm] = field(default_factory=list)

    def take(self, step: StepResults) -> None:
        """What a step says of cycles."""
        for frame in step.accepted:
            if is_cycle(frame.machine):
                for time_ns, row in zip(frame.times_ns, frame.rows, strict=True):
                    self._rows[time_ns] = dict(zip(frame.channels, map(float, row), strict=True))
        for block in step.scores:
            if is_cycle(block.windows.machine):
                times = block.windows.times_ns.tolist()
                self._scores |= dict(zip(times, block.value.tolist(), strict=True))
        self._alarms += [alarm for alarm in step.alarms if is_cycle(alarm.machine)]

    def told(self) -> CycleReplay | None:
        """All of it; None where no cycle was over."""
        if not self._rows:
            return None
        times = sorted(self._rows)
        names = tuple(dict.fromkeys(name for time_ns in times for name in self._rows[time_ns]))
        values = [[self._rows[time_ns].get(name, np.nan) for name in names] for time_ns in times]
        return CycleReplay(
            end_ns=np.array(times, np.int64),
            channels=names,
            values=np.array(values, np.float32),
            score=np.array([self._scores.get(time_ns, np.nan) for time_ns in times], np.float32),
            alarm=np.array(_open_at(self._alarms, times), np.bool_),
        )


def _open_at(alarms: Sequence[Alarm], times: Sequence[int]) -> list[bool]:
    """Whether an alarm was open at each time, by its revisions."""
    told = {alarm.time_ns: alarm.state == "open" for alarm in alarms}
    found, is_open = [], False
    for time_ns in times:
        is_open = told.get(time_ns, is_open)
        found.append(is_open)
    return found
