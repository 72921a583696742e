"""The machines that detection is measured on: recordings with the length of their normal part; no method looks in here.

Every set yields `Series`. A folder of one's own needs an `index.csv` with `series_id, file, train_end`; a `label`
column in the files is optional, and without it only alarms a week can be told.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.recordings import tables as recordings
from edge_agent.recordings.tables import Recording

SKAB_NORMAL_ROWS = 400
_MINUTE_NS = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Series:
    """One machine: what it is learnt from, and what is judged.

    Attributes:
        recording: rows [R, C]; its label is None where nothing is known.
        normal_rows: rows that a method may learn from; their labels are not shown to it.
        judged_from: first row that counts in the ranking measures.
        published: method -> VUS-PR of the same file, from the benchmark's own tables.
    """

    recording: Recording
    normal_rows: int
    judged_from: int
    published: Mapping[str, float] = field(default_factory=dict)


def tsb_ad_m(data: Path) -> Iterator[Series]:
    """The evaluation files of TSB-AD-M that can be rebuilt; ranked over the whole file, as the benchmark does."""
    folder = data / "tsb_ad_m"
    with (folder / "published_vus_pr_per_file.csv").open() as file:
        published = {
            row["file"]: {name: float(value) for name, value in row.items() if name != "file"}
            for row in csv.DictReader(file)
        }
    for row in _rows(folder / "mapping.csv"):
        if row["split"] == "Eva":
            yield Series(
                recording=_rebuilt(row, data=data),
                normal_rows=int(row["tsb_train_len"]),
                judged_from=0,
                published=published[row["tsb_file"]],
            )


def skab(data: Path, *, seed: int | None = None) -> Iterator[Series]:
    """The 34 runs of SKAB, one machine each, learnt from their first 400 rows.

    Args:
        data: the folder of recordings.
        seed: turns the judged part of every run by a random number of rows. Its anomalies always lie in the middle,
            which a method could guess; after the turn the place says nothing. The seam is a jump that no machine made.
    """
    rng = None if seed is None else np.random.default_rng(seed)
    for row in _rows(data / "skab/index.csv"):
        if row["series_id"] == "anomaly-free":
            continue
        found = recordings.read(data / "skab" / row["file"], exclude=("changepoint",))
        order = np.arange(len(found.values))
        if rng is not None:
            judged = order[SKAB_NORMAL_ROWS:]
            order[SKAB_NORMAL_ROWS:] = np.roll(judged, int(rng.integers(len(judged))))
        yield Series(
            recording=_taken(found, order, name=row["series_id"]),
            normal_rows=SKAB_NORMAL_ROWS,
            judged_from=SKAB_NORMAL_ROWS,
        )


def folder(data: Path) -> Iterator[Series]:
    """Any folder with an `index.csv` (series_id, file, train_end); series without a normal part are left out."""
    for row in _rows(data / "index.csv"):
        if not row["train_end"]:
            continue
        found = recordings.read(data / row["file"])
        normal = int(float(row["train_end"]))
        label = None if found.label is None else (found.label > 0).astype(np.int16)
        yield Series(
            recording=Recording(
                name=row["series_id"],
                channels=found.channels,
                times_ns=found.times_ns,
                values=found.values,
                label=label,
            ),
            normal_rows=normal,
            judged_from=normal,
        )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def _taken(found: Recording, order: NDArray[np.int64], *, name: str) -> Recording:
    """The rows in another order, their times an even grid of a second."""
    label = np.zeros(len(order), np.int16) if found.label is None else (found.label[order] > 0)
    return Recording(
        name=name,
        channels=found.channels,
        times_ns=None,
        values=np.ascontiguousarray(found.values[order]),
        label=label.astype(np.int16),
    )


def _rebuilt(row: Mapping[str, str], *, data: Path) -> Recording:
    """One benchmark file by the mapping's rules."""
    whole = recordings.read(data / row["dataset"] / f"{row['series_id']}.parquet")
    part = slice(int(row["row_start"]), int(row["row_end"]))
    given = np.zeros(len(whole.values), np.int16) if whole.label is None else whole.label
    values, label = whole.values[part], (given[part] > 0).astype(np.int16)
    if row["label_rule"].startswith("test rows"):
        first, last = (int(bound) for bound in row["label_rule"].split()[-1].split(".."))
        label[:] = 0
        label[first:last] = 1
    if row["dataset"].startswith("gecco"):  # the benchmark drops rows with missing values
        kept = ~np.isnan(values).any(axis=1)
        values, label = values[kept], label[kept]
    return Recording(
        name=row["tsb_file"].removesuffix(".csv"),
        channels=whole.channels,
        times_ns=np.arange(len(values), dtype=np.int64) * _MINUTE_NS,  # the rate of both data sets, about
        values=values,
        label=label,
    )
