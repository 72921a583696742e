"""One machine's cycles: its rows go in, and each finished cycle comes out as a frame of `name/cycle`. Pure."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_agent.cycles.bands import Band
from edge_agent.cycles.cycle_row import (
    DURATION,
    RECIPE,
    curves,
    phase_numbers,
    phases_that_fit,
    places,
    steps_s,
    summaries,
)
from edge_agent.cycles.rules import SUFFIX, CycleRule
from edge_agent.cycles.segmentation import Cycle, Outcome, Segmenter
from edge_agent.records import Frame

RECIPES_LIMIT = 64
"""Of one machine; a channel with more values is no recipe."""


@dataclass(frozen=True, slots=True)
class LastCycle:
    """A machine's latest whole cycle beside what is usual of its recipe.

    Attributes:
        curve: [N, C]. low, high: [N, C] two spreads about the middle; None while too little is known.
        steps_s: seconds by step.
    """

    channels: tuple[str, ...]
    recipe: float
    end_ns: int
    duration_s: float
    steps_s: tuple[tuple[str, float], ...]
    curve: NDArray[np.float32]
    low: NDArray[np.float32] | None
    high: NDArray[np.float32] | None


class _KeptBand(msgspec.Struct, array_like=True):
    recipe: str
    channels: tuple[str, ...]
    points: int
    cycles: int
    middle: bytes
    variance: bytes


class _Written(msgspec.Struct, array_like=True):
    version: int
    phases: int
    bands: tuple[_KeptBand, ...]


@dataclass(slots=True)
class CycleMaker:
    """Counts the cycles of one machine.

    Attributes:
        measured: whether a channel is a signal, by what people say of it.
        channels_limit: of a machine.
        counts: what became of the cycles that began, and of recipes for which there was no room.
        changed: something that outlives a restart has changed; who writes it down clears it.
    """

    machine: str
    rule: CycleRule
    measured: Callable[[str], bool]
    channels_limit: int
    counts: Counter[Outcome] = field(default_factory=Counter)
    last: LastCycle | None = None
    changed: bool = False
    _segmenter: Segmenter = field(init=False)
    _bands: dict[str, Band] = field(default_factory=dict)
    _phases: int = -1

    def __post_init__(self) -> None:
        self._segmenter = Segmenter(self.rule)

    def take(
        self, channels: Sequence[str], times_ns: NDArray[np.int64], values: NDArray[np.float32]
    ) -> list[Frame]:
        """The cycles that end within the next rows [R, C] of the machine."""
        self._segmenter.arrange(channels)
        found = []
        for outcome, cycle in self._segmenter.take(times_ns, values):
            self.counts[outcome] += 1
            if cycle is not None:
                found.append(self._frame(cycle))
        return found

    def reread(
        self, channels: Sequence[str], times_ns: NDArray[np.int64], values: NDArray[np.float32]
    ) -> None:
        """Look at rows for a cycle that has begun; those that have ended in them were told before."""
        self._segmenter.arrange(channels)
        for _ in self._segmenter.take(times_ns, values):
            pass

    def _frame(self, cycle: Cycle) -> Frame:
        rule = self.rule
        given = [at for at, name in enumerate(cycle.channels) if rule.gives(name) and name not in rule.own]
        columns = [
            at
            for at, name in enumerate(cycle.channels)
            if name not in rule.own and at not in given and self.measured(name)
        ]
        if self._phases < 0:
            self._phases = phases_that_fit(len(columns), limit=self.channels_limit - len(given))
        place = places(cycle)
        curve = curves(cycle.values[:, columns], place, points=rule.points)
        names = tuple(cycle.channels[at] for at in columns)
        row = {} if rule.start is None else {DURATION: cycle.duration_s}
        row |= {RECIPE: cycle.recipe} if rule.recipe else {}
        row |= steps_s(cycle)
        row |= {name: value for name, value in summaries(cycle, given).items() if name.endswith(".mean")}
        row |= summaries(cycle, columns)
        row |= self._compared(cycle, names, curve)
        row |= phase_numbers(cycle, columns, place, phases=self._phases)
        return Frame(self.machine + SUFFIX, tuple(row), [cycle.end_ns], [list(row.values())])

    def _compared(self, cycle: Cycle, names: tuple[str, ...], curve: NDArray[np.float32]) -> dict[str, float]:
        """How far each channel's curve is from its recipe's; takes it in, and remembers it as the latest."""
        key = "" if math.isnan(cycle.recipe) else f"{cycle.recipe:g}"
        band = self._bands.get(key)
        if band is None or band.channels != names or len(band.middle) != len(curve):
            band = Band.new(names, len(curve))
            if key in self._bands or len(self._bands) < RECIPES_LIMIT:
                self._bands[key] = band
        shape = band.shape(curve)
        low, high = (
            (band.middle - 2 * band.spread(), band.middle + 2 * band.spread()) if band.known else (None, None)
        )
        self.last = LastCycle(
            channels=names,
            recipe=cycle.recipe,
            end_ns=cycle.end_ns,
            duration_s=cycle.duration_s,
            steps_s=tuple(steps_s(cycle).items()),
            curve=curve,
            low=low,
            high=high,
        )
        band.learn(curve)
        self.changed = True
        return {f"{name}.shape": value for name, value in zip(names, shape.tolist(), strict=True)}

    # -- across restarts ------------------------------------------------------------------------------------

    def save(self) -> bytes:
        """What to give to `restore`: the bands. A cycle that has begun is lost with the process."""
        bands = tuple(
            _KeptBand(
                recipe,
                band.channels,
                len(band.middle),
                band.cycles,
                band.middle.astype(np.float32).tobytes(),
                band.variance.astype(np.float32).tobytes(),
            )
            for recipe, band in self._bands.items()
        )
        return msgspec.msgpack.encode(_Written(1, self._phases, bands))

    def restore(self, raw: bytes) -> None:
        """Go on where another one stood.

        Raises:
            ValueError: the bytes are not what `save` gives.
        """
        kept = msgspec.msgpack.decode(raw, type=_Written)  # its errors are ValueErrors
        if kept.version != 1:
            raise ValueError("cycles of another version")
        bands = {}
        for one in kept.bands[:RECIPES_LIMIT]:
            shape = one.points, len(one.channels)
            middle, variance = (
                np.frombuffer(part, np.float32).reshape(shape).copy() for part in (one.middle, one.variance)
            )
            bands[one.recipe] = Band(one.channels, middle, variance, one.cycles)
        self._phases, self._bands = kept.phases, bands
