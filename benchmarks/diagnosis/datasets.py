"""The recordings that diagnosis is measured on, cut into labelled windows by physical unit; no method is here.

Axes: N windows, C channels, T rows, F numbers.
"""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_agent.commissioning.baseline import commission
from edge_agent.diagnose.classifier import describe
from edge_agent.signals.features import standardise, statistics
from simulator import KINDS, MEASURED_KINDS, Injection, simulate

WINDOW_ROWS = 64
_PAIR_ROWS = 8  # between two neighbouring windows: much is new, the state is mostly the same


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """What may be known of the machine without a label: [M, F] normal windows, [P, 2, F] neighbouring ones."""

    normal: NDArray[np.float32] | None
    pairs: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class View:
    """The windows of a set described in another way; see `LabelledSet`."""

    described: NDArray[np.float32]
    unlabelled: Callable[[NDArray[np.int64]], Unlabelled]


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Windows of known faults.

    Attributes:
        windows: [N, C, T] in normal units (or raw samples): what MiniRocket is given.
        simple: [N, C * 11 or F] hand-made window statistics in normal units: what the forests and regressions get.
        described: [N, F] what `edge_agent.diagnose.classifier` sees.
        labels: [N] class; `names` tells it.
        units: [N] physical unit (run, bearing): never both in training and in test.
        test_units: the set's own test units, or None: half of each class's units, drawn anew.
        unlabelled: training units -> what is known without labels; never looks at test units.
        views: other descriptions of the same windows, by name.
    """

    name: str
    windows: NDArray[np.float32]
    simple: NDArray[np.float32]
    described: NDArray[np.float32]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    units: NDArray[np.int64]
    test_units: frozenset[int] | None
    unlabelled: Callable[[NDArray[np.int64]], Unlabelled]
    views: Mapping[str, View] = field(default_factory=dict)


Memory = Mapping[str, NDArray[Any]]


def read_rows(
    path: Path, *, but: tuple[str, ...] = ("label",)
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(rows [R, C], label [R]) of a Parquet file."""
    table = pq.read_table(path)
    label = table["label"].to_numpy().astype(np.int64)
    names = [field.name for field in table.schema if field.name not in (*but, "timestamp")]
    return np.stack([table[name].to_numpy().astype(np.float32) for name in names], axis=1), label


