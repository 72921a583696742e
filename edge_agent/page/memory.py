"""What the page remembers of each machine: its scores of the last minutes and day, and when it was heard. Bounded.

Belongs to the pipeline's thread. A machine costs some kilobytes; a curve holds the highest score of each stretch,
so that no excursion is smoothed away.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from edge_agent.contract.records import ScoreBlock
from edge_agent.page.scene import Curve, Expectation

_NEAR_S, _NEAR_POINTS = 3.0, 200
_FAR_S, _FAR_POINTS = 300.0, 288
_SILENT_AFTER_S = 30.0
_SILENT_AFTER_GAPS = 10.0
"""A machine that usually sends every minute is not silent after thirty seconds."""
_GAP_MEMORY = 0.9


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
class Remembered:
    """One machine."""

    near: Peaks = field(default_factory=lambda: Peaks(_NEAR_S, _NEAR_POINTS))
    far: Peaks = field(default_factory=lambda: Peaks(_FAR_S, _FAR_POINTS))
    latest: Expectation | None = None
    heard_s: float = 0.0
    gap_s: float = 0.0


class Memory:
    """All machines that were heard since the start."""

    def __init__(self) -> None:
        self._machines: dict[str, Remembered] = {}

    def of(self, name: str, *, now_s: float) -> Remembered:
        """The machine's memory; begun now where there was none."""
        known = self._machines.get(name)
        if known is None:
            known = self._machines[name] = Remembered(heard_s=now_s)
        return known

    def note(self, *, touched: Iterable[str], scores: Iterable[ScoreBlock], now_s: float) -> None:
        """Take in what a step brought."""
        for name in touched:
            machine = self.of(name, now_s=now_s)
            machine.gap_s = _GAP_MEMORY * machine.gap_s + (1 - _GAP_MEMORY) * (now_s - machine.heard_s)
            machine.heard_s = now_s
        for block in scores:
            machine = self.of(block.windows.machine, now_s=now_s)
            for time_ns, score in zip(block.windows.times_ns.tolist(), block.value.tolist(), strict=True):
                machine.near.add(time_ns / 1e9, score)
                machine.far.add(time_ns / 1e9, score)
            machine.latest = Expectation(
                channels=block.channels,
                expected=block.expected[-1].copy(),
                shares=block.contributions[-1].copy(),
                time_ns=int(block.windows.times_ns[-1]),
            )

    def silent_s(self, names: Iterable[str], *, now_s: float) -> dict[str, float]:
        """For how long each machine that has gone silent was not heard."""
        found = {}
        for name in names:
            machine = self.of(name, now_s=now_s)
            quiet_s = now_s - machine.heard_s
            if quiet_s > max(_SILENT_AFTER_S, _SILENT_AFTER_GAPS * machine.gap_s):
                found[name] = quiet_s
        return found

    def keep(self, names: Iterable[str]) -> None:
        """Forget every other machine."""
        self._machines = {name: self._machines[name] for name in names if name in self._machines}
