"""Recordings as an endless stream through a bounded buffer: more data than memory, dealt out to processes and readers.

Each process has pieces of its own (`data.pieces`). It goes through them again and again, each time in another
order, packed into *slices* of about the same size. The buffer holds `_SLICES` of them; windows are drawn from all.
After so many steps as would draw each row of a slice once, the oldest leaves and the next one comes. What lies in the
buffer at a step follows from the seed, the process's number and the step's number alone, however many readers there
are.
"""

import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from edge_agent.errors import TrainingError
from edge_agent.recordings import shards
from edge_agent.recordings.shards import Shard
from edge_trainer.config import Config
from edge_trainer.data import pieces, windows
from edge_trainer.data.pieces import Piece, Places
from edge_trainer.data.windows import Signals
from edge_trainer.training import parallel

_SLICES = 8
_PARTS = _SLICES + 2
"""Of the bound: the buffer's slices, one that is being read, and what is held out."""
_BYTES = 4
"""Of a value."""
_PIECES_A_PROCESS = 4
"""At least so many, so that each has its own even of a single file."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who reads what.

    Attributes:
        own: pieces of this process. held_out: pieces that no process trains on, the same in each.
        slice_values: a slice holds no more.
    """

    own: tuple[Piece, ...]
    held_out: tuple[Piece, ...]
    slice_values: int

    @property
    def values(self) -> int:
        """Of this process."""
        return sum(piece.values for piece in self.own)


