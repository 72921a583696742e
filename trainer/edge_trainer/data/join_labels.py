"""Recordings and what was wrong when, joined: labelled runs that the other stages read. Trains nothing.

Intervals come from a table of failure records and from what operators called an agent's alarms. Rows in no interval
count as normal. A run ends where the machine paused, and half-way between two intervals, so that runs can be held
out whole and no window bridges a gap.
"""

import csv
import io
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import RecordingError, TrainingError, UsageError
from edge_agent.recordings import failure_records, tables
from edge_agent.recordings.archive import INDEX, columns_of
from edge_agent.recordings.failure_records import FailureRecord
from edge_agent.recordings.timeline import Timeline, joined
from edge_agent.store import atomic_file, fault_library

NAMES = "names.toml"
_GAP_STEPS = 30
"""A pause of so many median steps ends a run: as long as the agent holds a missing value."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of a join.

    Attributes:
        names: label -> fault, from 1. runs: files written. rows, labelled_rows: in them.
        unmatched: intervals in which nothing was recorded.
    """

    names: dict[int, str]
    runs: tuple[Path, ...]
    rows: int
    labelled_rows: int
    unmatched: tuple[FailureRecord, ...]


def run(
    recordings: Path, *, out: Path, failures: Path | None, state_dirs: Sequence[Path], margin_s: float
) -> Joined:
    """Write labelled runs, `index.csv` and `names.toml` below `out`.

    Args:
        recordings: folder of `edge-agent record`.
        out: folder to write to; must be empty or absent.
        failures: CSV of machine, start, end, fault.
        state_dirs: state directories of agents whose operators named alarms.
        margin_s: rows so long before and after an interval are left out: nobody knows what they are.

    Raises:
        RecordingError: a table cannot be read. StateError: a state directory cannot. UsageError: `out` is not empty.
        TrainingError: no interval at all, or none in which anything was recorded.
    """
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty: labels of two joins must not mix")
    records = intervals(failures, state_dirs)
    if not records:
        raise TrainingError("there is nothing to label with: no failure record and no named alarm")
    names = dict(enumerate(sorted({one.fault for one in records}), start=1))
    runs: list[tuple[Path, str, Timeline, NDArray[np.int16]]] = []
    unmatched: list[FailureRecord] = []
    lines = timelines(recordings)
    for machine, line in lines.items():
        own = [one for one in records if one.machine == machine]
        unmatched += [one for one in own if not len(line.between(one.start_ns, one.end_ns).times_ns)]
        for number, (part, label) in enumerate(cut(line, own, names, margin_s=margin_s)):
            folder = out / atomic_file.name_of(machine).removesuffix(".npz")
            runs.append((folder / f"run-{number:05d}.parquet", machine, part, label))
    unmatched += [one for one in records if one.machine not in lines]
    if not any(label.any() for *_, label in runs):
        raise TrainingError("no interval covers a recorded row: do machines and times agree?")
    for path, _, part, label in runs:
        series = {"channels": list(part.channels), "rate_hz": part.rate_hz}
        columns = {**columns_of(part), tables.LABEL: label}
        atomic_file.write(path, tables.encode_columns(path, columns, series=series))
    atomic_file.write(out / INDEX, _index(out, runs))
    atomic_file.write(out / NAMES, _names(names))
    rows, faulty = (sum(map(count, (label for *_, label in runs))) for count in (len, np.count_nonzero))
    return Joined(names, tuple(path for path, *_ in runs), rows, faulty, tuple(unmatched))


def intervals(failures: Path | None, state_dirs: Sequence[Path]) -> list[FailureRecord]:
    """What was wrong when, from both sources; where they disagree about a time the table counts.

    Raises:
        RecordingError: the table cannot be used. StateError: a state directory cannot be read.
    """
    table = [] if failures is None else list(failure_records.read(failures))
    named = [
        FailureRecord(library.machine, case.start_ns, case.end_ns + 1, case.fault)
        for folder in state_dirs
        for library in fault_library.load(folder)[0]
        for case in library.cases
        if case.start_ns
    ]
    return [*table, *named]


