"""Recordings as pieces that fit into memory one at a time: where they lie, each channel's place, their rows.

A piece is some rows of some channels of one file; its channels are signals. Nothing here holds more rows than one
batch, one machine's sample or one piece. Knows no order, no process and no step: see `shuffle_buffer`.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.recordings import shards
from edge_agent.recordings.shards import Shard
from edge_agent.records import Float32
from edge_trainer.data.windows import Signals, robust_place

_BATCH_VALUES = 1 << 18
"""Decoded at once: 1 MB."""
_SAMPLE_VALUES = 1 << 20
"""Of a machine's rows, over all channels, from which its centre and spread are told: 4 MB."""
_LEAST_SAMPLE_ROWS = 1024

Places = Mapping[str, tuple[float, float]]
"""Channel -> (location, scale) of one machine; channels that never move are not there."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of some channels of a file.

    Attributes:
        path: the file.
        groups: its row groups, half-open. first: rows of them that are passed over. rows: how many follow.
        channels: C names.
        places: (location, scale) of each.
    """

    path: Path
    groups: tuple[int, int]
    first: int
    rows: int
    channels: tuple[str, ...]
    places: tuple[tuple[float, float], ...]

    @property
    def values(self) -> int:
        """How many it holds."""
        return self.rows * len(self.channels)

    def only(self, chosen: Sequence[int]) -> "Piece":
        """The same rows of the channels with these numbers."""
        channels = tuple(self.channels[at] for at in chosen)
        return Piece(
            self.path, self.groups, self.first, self.rows, channels, tuple(self.places[at] for at in chosen)
        )


def places(files: Sequence[Shard], *, seed: int) -> Places:
    """Centre and spread of each channel of a machine, over all of its files.

    Every row is read; those that are kept for the quantiles are all, or one drawn from each of many stretches of equal
    length: a sample at equal distances would see one phase only of what repeats.
    """
    width = len({name for file in files for name in file.channels})
    total = sum(file.rows for file in files)
    stretch = math.ceil(total / max(_LEAST_SAMPLE_ROWS, _SAMPLE_VALUES // width))
    starts = np.arange(0, total, stretch)
    kept = starts + np.random.default_rng([seed, 3]).integers(
        0, np.minimum(stretch, total - starts), len(starts)
    )
    sample: dict[str, list[Float32]] = {}
    extremes: dict[str, tuple[float, float]] = {}
    for file, picks in _picks(files, kept):
        for at, values in _batches(file):
            low, high = np.searchsorted(picks, [at, at + len(values)])
            chosen = values[picks[low:high] - at]
            lowest, highest = np.fmin.reduce(values), np.fmax.reduce(values)
            for number, name in enumerate(file.channels):
                sample.setdefault(name, []).append(chosen[:, number].copy())
                before = extremes.get(name, (math.nan, math.nan))
                extremes[name] = (
                    float(np.fmin(before[0], lowest[number])),
                    float(np.fmax(before[1], highest[number])),
                )
    moving = [name for name, (low, high) in extremes.items() if high > low]
    seen = {name: np.concatenate(sample[name]) for name in moving}
    return {name: robust_place(values) for name, values in seen.items() if np.isfinite(values).any()}


def _picks(files: Sequence[Shard], kept: NDArray[np.int64]) -> Iterator[tuple[Shard, NDArray[np.int64]]]:
    """Each file with its own of the rows, which count through all files."""
    ends = np.cumsum([file.rows for file in files])
    for file, end in zip(files, ends, strict=True):
        begin = end - file.rows
        low, high = np.searchsorted(kept, [begin, end])
        yield file, kept[low:high] - begin


def _batches(file: Shard) -> Iterator[tuple[int, Float32]]:
    """(first row, rows) of a file bit by bit."""
    at, batch_rows = 0, max(1, _BATCH_VALUES // len(file.channels))
    for values in shards.batches(file.path, file.channels, batch_rows=batch_rows):
        yield at, values
        at += len(values)


def cut(file: Shard, known: Places, *, least_rows: int, most_values: int) -> Iterator[Piece]:
    """A file's moving channels in pieces of at most `most_values`, and at least `least_rows` long.

    Whole row groups where they fit, fewer channels at a time where they do not, and a part of a row group where one
    channel of it is too long. A CSV file is one piece, however large. What is left of a file and is shorter than
    `least_rows` is left out.
    """
    channels = tuple(name for name in file.channels if name in known)
    if not channels:
        return
    if file.path.suffix != ".parquet":
        most_values = max(most_values, file.rows * len(channels))
    for groups, rows in _spans(file.groups, most_rows=max(most_values // len(channels), least_rows)):
        parts = max(1, min(math.ceil(rows / most_values), rows // least_rows))
        edges = [rows * part // parts for part in range(parts + 1)]
        for first, end in itertools.pairwise(edges):
            if end - first < least_rows:
                continue
            at_once = max(1, most_values // (end - first))
            for at in range(0, len(channels), at_once):
                some = channels[at : at + at_once]
                yield Piece(file.path, groups, first, end - first, some, tuple(known[name] for name in some))


def _spans(groups: Sequence[int], *, most_rows: int) -> Iterator[tuple[tuple[int, int], int]]:
    """(row groups, rows) of neighbours that together have no more rows than that; single ones may."""
    begin, rows = 0, 0
    for at, more in enumerate(groups):
        if rows and rows + more > most_rows:
            yield (begin, at), rows
            begin, rows = at, 0
        rows += more
    yield (begin, len(groups)), rows


def signals(pieces: Sequence[Piece]) -> Signals:
    """Every channel of the pieces as a signal."""
    lengths = np.array([piece.rows for piece in pieces for _ in piece.channels], np.int64)
    places = np.array([place for piece in pieces for place in piece.places], np.float32)
    values = np.empty(lengths.sum(), np.float32)
    at = 0
    for piece in pieces:
        _fill(values[at : at + piece.values].reshape(len(piece.channels), piece.rows), piece)
        at += piece.values
    return Signals(
        values=values,
        starts=np.cumsum(lengths) - lengths,
        lengths=lengths,
        location=places[:, 0],
        scale=places[:, 1],
        kind=np.full(len(lengths), "recording"),
    )


def _fill(values: Float32, piece: Piece) -> None:
    """Read a piece into [C, R]."""
    skip, filled = piece.first, 0
    batch_rows = max(1, _BATCH_VALUES // len(piece.channels))
    groups = range(*piece.groups)
    for rows in shards.batches(piece.path, piece.channels, groups=groups, batch_rows=batch_rows):
        part = rows[skip : skip + piece.rows - filled]
        skip = max(0, skip - len(rows))
        values[:, filled : filled + len(part)] = part.T
        filled += len(part)
        if filled == piece.rows:
            return
