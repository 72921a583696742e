"""What the page remembers of each machine: its scores of the last minutes and day. Bounded.

Belongs to the pipeline's thread. A machine costs some kilobytes; a curve holds the highest score of each stretch,
so that no excursion is smoothed away.
"""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edge_agent.records import ScoreBlock
from edge_agent.web.view import Curve, Expectation

_NEAR_S, _NEAR_POINTS = 3.0, 200
_FAR_S, _FAR_POINTS = 300.0, 288


@dataclass(slots=True)
class Peaks:
    """The highest score of each of the latest stretches of `stretch_s`."""

    stretch_s: float
    points: int
    _starts: "array[float]" = field(default_factory=lambda: array("d"))
    _scores: "array[float]" = field(default_factory=lambda: array("f"))

    def add(self, time_s: float, score: float) -> None:
        """Take a score in; times that go back begin the curve anew."""
        start = time_s - time_s % self.stretch_s
        if self._starts and start < self._starts[-1]:
            del self._starts[:], self._scores[:]
        if self._starts and start == self._starts[-1]:
            self._scores[-1] = max(self._scores[-1], score)
            return
        self._starts.append(start)
        self._scores.append(score)
        if len(self._starts) > self.points:
            del self._starts[0], self._scores[0]

    def curve(self, latest: int | None = None) -> Curve:
        """The curve as it is now."""
        at = 0 if latest is None else max(0, len(self._starts) - latest)
        return Curve(tuple(self._starts[at:]), tuple(self._scores[at:]))


@dataclass(slots=True)
class MachineHistory:
    """One machine."""

    near: Peaks = field(default_factory=lambda: Peaks(_NEAR_S, _NEAR_POINTS))
    far: Peaks = field(default_factory=lambda: Peaks(_FAR_S, _FAR_POINTS))
    latest: Expectation | None = None


class ScoreHistory:
    """All machines that were heard since the start."""

    def __init__(self) -> None:
        self._machines: dict[str, MachineHistory] = {}

    def of(self, name: str) -> MachineHistory:
        """The machine's history; begun now where there was none."""
        return self._machines.setdefault(name, MachineHistory())

    def take_scores(self, scores: Iterable[ScoreBlock]) -> None:
        """Take in what a step brought."""
        for block in scores:
            machine = self.of(block.windows.machine)
            for time_ns, score in zip(block.windows.times_ns.tolist(), block.value.tolist(), strict=True):
                machine.near.add(time_ns / 1e9, score)
                machine.far.add(time_ns / 1e9, score)
            machine.latest = Expectation(
                channels=block.channels,
                expected=block.expected[-1].copy(),
                shares=block.contributions[-1].copy(),
                time_ns=int(block.windows.times_ns[-1]),
            )

    def restore(self, moments: Mapping[int, Mapping[str, float]]) -> None:
        """Go on with the highest scores of the latest moments, by their beginnings, as an earlier process kept them."""
        for start_s in sorted(moments):
            for name, score in moments[start_s].items():
                self.of(name).near.add(float(start_s), score)

    def forget(self, name: str) -> None:
        """Nothing of a machine is remembered; it may be heard again."""
        self._machines.pop(name, None)

    def keep(self, names: Iterable[str]) -> None:
        """Forget every other machine."""
        self._machines = {name: self._machines[name] for name in names if name in self._machines}