def read_index(folder: Path) -> list[dict[str, str]]:
    """A folder's table of recordings."""
    with (folder / "index.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def remember(rows: NDArray[np.float32]) -> Memory:
    """A machine's memory from normal rows [R, C]."""
    return commission(
        rows, window_rows=WINDOW_ROWS, encode=None, budget_per_week=1.0, windows_per_week=10_000.0, seed=0
    )


def cut(rows: NDArray[np.float32], *, hop: int) -> NDArray[np.float32]:
    """Windows [N, C, T] of rows [R, C]."""
    return np.ascontiguousarray(sliding_window_view(rows, WINDOW_ROWS, axis=0)[::hop])


class Gather:
    """Collects windows run by run and describes each against its machine's memory."""

    def __init__(self) -> None:
        self.parts: dict[str, list[NDArray[Any]]] = {
            "windows": [],
            "simple": [],
            "described": [],
            "labels": [],
            "units": [],
        }
        self.pairs: dict[int, list[NDArray[np.float32]]] = {}
        self.normal: dict[int, list[NDArray[np.float32]]] = {}

    def add(self, memory: Memory, rows: NDArray[np.float32], *, label: int, unit: int, hop: int) -> None:
        """Windows wholly inside `rows`, all of one class."""
        windows = cut(rows, hop=hop)
        z = standardise(windows, location=memory["location"], scale=memory["scale"], limit=memory["limit"])
        added = {
            "windows": z,
            "simple": statistics(z).reshape(len(z), -1),
            "described": describe(memory, windows, None),
            "labels": np.full(len(z), label),
            "units": np.full(len(z), unit),
        }
        for name, part in added.items():
            self.parts[name].append(part)

    def history(
        self, memory: Memory, rows: NDArray[np.float32], *, unit: int, apart: int = _PAIR_ROWS
    ) -> None:
        """Unlabelled rows of a unit: neighbouring windows `apart` rows from each other."""
        described = describe(memory, cut(rows, hop=apart // 2), None)
        self.pairs.setdefault(unit, []).append(np.stack([described[:-2], described[2:]], axis=1))

    def finish(self, name: str, names: tuple[str, ...], test_units: frozenset[int] | None) -> LabelledSet:
        """The set; normal windows and pairs come from training units only (unit -1: the machine's own normal)."""

        def unlabelled(train: NDArray[np.int64]) -> Unlabelled:
            own = [-1, *train.tolist()]
            normal = [part for unit in own for part in self.normal.get(unit, [])]
            pairs = [part for unit in own for part in self.pairs.get(unit, [])]
            return Unlabelled(
                normal=np.concatenate(normal) if normal else None,
                pairs=np.concatenate(pairs) if pairs else None,
            )

        joined = {part: np.concatenate(found) for part, found in self.parts.items()}
        return LabelledSet(name=name, names=names, test_units=test_units, unlabelled=unlabelled, **joined)


def tep(data: Path) -> LabelledSet:
    """Tennessee Eastman: labels from runs d00..d21, tests on the runs dXX_te from the fault's onset on."""
    folder = data / "tep_braatz"
    normal = read_rows(folder / "d00.parquet")[0]
    memory = remember(normal)
    gather = Gather()
    gather.normal[-1] = [describe(memory, cut(normal, hop=1), None)]
    for fault in range(22):
        train = read_rows(folder / f"d{fault:02d}.parquet")[0]
        test = read_rows(folder / f"d{fault:02d}_te.parquet")[0][0 if fault == 0 else 160 :]
        gather.add(memory, train, label=fault, unit=fault, hop=4)
        gather.history(memory, train, unit=fault)
        gather.add(memory, test, label=fault, unit=100 + fault, hop=8)
    return gather.finish("tep", tuple(f"d{fault:02d}" for fault in range(22)), frozenset(range(100, 122)))


def skab(data: Path) -> LabelledSet:
    """Water circulation testbed: a run is a unit, its first 400 rows are its normal; faults of at least 2 runs."""
    folder = data / "skab"
    index = [row for row in read_index(folder) if row["fault_id"]]
    faults = [float(row["fault_id"]) for row in index]
    kept = sorted({fault for fault in faults if faults.count(fault) > 1})
    gather = Gather()
    for unit, (row, fault) in enumerate(zip(index, faults, strict=True)):
        if fault not in kept:
            continue
        rows, label = read_rows(folder / row["file"], but=("label", "changepoint"))
        memory = remember(rows[:400])
        gather.normal[unit] = [describe(memory, cut(rows[:400], hop=4), None)]
        gather.history(memory, rows[400:], unit=unit)
        gather.add(memory, rows[label > 0], label=kept.index(fault), unit=unit, hop=16)
    return gather.finish("skab", tuple(f"fault {fault:.0f}" for fault in kept), None)


def cnc(data: Path) -> LabelledSet:
    """Milling machine, worn or unworn tool: a run is a unit; no normal recording, the fleet's rows stand in."""
    folder = data / "cnc_tool_wear"
    index = read_index(folder)
    runs = [read_rows(folder / row["file"], but=("label", "process"))[0] for row in index]
    memory = remember(np.concatenate([run[::8] for run in runs]))
    gather = Gather()
    for unit, (row, run) in enumerate(zip(index, runs, strict=True)):
        gather.add(memory, run, label=int(row["tool_condition"] == "worn"), unit=unit, hop=16)
        # No normal recording: what the fleet does is what is usual, as it is for the memory.
        gather.normal[unit] = [describe(memory, cut(run, hop=8), None)]
    return gather.finish("cnc", ("unworn", "worn"), None)


def plant(kind: str, machine_seed: int) -> LabelledSet:
    """One machine of the project's simulator: 3 runs of each fault to learn from, 3 to test on, other strengths."""
    normal = simulate(kind, rows=4000, seed=10_000 + machine_seed, machine_seed=machine_seed).values
    memory = remember(normal)
    gather = Gather()
    gather.normal[-1] = [describe(memory, cut(normal, hop=4), None)]
    rng = np.random.default_rng(machine_seed)
    names = tuple(fault.name for fault in KINDS[kind].faults)
    test = set()
    for label, fault in enumerate(names):
        for run in range(6):
            unit = 6 * label + run
            injected = Injection(
                fault=fault,
                start_row=200,
                growth_rows=int(rng.integers(20, 300)),
                severity=float(rng.uniform(0.4, 1.0)),
            )
            rows = simulate(
                kind,
                rows=900,
                seed=20_000 + 100 * machine_seed + unit,
                machine_seed=machine_seed,
                injections=[injected],
            ).values[300:]
            gather.add(memory, rows, label=label, unit=unit, hop=8)
            gather.history(memory, rows, unit=unit)
            if run >= 3:
                test.add(unit)
    return gather.finish(f"plant: {kind}", names, frozenset(test))


def _plants(kinds: Iterable[str]) -> dict[str, Callable[[Path], LabelledSet]]:
    return {f"plant_{kind}": lambda _, kind=kind: plant(kind, machine_seed=77) for kind in kinds}


SETS: Mapping[str, Callable[[Path], LabelledSet]] = {
    "tep": tep,
    "skab": skab,
    "cnc": cnc,
    **_plants(MEASURED_KINDS),
}
OTHER_PLANTS = _plants(kind for kind in KINDS if kind not in MEASURED_KINDS)
"""Kinds on whose other machines settings are chosen; measured only where they are asked for."""