def plan(config: Config, *, held_out_share: float) -> Plan:
    """Look through all recordings once and deal them out; every process calls it.

    Raises:
        RecordingError: a recording cannot be used. TrainingError: nothing to train on, or not enough to deal out.
    """
    settings, seed = config.pretrain, config.run.seed
    least_rows = settings.window_rows + 2 * settings.near_rows
    slice_values = max(least_rows, settings.buffer_bytes // _BYTES // _PARTS)
    parts = _pieces(config, least_rows=least_rows, most_values=slice_values)
    if not parts:
        raise TrainingError(f"no recording has a moving channel and {least_rows} rows")
    training, held_out = _split(parts, share=held_out_share, most_values=slice_values, seed=seed)
    return Plan(deal(training, seed=seed), held_out, slice_values)


def _pieces(config: Config, *, least_rows: int, most_values: int) -> list[Piece]:
    """All recordings in pieces, the same in every process."""
    paths = windows.find_all(config.run.data, config.pretrain.recordings)
    found = [shards.survey(path, exclude=config.pretrain.exclude_columns) for path in paths]
    found = [file for file in found if file.rows >= least_rows]
    if parallel.count() > 1:
        total = sum(file.rows * len(file.channels) for file in found)
        most_values = max(least_rows, min(most_values, total // (parallel.count() * _PIECES_A_PROCESS)))
    known = _places(found, seed=config.run.seed)
    cuts = (
        pieces.cut(file, known[file.machine], least_rows=least_rows, most_values=most_values)
        for file in found
    )
    return list(itertools.chain.from_iterable(cuts))


def _places(found: Sequence[Shard], *, seed: int) -> dict[str, Places]:
    """Each machine's places; the processes share the machines out among themselves."""
    machines: dict[str, list[Shard]] = {}
    for file in found:
        machines.setdefault(file.machine, []).append(file)
    own = sorted(machines)[parallel.rank() :: parallel.count()]
    return parallel.gathered({machine: pieces.places(machines[machine], seed=seed) for machine in own})


def _split(
    parts: Sequence[Piece], *, share: float, most_values: int, seed: int
) -> tuple[list[Piece], tuple[Piece, ...]]:
    """(for training, held out): whole channels of pieces on either side, no more held out than fits."""
    places = [(at, number) for at, piece in enumerate(parts) for number in range(len(piece.channels))]
    order = np.random.default_rng(seed).permutation(len(places))[: max(1, round(share * len(places)))]
    held_out: dict[int, list[int]] = {}
    values = 0
    for at, number in (places[place] for place in order):
        values += parts[at].rows
        if held_out and values > most_values:
            break
        held_out.setdefault(at, []).append(number)
    left = [
        piece.only([n for n in range(len(piece.channels)) if n not in held_out.get(at, ())])
        for at, piece in enumerate(parts)
    ]
    kept = tuple(parts[at].only(sorted(held_out[at])) for at in sorted(held_out))
    return [piece for piece in left if piece.channels], kept


def deal(parts: Sequence[Piece], *, seed: int) -> tuple[Piece, ...]:
    """This process's pieces, in the order of the files.

    Raises:
        TrainingError: there are fewer pieces than processes.
    """
    if len(parts) < parallel.count():
        raise TrainingError(
            f"{len(parts)} pieces of recordings for {parallel.count()} processes, beside what is held out: "
            "more recordings, or fewer processes"
        )
    order = np.random.default_rng([seed, 4]).permutation(len(parts))
    return tuple(parts[at] for at in sorted(order[parallel.rank() :: parallel.count()]))


def slices(own: Sequence[Piece], *, slice_values: int, seed: int, rank: int) -> Iterator[tuple[Piece, ...]]:
    """Pieces packed into slices, without end: each piece once, then all again in another order."""
    packed: list[Piece] = []
    values = 0
    for time in itertools.count():
        for at in np.random.default_rng([seed, 5, rank, time]).permutation(len(own)):
            if packed and values + own[at].values > slice_values:
                yield tuple(packed)
                packed, values = [], 0
            packed.append(own[at])
            values += own[at].values


class _Slices(IterableDataset[Signals]):
    """Slices from the one with number `first` on; of several readers each has every so-manyth."""

    def __init__(self, own: Sequence[Piece], *, slice_values: int, seed: int, rank: int, first: int) -> None:
        self._own = own
        self._told: Mapping[str, int] = {"slice_values": slice_values, "seed": seed, "rank": rank}
        self._first = first

    def __iter__(self) -> Iterator[Signals]:
        reader = get_worker_info()
        place, readers = (0, 1) if reader is None else (reader.id, reader.num_workers)
        found = slices(self._own, **self._told)
        for own in itertools.islice(found, self._first + place, None, readers):
            yield pieces.signals(own)


class Stream:
    """The buffer of one process.

    Args:
        plan: who reads what.
        seed, rank: of chance.
        steps_a_slice: so many steps later the oldest slice leaves.
        readers: processes that read ahead; 0: this one reads, between two steps.
    """

    def __init__(self, plan: Plan, *, seed: int, rank: int, steps_a_slice: int, readers: int) -> None:
        self._plan = plan
        self._seed = seed
        self._rank = rank
        self._steps_a_slice = steps_a_slice
        self._readers = readers
        self._buffer: deque[Signals] = deque(maxlen=_SLICES)
        self._first = -1
        self._coming: Iterator[Signals] = iter(())

    @property
    def whole(self) -> bool:
        """Whether all of it fits: it is read once, and stays."""
        return self._plan.values <= _SLICES * self._plan.slice_values

    def told(self) -> str:
        """What this process reads, for the card."""
        own = self._plan.own
        values = f"{self._plan.values:,} values in {len({piece.path for piece in own})} files"
        if parallel.count() > 1:
            values = f"{values}, the share of one of {parallel.count()} processes"
        how = "in memory" if self.whole else f"streamed, {_SLICES * self._plan.slice_values:,} at a time"
        return f"{sum(len(piece.channels) for piece in own)} signals: recording ({values}, {how})"

    def signals_at(self, step: int) -> tuple[Signals, ...]:
        """What the buffer holds at a step; cheap where steps rise one by one.

        Raises:
            RecordingError: a recording cannot be read (any more).
        """
        if self.whole:
            if not self._buffer:
                self._buffer.append(pieces.signals(self._plan.own))
            return tuple(self._buffer)
        wanted = step // self._steps_a_slice
        if self._first < 0 or wanted < self._first:
            self._begin(wanted)
        for _ in range(wanted - self._first):
            self._buffer.popleft()
            self._buffer.append(next(self._coming))
        self._first = wanted
        return tuple(self._buffer)

    def _begin(self, first: int) -> None:
        self._buffer.clear()
        told = {"slice_values": self._plan.slice_values, "seed": self._seed, "rank": self._rank}
        ahead: dict[str, Any] = {}
        if self._readers:
            # Forked children of a process with threads may hang.
            ahead = {"multiprocessing_context": "spawn", "prefetch_factor": 1}
        loader = DataLoader(
            _Slices(self._plan.own, first=first, **told),
            batch_size=None,
            num_workers=self._readers,
            generator=torch.Generator(torch.get_default_device()),  # torch's own is the network's
            **ahead,
        )
        self._coming = iter(loader)
        self._buffer.extend(itertools.islice(self._coming, _SLICES))
        self._first = first
