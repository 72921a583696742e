"""Recordings with labels as batches of many-channel windows: checks, names, splits; no model and no loss.

A window's class is that of its last row. Runs are held out whole where a fault has several; where it has one
only, its last part is held out, with no row shared.
"""

import csv
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edge_agent.errors import TrainingError
from edge_agent.recordings.tables import Recording
from edge_agent.records import Float32
from edge_trainer.data.windows import robust_place
from edge_trainer.training.objectives.batch import Batch

NORMAL = "normal"
_FEWEST_NORMAL_ROWS = 100
"""With fewer normal rows, centre and spread are taken from all rows."""
_FEWEST_FAULTY_ROWS = 4
"""Of a window with a fault that has just begun."""
_LEAST_TAIL_WINDOWS = 32
"""Held-out windows of a run of which only the last part is held out."""


@dataclass(frozen=True, slots=True)
class Windows:
    """N windows as places in the runs.

    Attributes:
        run: [N] index of the run. end: [N] row after the window's last. target: [N] class of the last row.
    """

    run: NDArray[np.int64]
    end: NDArray[np.int64]
    target: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.run)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Checked runs of the same channels.

    Attributes:
        runs: with labels, NaN where missing.
        names: K class names, index 0 normal.
        location, scale: [C] robust centre and spread of normal operation.
        training, held_out: which windows serve for what.
        split_in_time: names of the runs of which only the last part is held out.
    """

    runs: tuple[Recording, ...]
    channels: tuple[str, ...]
    names: tuple[str, ...]
    location: Float32
    scale: Float32
    training: Windows
    held_out: Windows
    split_in_time: tuple[str, ...]


def read_names(path: Path) -> dict[int, str]:
    """Label -> name from a CSV with columns label,name, or from the `[names]` table of a TOML file.

    Raises:
        TrainingError: unreadable, or a label that is no whole number.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            return {int(label): str(name) for label, name in tomllib.loads(text)["names"].items()}
        return {int(row["label"]): row["name"] for row in csv.DictReader(text.splitlines())}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: no table of label and name: {error}") from error


def prepare(
    recordings: Sequence[Recording],
    names: Mapping[int, str],
    *,
    window_rows: int,
    held_out_share: float,
    seed: int,
) -> Labelled:
    """Check everything that can go wrong before an hour of training, then split.

    Raises:
        TrainingError: nothing to train on, no labels, one class only, a label without a name, or channels that
            differ between runs.
    """
    channels = _same_channels(recordings)
    labels = _labels(recordings, names)
    classes = {label: number for number, label in enumerate(labels)}
    location, scale = _place(recordings)
    training, held_out, in_time = _split(
        recordings, classes, window_rows=window_rows, held_out_share=held_out_share, seed=seed
    )
    absent = [names.get(label, NORMAL) for label in labels if classes[label] not in training.target]
    if absent:
        raise TrainingError(f"no window of {window_rows} rows to train on for: {', '.join(absent)}")
    return Labelled(
        runs=tuple(recordings),
        channels=channels,
        names=tuple(NORMAL if label == 0 else names[label] for label in labels),
        location=location,
        scale=scale,
        training=training,
        held_out=held_out,
        split_in_time=in_time,
    )


def _same_channels(recordings: Sequence[Recording]) -> tuple[str, ...]:
    if not recordings:
        raise TrainingError("there is nothing to train on: no recording")
    first = recordings[0]
    for item in recordings[1:]:
        if item.channels != first.channels:
            differing = sorted(set(item.channels) ^ set(first.channels)) or ["their order"]
            raise TrainingError(f"{first.name} and {item.name} differ in channels: {', '.join(differing)}")
    return first.channels


def _labels(recordings: Sequence[Recording], names: Mapping[int, str]) -> list[int]:
    """The labels that occur, 0 first whether it occurs or not."""
    if unlabelled := [item.name for item in recordings if item.label is None]:
        raise TrainingError(f"no column label in {', '.join(unlabelled)}")
    found = {int(label) for item in recordings if item.label is not None for label in np.unique(item.label)}
    if negative := sorted(label for label in found if label < 0):
        raise TrainingError(f"labels below 0: {negative}")
    if len(found) < 2:
        raise TrainingError(f"the recordings hold one class only: label {found.pop()}")
    if 0 not in found:
        raise TrainingError("the recordings hold no normal operation (label 0)")
    if nameless := sorted(found - {0} - set(names)):
        raise TrainingError(f"labels without a name: {', '.join(map(str, nameless))}")
    return sorted(found)


