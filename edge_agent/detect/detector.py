"""What a detector is: one way to tell unusual windows, in one file. Holds the protocol and what passes through it.

The rules every detector keeps:

1. A raw score is higher the more unusual a window is; its unit is the detector's own. `fusion` brings all onto one
   scale, so no detector knows of thresholds, weights or alarms.
2. What a detector learns of a machine is a named tuple of arrays, its memory. An array is kept in the machine's
   profile as `<name of the detector>_<field>`; fields that may be absent are None by default.
3. What `fit` says of a normal window must not come from that window: it is close to itself, and a threshold set on
   such figures would be exceeded all the time.
4. `score` gets windows of several machines at once, those of each machine one after another, and must say of each
   what it says of it alone. Machines come together only where all their arrays have the same shapes; an array's shape
   is not looked at where it is declared `ByChannel`.
5. Pure: no clock, no chance but what `fit` is given, no file. The newest row of a window is "now": scores are causal.

A detector may read the raw scores of those that are listed before it: `found`. To add one: a file with a class, and a
line in `detectors`. See tests/detect/test_a_new_detector.py.

Axes: B windows, C channels, T rows, D embedding dimensions, P views of a window, F statistics of a view, W normal
windows, L newest rows of a window, E windows that end before the first whole one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, NamedTuple, Protocol, TypeVar, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.judge import Judge
from edge_agent.detect.left_out import LeftOut
from edge_agent.detect.operating_modes import IN_TRANSIT
from edge_agent.detect.view_scales import ViewScales, describe
from edge_agent.model.lazy_arrays import Lazy, held
from edge_agent.signals.features import Float32
from edge_agent.signals.views import WindowViews

Arrays = Mapping[str, NDArray[Any]]
"""What was learnt of a machine, by the names that its profile has."""
Entries = Mapping[str, NDArray[Any] | Lazy]
"""The same as it is kept: what is lazy is not asked for."""

M = TypeVar("M", bound=NamedTuple)
_BY_CHANNEL, _LEFT_LAZY = "by channel", "left lazy"
ByChannel = Annotated[Float32, _BY_CHANNEL]
"""A field of a memory whose shape follows from the number of channels and the window's rows."""
EachAlone = Annotated[NDArray[Any], _BY_CHANNEL]
"""A field of a memory that is used machine by machine, whatever its shape."""
LeftLazy = Annotated[NDArray[np.uint8] | Lazy, _LEFT_LAZY]
"""A field of a memory that the detector itself asks for when it needs it, once."""


_WINDOWS_AT_A_TIME = 256


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the pre-trained encoder makes of B windows of C channels.

    Attributes:
        embedding: [B, C, D].
        reconstruction: [B, C, T], physical units.
    """

    embedding: Float32
    reconstruction: Float32


Encode = Callable[[Float32, Float32, Float32], Encoded]
"""(windows [B, C, T], location [C], scale [C]) of one machine -> what the network makes of them."""


class RawScore(NamedTuple):
    """How unusual windows are in the detector's own unit.

    Attributes:
        value: [B].
        contributions: what each channel adds to it, or to its square, [B, C]; at least 0.
        cells: what it says of each channel's newest rows, [B, C, L], for detectors that are listed after it; None of
            most. Of normal windows it is among what was found under `cells_of` the score's name.
    """

    value: Float32
    contributions: Float32
    cells: Float32 | None = None


def cells_of(score: str) -> str:
    """The name under which `NormalWindows.found` holds a raw score's `cells`."""
    return f"{score}_cells"