def timelines(recordings: Path) -> dict[str, Timeline]:
    """Each machine's rows, all days joined.

    Raises:
        RecordingError: nothing there, or a table cannot be read.
    """
    parts: dict[str, list[Timeline]] = {}
    for path in tables.find(recordings):
        machine = tables.read_series(path).get("machine")
        found = tables.read(path)
        if machine is None or found.times_ns is None:
            raise RecordingError(path, "names no machine or no times: not written by `edge-agent record`")
        parts.setdefault(str(machine), []).append(Timeline(found.channels, found.times_ns, found.values))
    return {machine: joined(members) for machine, members in sorted(parts.items())}


def cut(
    line: Timeline, records: Sequence[FailureRecord], names: dict[int, str], *, margin_s: float
) -> Iterable[tuple[Timeline, NDArray[np.int16]]]:
    """(rows, label of each row) of each run, oldest first."""
    number = {fault: label for label, fault in names.items()}
    label = np.zeros(len(line.times_ns), np.int16)
    unsure = np.zeros(len(line.times_ns), np.bool_)
    for one in reversed(records):  # the first source is written last and counts
        low, high = np.searchsorted(line.times_ns, [one.start_ns, one.end_ns])
        label[low:high] = number[one.fault]
        first, last = one.start_ns - round(margin_s * 1e9), one.end_ns + round(margin_s * 1e9)
        unsure[slice(*np.searchsorted(line.times_ns, [first, last]))] = True
    keep = ~unsure | (label > 0)
    ends = sorted({0, *_pauses(line.times_ns), *_halfway(label), *_edges(keep), len(label)})
    for start, end in itertools.pairwise(ends):
        if keep[start]:
            rows = slice(start, end)
            yield Timeline(line.channels, line.times_ns[rows], line.values[rows]), label[rows]


def _pauses(times_ns: NDArray[np.int64]) -> list[int]:
    steps = np.diff(times_ns)
    return [] if not len(steps) else (np.flatnonzero(steps > _GAP_STEPS * np.median(steps)) + 1).tolist()


def _edges(keep: NDArray[np.bool_]) -> list[int]:
    return (np.flatnonzero(np.diff(keep)) + 1).tolist()


def _halfway(label: NDArray[np.int16]) -> list[int]:
    """The middle of each normal stretch between two faults, and where one fault turns into another."""
    changes = np.flatnonzero(np.diff(label)) + 1
    starts = [0, *changes.tolist()]
    ends = [*changes.tolist(), len(label)]
    inner = [
        (start + end) // 2 for start, end in list(zip(starts, ends, strict=True))[1:-1] if label[start] == 0
    ]
    return [*inner, *(int(at) for at in changes if label[at] and label[at - 1])]


def _index(out: Path, runs: Sequence[tuple[Path, str, Timeline, NDArray[np.int16]]]) -> bytes:
    header = ("series_id", "file", "length", "n_channels", "rate_hz", "machine", "first", "labels")
    rows: list[tuple[object, ...]] = [header]
    for path, machine, part, label in runs:
        file = path.relative_to(out).as_posix()
        first = datetime.fromtimestamp(part.times_ns[0] / 1e9, UTC).isoformat(timespec="milliseconds")
        labels = " ".join(map(str, np.unique(label).tolist()))
        shape = (len(label), len(part.channels), round(part.rate_hz, 6))
        rows.append((path.stem, file, *shape, machine, first, labels))
    return _csv(rows)


def _names(names: dict[int, str]) -> bytes:
    """As TOML; text in JSON's notation is text in TOML's."""
    return "\n".join(
        ["[names]", *(f"{label} = {json.dumps(name)}" for label, name in names.items()), ""]
    ).encode()


def _csv(rows: Iterable[tuple[object, ...]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
