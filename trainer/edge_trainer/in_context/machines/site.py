"""A site's own machines, from its normal recordings: some are learnt from, and some are left out to measure with.

A machine is who its recordings say they are of (those of `edge-agent record` do), else a file is a machine. Whole
machines are left out, for what was learnt of a machine is worth more there than on the next one; a site with one
machine leaves out its last rows. What is known to be faulty is cut out. All recordings are held in memory.

Axes: R rows, C channels.
"""

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_agent.errors import RecordingError
from edge_agent.recordings import shards, tables
from edge_agent.recordings.tables import Recording
from edge_agent.records import Float32
from edge_trainer.in_context.machines.families import Family
from edge_trainer.in_context.machines.machine import LEAST_ROWS, MachineRows, Split
from edge_trainer.in_context.machines.recordings import mostly_observed, part_of

SITE_SPLITS: frozenset[Split] = frozenset({"site", "site left out"})
_GAP_STEPS = 10.0
"""A pause of so many steps parts a recording: what came before tells nothing of what comes after."""
_CHANCE = 5
"""Part of the seed: which machines are left out."""

Stretch = tuple[Float32, float]
"""(rows without a gap or a fault [R, C], period in s)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a site's recordings lie, and how its machines are parted.

    Attributes:
        shards: folder of the shards that are made of them.
        files: of the recordings.
        exclude: columns that are no channels.
        period_s: from row to row where there are no timestamps.
        left_out_share: of the machines.
        seed: of which ones.
    """

    shards: Path
    files: tuple[Path, ...]
    exclude: tuple[str, ...]
    period_s: float
    left_out_share: float
    seed: int

    def families(self, split: Split) -> tuple[Family, ...]:
        """A family for each of the machines of a split, each as often drawn.

        Raises:
            RecordingError: no recording is long enough to be parted.
        """
        return tuple(
            Family(name, "site", 1.0, partial(_draw, stretches=stretches))
            for name, stretches in self.machines(split).items()
        )

    def machines(self, split: Split) -> Mapping[str, tuple[Stretch, ...]]:
        """What there is of the machines of a split, by name.

        Raises:
            RecordingError: no recording is long enough to be parted.
        """
        there = _read(self.files, self.exclude, self.period_s)
        left_out = split == "site left out"
        if len(there) > 1:
            names = self._left_out(sorted(there))
            return {name: parts for name, parts in there.items() if (name in names) == left_out}
        parted = {name: self._in_time(parts, last=left_out) for name, parts in there.items()}
        if not any(parted.values()):
            least = int(LEAST_ROWS / min(self.left_out_share, 1.0 - self.left_out_share)) + 1
            raise RecordingError(
                self.files[0],
                f"one machine needs {least} normal rows without a gap, to learn from and to measure with",
            )
        return parted

    def _left_out(self, names: Sequence[str]) -> frozenset[str]:
        count = min(max(1, round(self.left_out_share * len(names))), len(names) - 1)
        order = np.random.default_rng([self.seed, _CHANCE]).permutation(len(names))
        return frozenset(names[at] for at in order[:count])

    def _in_time(self, parts: Sequence[Stretch], *, last: bool) -> tuple[Stretch, ...]:
        found = []
        for values, period_s in parts:
            cut = len(values) - int(self.left_out_share * len(values))
            part = values[cut:] if last else values[:cut]
            if min(cut, len(values) - cut) >= LEAST_ROWS:
                found.append((part, period_s))
        return tuple(found)


def _draw(rng: np.random.Generator, *, stretches: Sequence[Stretch]) -> MachineRows:
    """A part of one of a machine's stretches, the longer the likelier, troubled."""
    rows = np.array([len(values) for values, _ in stretches], np.float64)
    values, period_s = stretches[int(rng.choice(len(stretches), p=rows / rows.sum()))]
    return part_of(rng, values, period_s=period_s)


@functools.lru_cache(maxsize=2)
def _read(
    files: tuple[Path, ...], exclude: tuple[str, ...], period_s: float
) -> dict[str, tuple[Stretch, ...]]:
    """The stretches of each machine that are long enough, by its name.

    Raises:
        RecordingError: a file cannot be used, or all are too short.
    """
    names = _names(files)
    found: dict[str, list[Recording]] = {}
    for path in files:
        found.setdefault(names[path], []).append(tables.read(path, exclude=exclude))
    stretches = {
        name: tuple(
            part for whole in _one_after_another(parts) for part in _stretches(whole, period_s=period_s)
        )
        for name, parts in sorted(found.items())
    }
    long_enough = {name: parts for name, parts in stretches.items() if parts}
    if not long_enough:
        raise RecordingError(
            files[0].parent, f"no recording has {LEAST_ROWS} normal rows without a gap: nothing can be learnt"
        )
    return long_enough


def _names(files: Sequence[Path]) -> dict[Path, str]:
    """Whose each file is: as it says, else its own path below what all have in common."""
    common = Path(os.path.commonpath([path.parent for path in files]))
    found = {}
    for path in files:
        said = shards.survey(path).machine if path.suffix == ".parquet" else str(path)
        found[path] = path.relative_to(common).with_suffix("").as_posix() if said == str(path) else said
    return found


def _one_after_another(parts: Sequence[Recording]) -> Iterator[Recording]:
    """A machine's recordings in the order of time; those of the same channels, such as days, are one."""
    alike: dict[tuple[str, ...], list[Recording]] = {}
    for part in parts:
        if part.times_ns is None:
            yield part
        else:
            alike.setdefault(part.channels, []).append(part)
    for members in alike.values():
        ordered = sorted(members, key=_first_time)
        yield Recording(
            name=ordered[0].name,
            channels=ordered[0].channels,
            times_ns=np.concatenate([_times(part) for part in ordered]),
            values=np.concatenate([part.values for part in ordered]),
            label=np.concatenate([_labels(part) for part in ordered]),
        )


def _first_time(recording: Recording) -> int:
    return int(_times(recording)[0])


def _times(recording: Recording) -> npt.NDArray[np.int64]:
    return np.empty(0, np.int64) if recording.times_ns is None else recording.times_ns


def _labels(recording: Recording) -> npt.NDArray[np.int16]:
    return np.zeros(len(recording.values), np.int16) if recording.label is None else recording.label


def _stretches(recording: Recording, *, period_s: float) -> Iterator[Stretch]:
    """Normal rows without a gap, by the channels that say something in most of them."""
    n_rows = len(recording.values)
    normal = _labels(recording) == 0
    parted = normal[1:] != normal[:-1]
    if recording.times_ns is not None and n_rows > 1:
        step_ns = np.diff(recording.times_ns)
        rising = step_ns[step_ns > 0]
        usual_ns = float(np.median(rising)) if len(rising) else 1e9 * period_s
        period_s = usual_ns / 1e9
        parted = parted | (step_ns <= 0) | (step_ns > _GAP_STEPS * usual_ns)
    for start, stop in _spans(parted, n_rows):
        values = mostly_observed(recording.values[start:stop]) if stop - start >= LEAST_ROWS else None
        if normal[start] and values is not None and values.shape[1] > 0:
            yield values, period_s


def _spans(parted: npt.NDArray[np.bool_], n_rows: int) -> list[tuple[int, int]]:
    """(first row, row after the last) between rows that are parted [R - 1]."""
    cuts = [0, *(np.flatnonzero(parted) + 1).tolist(), n_rows]
    return list(pairwise(cuts))