def _place(recordings: Sequence[Recording]) -> tuple[Float32, Float32]:
    values = np.concatenate([item.values for item in recordings])
    label = np.concatenate([item.label for item in recordings if item.label is not None])
    normal = values[label == 0]
    rows = normal if len(normal) >= _FEWEST_NORMAL_ROWS else values
    places = np.array([robust_place(column) for column in rows.T], np.float32)
    return places[:, 0].copy(), places[:, 1].copy()


def _split(
    recordings: Sequence[Recording],
    classes: Mapping[int, int],
    *,
    window_rows: int,
    held_out_share: float,
    seed: int,
) -> tuple[Windows, Windows, tuple[str, ...]]:
    """(training, held out, names of the runs that were split in time)."""
    targets = [np.array([classes[int(label)] for label in _label(item)], np.int64) for item in recordings]
    groups: dict[int, list[int]] = {}
    for number, target in enumerate(targets):
        groups.setdefault(int(target.max()), []).append(number)
    order = np.random.default_rng(seed)
    training: list[tuple[int, range]] = []
    held_out: list[tuple[int, range]] = []
    in_time = []
    for _, members in sorted(groups.items()):
        if len(members) > 1:
            chosen = set(order.permutation(members)[: max(1, round(held_out_share * len(members)))].tolist())
            for number in members:
                ends = range(window_rows, len(targets[number]) + 1)
                (held_out if number in chosen else training).append((number, ends))
            continue
        number = members[0]
        rows = len(targets[number])
        tail = max(round(held_out_share * rows), window_rows + _LEAST_TAIL_WINDOWS)
        if rows - tail < window_rows:  # too short to be cut
            training.append((number, range(window_rows, rows + 1)))
            continue
        in_time.append(recordings[number].name)
        training.append((number, range(window_rows, rows - tail + 1)))
        held_out.append((number, range(rows - tail + window_rows, rows + 1)))
    return _windows(training, targets), _windows(held_out, targets), tuple(in_time)


def _label(item: Recording) -> NDArray[np.int16]:
    return np.zeros(len(item.values), np.int16) if item.label is None else item.label


def _windows(parts: Sequence[tuple[int, range]], targets: Sequence[NDArray[np.int64]]) -> Windows:
    nothing = np.empty(0, np.int64)
    ends = [np.array(rows, np.int64) for _, rows in parts]
    return Windows(
        run=np.concatenate([nothing, *(np.full(len(rows), run, np.int64) for run, rows in parts)]),
        end=np.concatenate([nothing, *ends]),
        target=np.concatenate(
            [nothing, *(targets[run][rows - 1] for (run, _), rows in zip(parts, ends, strict=True))]
        ),
    )


def batch_of(data: Labelled, windows: Windows, chosen: NDArray[np.int64], *, window_rows: int) -> Batch:
    """The chosen windows as a batch [B, C, T]."""
    rows = [_rows(data, windows, at, window_rows) for at in chosen]
    return _as_batch(np.stack(rows), windows.target[chosen], data)


def draw(
    data: Labelled, *, count: int, window_rows: int, onset_share: float, rng: np.random.Generator
) -> Batch:
    """Training windows, some of them with a fault that has only just begun.

    Recordings of faults often begin when the fault is there already, while an agent meets it at its onset: in a
    share of the faulty windows the older rows are replaced by rows of normal operation.
    """
    windows = data.training
    chosen = rng.integers(0, len(windows), count)
    normal = np.flatnonzero(windows.target == 0)
    drawn = []
    for at in chosen:
        rows = _rows(data, windows, at, window_rows)
        if len(normal) and windows.target[at] != 0 and rng.random() < onset_share:
            onset = int(rng.integers(1, window_rows - _FEWEST_FAULTY_ROWS))
            before = _rows(data, windows, rng.choice(normal), window_rows)
            rows = np.concatenate([before[:, -onset:], rows[:, onset:]], axis=1)
        drawn.append(rows)
    return _as_batch(np.stack(drawn), windows.target[chosen], data)


def _rows(data: Labelled, windows: Windows, at: int, window_rows: int) -> Float32:
    """One window [C, T]."""
    end = windows.end[at]
    rows: Float32 = data.runs[windows.run[at]].values[end - window_rows : end].T
    return rows


def _as_batch(rows: Float32, target: NDArray[np.int64], data: Labelled) -> Batch:
    present = np.isfinite(rows)
    window = torch.from_numpy(np.where(present, rows, 0.0).astype(np.float32))
    observed = torch.from_numpy(present.astype(np.float32))
    B = len(rows)
    return Batch(
        window=window,
        near=window,
        present=observed,
        near_present=observed,
        location=torch.from_numpy(data.location).expand(B, -1),
        scale=torch.from_numpy(data.scale).expand(B, -1),
        label=torch.from_numpy(target.astype(np.int64)),
    )
