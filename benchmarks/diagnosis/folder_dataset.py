"""Any folder of recordings with an index.csv, cut into labelled windows for the diagnosis benchmark; no method is here.

`index.csv` has `series_id, file, train_end` and the columns that hold class and physical unit, which flags name. Rows
`[0, train_end)` of a series are its normal; its class is that of its rows after them, or, where the table
has a column `label`, of those whose label is above 0. A series without normal rows is seen relative to the whole fleet.

Axes: N windows, C channels, R rows.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.diagnosis.datasets import WINDOW_ROWS, Gather, LabelledSet, cut, remember
from edge_agent.diagnose.classifier import describe
from edge_agent.recordings import tables as recording

_FEWEST_NORMAL_ROWS = 3 * WINDOW_ROWS
_MOST_WINDOWS = 40
"""Of one series: neighbours tell the same."""
_FLEET_ROWS = 20_000


def load_folder(
    folder: Path, *, class_column: str, unit_column: str, exclude: Sequence[str] = (), every: int = 1
) -> LabelledSet:
    """The folder's series as labelled windows.

    Args:
        folder: with `index.csv` and the files that it names.
        class_column: column of the index with the fault; series where it is empty count as normal only.
        unit_column: column of the index with the physical unit that is never in training and test at once.
        exclude: columns of the tables that are no channels.
        every: rows are thinned to every so many, for slow processes.

    Raises:
        SystemExit: a column is missing, or fewer than two classes have two units.
    """
    with (folder / "index.csv").open(newline="") as lines:
        index = list(csv.DictReader(lines))
    if missing := [name for name in ("file", class_column, unit_column) if name not in index[0]]:
        raise SystemExit(f"{folder / 'index.csv'}: has no column {', '.join(missing)}")
    index = _with_two_units(index, class_column=class_column, unit_column=unit_column)
    classes = sorted({row[class_column] for row in index})
    units = sorted({(row[class_column], row[unit_column]) for row in index})
    if len(classes) < 2:
        raise SystemExit(f"{folder}: fewer than two values of {class_column} have two of {unit_column}")
    tables = [_read(folder / row["file"], exclude, every) for row in index]
    channels = sorted(set.intersection(*(set(names) for names, _, _ in tables)))
    rows = [values[:, [names.index(name) for name in channels]] for names, values, _ in tables]
    return _gather(
        folder.name,
        index=index,
        rows=rows,
        labels=[label for _, _, label in tables],
        classes=classes,
        class_of=[classes.index(row[class_column]) for row in index],
        unit_of=[units.index((row[class_column], row[unit_column])) for row in index],
        every=every,
    )


def _with_two_units(
    index: list[dict[str, str]], *, class_column: str, unit_column: str
) -> list[dict[str, str]]:
    """Series of the classes that can be learnt from one unit and tested on another."""
    units: dict[str, set[str]] = {}
    for row in index:
        units.setdefault(row[class_column], set()).add(row[unit_column])
    return [row for row in index if row[class_column] and len(units[row[class_column]]) > 1]


def _read(
    path: Path, exclude: Sequence[str], every: int
) -> tuple[tuple[str, ...], NDArray[np.float32], NDArray[np.int64] | None]:
    """Channels, rows [R, C] and, where there is one, the label of each row."""
    table = recording.read(path, exclude=exclude)
    label = None if table.label is None else table.label[::every].astype(np.int64)
    return table.channels, table.values[::every], label


def _gather(
    name: str,
    *,
    index: list[dict[str, str]],
    rows: list[NDArray[np.float32]],
    labels: list[NDArray[np.int64] | None],
    classes: list[str],
    class_of: list[int],
    unit_of: list[int],
    every: int,
) -> LabelledSet:
    normal = [
        each[: int(float(row.get("train_end") or 0)) // every] for row, each in zip(index, rows, strict=True)
    ]
    fleet: Mapping[str, Any] | None = None
    gather = Gather()
    for at, (each, label) in enumerate(zip(rows, labels, strict=True)):
        faulty = each[len(normal[at]) :] if label is None or not (label > 0).any() else each[label > 0]
        if len(faulty) < WINDOW_ROWS:
            continue
        if len(normal[at]) >= _FEWEST_NORMAL_ROWS:
            memory = remember(normal[at])
            own = normal[at]
        else:
            thin = max(1, sum(map(len, rows)) // _FLEET_ROWS)
            fleet = fleet or remember(np.concatenate([one[::thin] for one in rows]))
            memory, own = fleet, each
        hop = max(1, (len(own) - WINDOW_ROWS) // 200)
        gather.normal.setdefault(unit_of[at], []).append(describe(memory, cut(own, hop=hop), None))
        if len(faulty) > WINDOW_ROWS + 16:
            gather.history(memory, faulty[: 64 * WINDOW_ROWS], unit=unit_of[at])
        hop = max(8, (len(faulty) - WINDOW_ROWS) // _MOST_WINDOWS)
        gather.add(memory, faulty, label=class_of[at], unit=unit_of[at], hop=hop)
    return gather.finish(name, tuple(classes), None)
