"""All detectors together: how unusual windows are, of one machine or of many that are due at once.

One window costs almost as many calls of numpy as hundreds, so what can be is done for all machines at once; only what
compares a window with the remembered ones is done machine by machine.

The ensemble does not know what any detector does. It reads and writes their memories among a machine's arrays, asks
those that are needed, and hands their raw scores to `fusion`.

Axes: B windows, C channels, T rows, V raw scores, W normal windows.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.detector import (
    Arrays,
    Detector,
    DueWindows,
    Encoded,
    Entries,
    MemoryArrays,
    NormalWindows,
    RawScore,
)
from edge_agent.detect.fusion import Fusion, Scores, calibration_of_sets
from edge_agent.detect.judge import Judge
from edge_agent.detect.view_scales import ViewScales
from edge_agent.model.lazy_arrays import LazyArrays, entries, held
from edge_agent.signals.channel_kinds import ChannelKinds
from edge_agent.signals.features import Float32
from edge_agent.signals.views import WindowViews, describe_views

_STEP_NUMBERS = 4_000_000
"""Numbers that one step of scoring many windows may hold at a time; bounds the gateway's memory."""
_MACHINES_AT_A_TIME = 32
"""As many are described together. What is held of each meanwhile, remembered windows apart: 0.2 MB."""

Part = Literal["together", "by itself", "recent"]
_PARTS: tuple[Part, ...] = ("together", "by itself", "recent")


@dataclass(frozen=True, slots=True)
class Weight:
    """How much a detector counts in one part of the score.

    Attributes:
        part: "together" and "by itself" alarm; "recent" tells when an alarm is over.
        amount: shared among the raw scores that a machine has.
        of: some of the detector's raw scores; empty: all.
    """

    part: Part
    amount: float
    of: tuple[str, ...] = ()


class Listed:
    """A line of the table: a detector, and how much it counts, or that it judges by what the others found."""

    def __init__(self, detector: Detector[Any], *weights: Weight, judges: bool = False) -> None:
        self.detector = detector
        self.weights = weights
        self.arrays = MemoryArrays(detector)
        self.alarms = judges or bool(weights)
        """Whether an alarm depends on it; what is heard for the record only is left out on a gateway."""