@dataclass(frozen=True, slots=True)
class NormalWindows:
    """What a detector is fitted to: the windows of one machine's normal rows.

    Attributes:
        rows: the normal rows, [R, C] in physical units, as `signals.channel_kinds` makes them to be scored.
        ends: row after each window's newest one, [W].
        kept: windows that say what is usual [W]; the others were seen once, and are remembered all the same.
        reference: places of the windows that a bank remembers of each length, spread over the time, [P, M];
            `reference_channel` of those that a bank of each channel by itself remembers, which has fewer states.
        left_out: how far each window is from the remembered others.
        sets: of each window for each length, [lengths, W], see `operating_modes`; None: the machine has one mode.
        scales: what views are compared with.
        views: [P, W, C, F].
        newest: newest rows in normal scales, [W, C, L].
        early: the same of windows that end before the first whole one, [E, C, L].
        errors: of the reconstruction over the window and over its newest rows, [2, C, W], None without an encoder.
        found: raw scores [W] of the detectors that are listed before, and their cells [W, C, L].
        judge: the pre-trained network that judges windows, None where there is none.
        visited: in which modes some of a window's rows were, [W, K]; None: the machine has one mode.
    """

    rows: Float32
    ends: NDArray[np.int64]
    kept: NDArray[np.bool_]
    reference: NDArray[np.int64]
    reference_channel: NDArray[np.int64]
    left_out: LeftOut
    sets: NDArray[np.int64] | None
    scales: ViewScales
    views: Float32
    newest: Float32
    early: Float32
    errors: Float32 | None
    found: Mapping[str, Float32]
    judge: Judge | None = None
    visited: NDArray[np.bool_] | None = None

    def present(self, rows: int) -> NDArray[np.bool_]:
        """Whether a channel was observed in so many newest rows of a window, [W, C]."""
        seen = np.cumsum(np.isfinite(self.rows), axis=0, dtype=np.int64)
        before = np.where((self.ends > rows)[:, None], seen[self.ends - rows - 1], 0)
        found: NDArray[np.bool_] = seen[self.ends - 1] > before
        return found

    def points(self, *, knee: float, views: slice = slice(None)) -> Float32:
        """Some views relative to normal ones, [P, W, C, F]; see `describe`."""
        scales, seen = self.scales, self.views[views]
        if self.sets is None:
            return describe(seen, centre=scales.centre[views], spread=scales.spread[views], knee=knee)
        found = np.empty_like(seen)
        for at in range(0, seen.shape[1], _WINDOWS_AT_A_TIME):
            part = slice(at, at + _WINDOWS_AT_A_TIME)
            centre, spread = scales.of_sets(self.sets[:, part], views)
            found[:, part] = describe(seen[:, part], centre=centre, spread=spread, knee=knee)
        return found

    def set_of(self, view: int) -> NDArray[np.int64] | None:
        """The windows' sets of one length, [W]."""
        return None if self.sets is None else self.sets[view]