class Ensemble:
    """The detectors of a table.

    Attributes:
        names: of all raw scores, in the order in which profiles keep what is learnt of each.
        alarming: the lines that alarms depend on.
    """

    def __init__(
        self, listed: Sequence[Listed], *, columns: Sequence[str] = (), forgotten: Sequence[str] = ()
    ) -> None:
        """From the lines of the table.

        Args:
            listed: the lines.
            columns: raw scores in the order of profiles, also those that no line says any more; others follow.
            forgotten: how arrays begin that older agents wrote and nothing reads.
        """
        self._listed = tuple(listed)
        self.alarming = tuple(one for one in listed if one.alarms)
        said = {
            name: rows
            for one in listed
            for name, rows in zip(
                one.detector.scores, one.detector.by_mode or (0,) * len(one.detector.scores), strict=True
            )
        }
        self.names = (*columns, *(name for name in said if name not in columns))
        self._forgotten = tuple(forgotten)
        self._needed = frozenset[str]().union(*(one.arrays.needed for one in self.alarming))
        self._places = {name: at for at, name in enumerate(self.names)}
        self._by_mode = [said.get(name, 0) for name in self.names]

    def fit(self, normal: NormalWindows) -> tuple[dict[str, NDArray[Any]], Float32]:
        """Learn from normal windows; (arrays by name, raw scores [W, V], 0 where one is absent)."""
        arrays: dict[str, NDArray[Any]] = {}
        found: dict[str, Float32] = {}
        for one in self._listed:
            fitted = one.detector.fit(replace(normal, found=found))
            if fitted is not None:
                memory, scores = fitted
                arrays |= {name: held(array) for name, array in one.arrays.write(memory).items()}
                found |= scores
        unranked = np.zeros(len(self.names), np.float32)  # older agents rank by a fourth row
        arrays["weights"] = np.stack([*(self._weights(found.keys(), part) for part in _PARTS), unranked])
        silent = np.zeros(len(normal.ends), np.float32)
        return arrays, np.stack([found.get(name, silent) for name in self.names], axis=1)

    def _weights(self, present: Collection[str], part: Part) -> Float32:
        """How much each raw score counts in a part [V], 0 for the absent; sums to 1."""
        weights = np.zeros(len(self.names))
        for one in self._listed:
            for weight in one.weights:
                names = [name for name in weight.of or one.detector.scores if name in present]
                if weight.part == part:
                    for name in names:
                        weights[self._places[name]] += weight.amount / len(names)
        shares: Float32 = (weights / (weights.sum() or 1.0)).astype(np.float32)
        return shares

    def views_by_mode(self, lengths: Sequence[int]) -> NDArray[np.int64]:
        """Place of the length by whose set each raw score is calibrated, [V]; -1: by none."""
        return np.array(
            [
                -1
                if rows == 0
                else max((at for at, length in enumerate(lengths) if length <= rows), default=0)
                for rows in self._by_mode
            ]
        )

    def score(
        self,
        arrays: Arrays,
        windows: Float32,
        encoded: Encoded | None,
        *,
        judge: Judge | None = None,
    ) -> Scores:
        """Score windows [B, C, T] in physical units (NaN: hidden cell) of one machine.

        The judge, where there is one, decides in the place of all statistics together (`fusion`).
        Detectors that need the encoder stay silent where `encoded` is None or the machine was learnt without it.
        """
        known = entries(arrays)
        asked = self._asked(known, encoded=encoded is not None)
        memories = [(one.detector, one.arrays.read(known)) for one in asked]
        scales, fusion = ViewScales.read(known), Fusion.read(known, judge)
        step = max(1, _STEP_NUMBERS // _numbers(memories))
        parts = []
        for at in range(0, max(len(windows), 1), step):
            described = describe_views(arrays, windows[at : at + step])
            due = DueWindows([scales], [described], encoded=_part(encoded, at, step), judge=judge)
            found = _raw_scores([(detector, [memory]) for detector, memory in memories], due)
            parts.append(self._fused([fusion], fusion, found, due))
        return parts[0] if len(parts) == 1 else _concatenated(parts)

    def hear(self, arrays: Arrays, windows: Float32) -> DueWindows:
        """Windows [B, C, T] of one machine with what the detectors that can alarm say, for who trains a judge."""
        known = entries(arrays)
        due = DueWindows([ViewScales.read(known)], [describe_views(arrays, windows)])
        asked = self._asked(known)
        _raw_scores([(one.detector, [one.arrays.read(known)]) for one in asked], due)
        return due

    def score_together(
        self, machines: Sequence[Arrays], described: Sequence[WindowViews], *, judge: Judge | None = None
    ) -> list[Scores]:
        """As `score` without the encoder, of windows of several machines that were described together."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        entered = [entries(arrays) for arrays in machines]
        for at, (known, seen) in enumerate(zip(entered, described, strict=True)):
            asked = self._asked(known)
            shapes = [one.arrays.shapes(known) for one in asked]
            n_scores = held(known["calibration"]).shape
            key = asked, seen.z.shape[1:], *held(known["lengths"]).tolist(), n_scores, *shapes
            groups.setdefault(key, []).append(at)
        found: dict[int, Scores] = {}
        for (asked, *_), members in groups.items():
            for first in range(0, len(members), _MACHINES_AT_A_TIME):
                chosen = members[first : first + _MACHINES_AT_A_TIME]
                scores, start = (
                    self._score_alike(
                        asked,
                        [entered[at] for at in chosen],
                        [described[at] for at in chosen],
                        judge=judge,
                    ),
                    0,
                )
                for at in chosen:
                    count = len(described[at].z)
                    found[at] = scores.part(slice(start, start + count))
                    start += count
        return [found[at] for at in range(len(machines))]

    def _score_alike(
        self,
        asked: Sequence[Listed],
        machines: Sequence[Entries],
        described: Sequence[WindowViews],
        *,
        judge: Judge | None,
    ) -> Scores:
        due = DueWindows([ViewScales.read(each) for each in machines], described, judge=judge)
        found = _raw_scores(
            [(one.detector, [one.arrays.read(each) for each in machines]) for one in asked], due
        )
        known = [Fusion.read(each, judge) for each in machines]
        limits = [one.limits for one in known if one.limits is not None]
        fusion = Fusion(
            calibration=due.by_window([one.calibration for one in known]),
            weights=due.by_window([one.weights for one in known]),
            threshold=due.by_window([one.threshold for one in known]),
            recent_threshold=due.by_window([one.recent_threshold for one in known]),
            limits=due.by_window(limits) if limits else None,
        )
        return self._fused(known, fusion, found, due)

    def _asked(self, arrays: Entries, *, encoded: bool = False) -> tuple[Listed, ...]:
        """The detectors to ask, of those that the machine was learnt with; of what is heard for the record, too."""
        n_scores = held(arrays["calibration"]).shape[-1]
        if not encoded and n_scores == len(self.names) and self._needed <= arrays.keys():
            return self.alarming
        return tuple(
            one
            for one in (self._listed if encoded else self.alarming)
            if self._places[one.detector.scores[0]] < n_scores and one.arrays.present(arrays)
        )

    def _fused(
        self,
        machines: Sequence[Fusion],
        fusion: Fusion,
        found: dict[str, RawScore],
        due: DueWindows,
    ) -> Scores:
        """What the raw scores come to: of one machine by its own fusion, of several by that of each window."""
        B, C, _ = due.z.shape
        if any(sets is not None for sets in due.sets):
            views = self.views_by_mode(due.lengths)
            calibration = due.by_window([one.calibration for one in machines])
            if len(calibration) < B:
                calibration = np.repeat(calibration, B, axis=0)
            for one, sets, part in zip(machines, due.sets, due.slices, strict=True):
                if sets is not None and one.mode_calibration is not None:
                    calibration[part] = calibration_of_sets(
                        one.calibration, one.mode_calibration, sets=sets, views=views
                    )
            fusion = fusion._replace(calibration=calibration)
        scores = fusion.scores(found, self._places, n_windows=B, n_channels=C)
        return scores if due.mode is None else replace(scores, mode=due.mode)

    def compact(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        """What alarming, evidence and naming read, in the least room.

        Compacting twice changes nothing.
        """
        dropped = frozenset[str]().union(*(one.arrays.names for one in self._listed))
        kept = {
            name: arrays[name]
            for name in arrays
            if name not in dropped and not name.startswith(self._forgotten)
        }
        known = entries(arrays)
        for one in self.alarming:
            if one.arrays.present(known):
                memory = one.detector.compact(one.arrays.read(known))
                kept |= {name: held(array) for name, array in one.arrays.write(memory).items()}
        return kept

    def hears_network(self, arrays: Arrays) -> bool:
        """Whether an alarm of the machine depends on scores that no alarming line says: they are of an encoder."""
        weights = arrays.get("weights")
        if weights is None:
            return True
        said = {name for one in self.alarming for name in one.detector.scores}
        parts = np.atleast_2d(weights)[: len(_PARTS)]
        columns = self.names[: parts.shape[1]]
        return any(name not in said and parts[:, at].any() for at, name in enumerate(columns))

    def without(self, detector: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
        """The arrays as if one detector, by its name, had not been fitted."""
        dropped = frozenset[str]().union(
            *(one.arrays.names for one in self._listed if one.detector.name == detector)
        )
        return {name: arrays[name] for name in arrays if name not in dropped}

    def mask(self, arrays: Arrays, visible: Sequence[int]) -> LazyArrays:
        """The arrays [of C channels] that compare the visible ones only, of which there is at least one.

        Distances over fewer channels are smaller; what is usual for them shrinks with the square root of the
        channels' share. Not in transitions: the few channels that move there make most of a distance.
        """
        channels, scales = np.asarray(visible), ViewScales.read(arrays)
        n_channels = len(scales.location)
        found: dict[str, Any] = dict(scales.masked(channels))
        if (kinds := ChannelKinds.read(arrays)) is not None:
            found |= kinds.masked(channels).arrays()
        found["calibration"] = calibration = arrays["calibration"].copy()
        by_set = None
        if "mode_calibration" in arrays:
            found["mode_calibration"] = by_set = arrays["mode_calibration"].copy()
        share = np.sqrt(len(channels) / n_channels)
        known = entries(arrays)
        for one in self._listed:
            if one.arrays.present(known):
                memory = one.detector.mask(one.arrays.read(known), channels, n_channels=n_channels)
                found |= one.arrays.write(memory)
            if one.detector.sums_over_channels:
                for name in one.detector.scores:
                    if self._places[name] < calibration.shape[-1]:
                        calibration[:, self._places[name]] *= share
                        if by_set is not None:
                            by_set[:-1, :, self._places[name]] *= share
        return LazyArrays(arrays).joined(found)


def _raw_scores(
    memories: Sequence[tuple[Detector[Any], Sequence[Any]]], due: DueWindows
) -> dict[str, RawScore]:
    """Raw scores by name; each detector may read those of the ones before it."""
    for detector, known in memories:
        due.found |= detector.score(known, due)
    return due.found


def _numbers(memories: Sequence[tuple[Detector[Any], Any]]) -> int:
    """Numbers that scoring a window puts down; what a detector puts down is free for the next one of its kind."""
    most: dict[type, int] = {}
    for detector, memory in memories:
        kind = type(detector)
        most[kind] = max(most.get(kind, 0), detector.numbers(memory))
    return max(sum(most.values()), 1)


def _part(encoded: Encoded | None, at: int, step: int) -> Encoded | None:
    if encoded is None:
        return None
    return Encoded(
        embedding=encoded.embedding[at : at + step], reconstruction=encoded.reconstruction[at : at + step]
    )


def _concatenated(parts: Sequence[Scores]) -> Scores:
    modes = [part.mode for part in parts if part.mode is not None]
    return Scores(
        value=np.concatenate([part.value for part in parts]),
        parts=np.concatenate([part.parts for part in parts]),
        recent=np.concatenate([part.recent for part in parts]),
        contributions=np.concatenate([part.contributions for part in parts]),
        calibrated=np.concatenate([part.calibrated for part in parts]),
        mode=np.concatenate(modes) if modes else None,
    )