class DueWindows:
    """What detectors score: windows of one or several machines of one shape, those of each one after another.

    Attributes:
        scales: of each machine.
        counts: windows of each machine. slices: where they are.
        z: standardised windows, [B, C, T]. views: of them, [P, B, C, F].
        present: channels that were observed within a window, [B, C].
        encoded: what the network makes of them, None where it was not asked.
        found: raw scores of the detectors that are listed before.
        sets: of each machine's windows for each length, [lengths, its windows]; None where it has one mode.
        visited: in which modes some of a machine's rows were, [its windows, K]; None where it has one mode.
        mode: that each window's newest row is in, [B], see `OperatingModes.observe`; None: each machine has one.
        nearest: by rows of the view, which remembered window is the nearest to each window, [B].
        judge: the pre-trained network that judges windows, None where there is none.
    """

    def __init__(
        self,
        scales: Sequence[ViewScales],
        described: Sequence[WindowViews],
        *,
        encoded: Encoded | None = None,
        judge: Judge | None = None,
    ) -> None:
        self.scales = scales
        self.counts = [len(seen.z) for seen in described]
        ends = np.cumsum(self.counts).tolist()
        self.slices = [slice(end - count, end) for end, count in zip(ends, self.counts, strict=True)]
        self._repeated = ends[-1] > len(described)
        one = len(described) == 1
        self.z = described[0].z if one else np.concatenate([seen.z for seen in described])
        self.views = described[0].views if one else np.concatenate([seen.views for seen in described], axis=1)
        self.present = described[0].present if one else np.concatenate([seen.present for seen in described])
        self.sets: list[NDArray[np.int64] | None] = []
        self.visited: list[NDArray[np.bool_] | None] = []
        self.mode: NDArray[np.int64] | None = None
        for machine, part in zip(scales, self.slices, strict=True):
            if machine.modes is None:
                self.sets.append(None)
                self.visited.append(None)
                continue
            told = machine.modes.observe(self.z[part], machine.lengths)
            self.sets.append(told.sets)
            self.visited.append(told.visited)
            self.mode = np.full(ends[-1], IN_TRANSIT) if self.mode is None else self.mode
            self.mode[part] = told.newest
        self.encoded = encoded
        self.judge = judge
        self.found: dict[str, RawScore] = {}
        self.nearest: dict[int, NDArray[np.int64]] = {}

    @property
    def lengths(self) -> tuple[int, ...]:
        """Rows of the views, ascending; the same for all machines here."""
        return self.scales[0].lengths

    def with_changes(self) -> Float32:
        """The views [P, B, C, F], then what the newest rows differ by from the longest one."""
        n_lengths, changes = len(self.lengths), self.scales[0].change_lengths
        newest = [self.views[self.lengths.index(rows)] - self.views[n_lengths - 1] for rows in changes]
        return np.concatenate([self.views, np.stack(newest)]) if newest else self.views

    def by_window(self, arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """One array of each machine -> for each window that of its machine, [B, ...]."""
        if len(arrays) == 1 and not self._repeated:  # the most frequent case, and stacking takes some µs
            return arrays[0][np.newaxis].copy()  # who asks may write into it
        stacked = np.stack(arrays)
        return np.repeat(stacked, self.counts, axis=0) if self._repeated else stacked

    def tolerated(self, raw: Float32, tolerances: Sequence[Float32 | None], *, rows: int) -> Float32:
        """Raw figures [B] or [B, C] in what the nearest remembered window of so many rows tolerates.

        Args:
            raw: the figures.
            tolerances: of each machine's remembered windows, [M] or [M, C]; None where it has none.
            rows: of the view.
        """
        nearest = self.nearest.get(rows)
        if nearest is None or all(known is None for known in tolerances):
            return raw
        found = raw.copy()
        for known, part in zip(tolerances, self.slices, strict=True):
            if known is not None:
                found[part] /= known[nearest[part]]
        return found

    def points(self, *, knee: float, views: slice = slice(None)) -> Float32:
        """Some views relative to normal ones of their set, [P, B, C, F]; see `describe`."""
        if all(sets is None for sets in self.sets):
            centre = self._by_view([one.centre[views] for one in self.scales])
            spread = self._by_view([one.spread[views] for one in self.scales])
        else:
            none = np.zeros((1, 1), np.int64)
            by_machine = [
                one.of_sets(np.repeat(none, count, axis=1) if sets is None else sets, views)
                for one, sets, count in zip(self.scales, self.sets, self.counts, strict=True)
            ]
            centre, spread = (np.concatenate(parts, axis=1) for parts in zip(*by_machine, strict=True))
        seen = self.views if views.stop is not None else self.with_changes()
        return describe(seen[views], centre=centre, spread=spread, knee=knee)

    def _by_view(self, known: Sequence[Float32]) -> Float32:
        """[P, C, F] of one machine, [P, B, C, F] of several."""
        return known[0] if len(known) == 1 else np.repeat(np.stack(known, axis=1), self.counts, axis=1)


class Detector(Protocol[M]):
    """One way to tell unusual windows.

    Attributes:
        name: begins the names of its arrays in a profile.
        scores: names of its raw scores.
        memory: what it learns of a machine: a named tuple of arrays.
        by_mode: newest rows by whose set each raw score is brought to a common scale, in the order of `scores`; empty:
            a raw score means the same in all modes.
        sums_over_channels: whether a raw score sums over the channels, so that with fewer of them less is usual.
    """

    name: str
    scores: tuple[str, ...]
    memory: type[M]
    sums_over_channels: bool
    by_mode: tuple[int, ...] = ()

    def fit(self, normal: NormalWindows) -> tuple[M, dict[str, Float32]] | None:
        """(what is learnt of a machine, each raw score of its windows [W]); None where it needs what is not there."""

    def score(self, memories: Sequence[M], windows: DueWindows) -> dict[str, RawScore]:
        """Raw scores by name; a score that the machines' windows are too short for may be left out."""

    def compact(self, memory: M) -> M:
        """The same in less room, for a gateway with hundreds of machines; compacting twice changes nothing."""
        return memory

    def mask(self, memory: M, channels: NDArray[np.int64], *, n_channels: int) -> M:
        """What compares these of the machine's channels only, of which there is at least one."""

    def numbers(self, memory: M) -> int:  # noqa: ARG002 - most do not look
        """How many numbers scoring one window puts down at a time; 0 where that is no matter."""
        return 0


class MemoryArrays(Generic[M]):
    """How a detector's memory of a machine is kept among the machine's arrays."""

    def __init__(self, detector: Detector[M]) -> None:
        self._memory = detector.memory
        hints = get_type_hints(detector.memory, include_extras=True)
        self._fields = [
            (f"{detector.name}_{name}", _is_marked(hint, _LEFT_LAZY)) for name, hint in hints.items()
        ]
        needed = [name for name in hints if name not in detector.memory._field_defaults]
        self.needed = frozenset(f"{detector.name}_{name}" for name in needed)
        self._telling = [
            f"{detector.name}_{name}" for name in needed if not _is_marked(hints[name], _BY_CHANNEL)
        ]
        self.names = frozenset(name for name, _ in self._fields)

    def present(self, arrays: Entries) -> bool:
        """Whether the detector was fitted to this machine."""
        return self.needed <= arrays.keys()

    def read(self, arrays: Entries) -> M:
        """The detector's memory of a machine."""
        known = []
        for name, lazy in self._fields:
            array = arrays.get(name)
            if array is None or lazy or isinstance(array, np.ndarray):
                known.append(array)
            else:
                known.append(array())
        return self._memory._make(known)

    def write(self, memory: M) -> dict[str, NDArray[Any] | Lazy]:
        """The memory as arrays by name, the lazy ones lazy."""
        found = zip(self._fields, memory, strict=True)
        return {name: array for (name, _), array in found if array is not None}

    def shapes(self, arrays: Entries) -> tuple[tuple[int, ...], ...]:
        """What must be equal for machines to be scored together."""
        return tuple(held(arrays[name]).shape for name in self._telling)


def _is_marked(hint: Any, mark: str) -> bool:
    """Whether a field's type, or a part of it such as all but None, is annotated so."""
    return mark in getattr(hint, "__metadata__", ()) or any(_is_marked(part, mark) for part in get_args(hint))
