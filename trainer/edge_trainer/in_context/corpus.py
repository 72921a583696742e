"""Episodes on disk, in shards of a few dozen: each follows from the corpus' seed and its number alone.

A shard that is there is not made again, and none is there before it is whole, so that making a corpus may be broken
off and taken up at any time, by any number of processes. Features are kept as half floats: their noise is far larger.

Axes: W windows, K their channels one after another, F features of a channel, G features of the machine.
"""

import os
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_agent.errors import CommissionError, EdgeAgentError, TrainingError
from edge_trainer.in_context import episodes
from edge_trainer.in_context.episodes import Episode
from edge_trainer.in_context.machines.families import Family, draw_family, families
from edge_trainer.in_context.machines.machine import Split
from edge_trainer.in_context.machines.site import SITE_SPLITS, Site

Float16 = npt.NDArray[np.float16]
Report = Callable[[str], None]

_FORMAT = 1
_LARGEST = 60_000.0
"""Bound of a feature, so that half precision holds it."""
_SPLITS: dict[Split, int] = {"training": 0, "held out": 1, "foreign": 2, "site": 4, "site left out": 5}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What bounds the threads of numpy: each process has one core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a shard follows from, besides its number.

    Attributes:
        folder: of the corpus. data: of the recordings, or None.
        seed: of all chance.
        shard_episodes: episodes of a shard. windows: of an episode.
        version: of the features, as the agent has it.
        site: whose own machines there are, too; their shards lie in a folder of the site.
    """

    folder: Path
    data: Path | None
    seed: int
    shard_episodes: int
    windows: int
    version: str
    site: Site | None = None

    def path(self, split: Split, number: int) -> Path:
        """Where a shard lies."""
        folder = self.site.shards if self.site and split in SITE_SPLITS else self.folder
        return folder / split.replace(" ", "-") / f"shard-{number:05d}.npz"

    def families(self, split: Split) -> tuple[Family, ...]:
        """Whose machines are drawn for a split."""
        if split in SITE_SPLITS:
            return self.site.families(split) if self.site else ()
        return families(data=self.data, split=split)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Episodes in memory, window by window.

    Attributes:
        channels: [K, F]. machine: [W, G]. present, guilty: [K].
        counts: channels of each window, [W].
        label: [W]. weight: [W]. parts: what the statistics say, [W, 2].
        what: name of the fault, or "calm", [W].
        episode: number of each window's episode, [W].
        family: of each episode, [N]. context_rows: of each, [N].
    """

    channels: Float16
    machine: Float16
    present: npt.NDArray[np.bool_]
    guilty: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.int64]
    label: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float32]
    parts: npt.NDArray[np.float32]
    what: npt.NDArray[np.str_]
    episode: npt.NDArray[np.int64]
    family: npt.NDArray[np.str_]
    context_rows: npt.NDArray[np.int64]

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """Place of each window's first channel among all, [W]."""
        return np.cumsum(self.counts) - self.counts


def make(
    plan: Plan, wanted: Sequence[tuple[Split, int]], *, jobs: int, minutes: float, report: Report
) -> int:
    """Make those of the wanted shards that are not there, until the time is up; returns how many are still missing.

    What was begun is finished. A line is reported for each shard.
    """
    until = time.monotonic() + 60.0 * minutes
    missing = [each for each in wanted if not plan.path(*each).exists()]
    report(f"{len(wanted) - len(missing)} of {len(wanted)} shards are there")
    if not missing:
        return 0
    for name in THREADS:
        os.environ.setdefault(name, "1")
    left = iter(missing)
    done = 0
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running: set[Future[str]] = set()
        while True:
            while len(running) < jobs and time.monotonic() < until and (each := next(left, None)) is not None:
                running.add(pool.submit(_written, plan, *each))
            if not running:
                break
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                done += 1
                report(f"{future.result()}, {done} of {len(missing)}")
    return len(missing) - done


def _written(plan: Plan, split: Split, number: int) -> str:
    """`write_shard` in a process of its own: only errors of one message pass from there."""
    try:
        return write_shard(plan, split, number)
    except EdgeAgentError as error:
        raise TrainingError(f"{split} {number}: {error}") from None


def write_shard(plan: Plan, split: Split, number: int) -> str:
    """Make one shard; returns what is to be told of it."""
    began = time.monotonic()
    there = plan.families(split)
    if not there:
        raise TrainingError(f"no family of machines for {split}: recordings are looked for in {plan.data}")
    made: list[Episode] = []
    failed = 0
    for place in range(plan.shard_episodes):
        rng = np.random.default_rng([plan.seed, _SPLITS[split], number, place])
        try:
            episode = episodes.make(rng, draw_family(rng, there), windows=plan.windows)
        except CommissionError:
            episode = None
        if episode is None:
            failed += 1
        else:
            made.append(episode)
    path = plan.path(split, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        arrays: Any = _arrays(made, version=plan.version)
        np.savez(file, **arrays)
    partial.replace(path)
    took_s = time.monotonic() - began
    return (
        f"{split} {number}: {len(made)} episodes, {failed} unusable, "
        f"{took_s / max(plan.shard_episodes, 1):.2f} s each, {path.stat().st_size / 1e6:.1f} MB"
    )


def of(made: Sequence[Episode]) -> Corpus:
    """Episodes in memory, as they would be read from a shard.

    Raises:
        TrainingError: there is none.
    """
    arrays: Any = _arrays(made, version="")
    return Corpus(**{name: arrays[name] for name in Corpus.__slots__})


def _arrays(made: Sequence[Episode], *, version: str) -> dict[str, npt.NDArray[np.generic]]:
    if not made:
        raise TrainingError("a shard without any episode")

    def halves(parts: Iterator[npt.NDArray[np.float32]]) -> Float16:
        whole = np.concatenate(list(parts))
        found: Float16 = np.clip(np.nan_to_num(whole), -_LARGEST, _LARGEST).astype(np.float16)
        return found

    def joined(parts: Iterator[npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
        return np.concatenate(list(parts))

    return {
        "format": np.array([str(_FORMAT), version]),
        "channels": halves(each.channels.reshape(-1, each.channels.shape[-1]) for each in made),
        "machine": halves(each.machine for each in made),
        "present": joined(each.present.ravel() for each in made),
        "guilty": joined(each.guilty.ravel() for each in made),
        "counts": joined(np.full(len(each.label), each.present.shape[1]) for each in made),
        "label": joined(each.label for each in made),
        "weight": joined(each.weight for each in made),
        "parts": joined(each.parts.astype(np.float32) for each in made),
        "what": joined(each.what for each in made),
        "episode": joined(np.full(len(each.label), at) for at, each in enumerate(made)),
        "family": np.array([each.family for each in made]),
        "context_rows": np.array([each.context_rows for each in made]),
    }


def read(plan: Plan, split: Split, *, shards: int | None = None) -> Corpus:
    """All shards of a split that are there, or the first so many.

    Raises:
        TrainingError: there is none, or one holds features of another version or is broken.
    """
    paths = sorted(plan.path(split, 0).parent.glob("shard-*.npz"))[:shards]
    if not paths:
        raise TrainingError(f"{plan.path(split, 0).parent} holds no shards: run `edge-trainer judge corpus`")
    return joined(Corpus(**_read_shard(path, version=plan.version)) for path in paths)


def joined(parts: Iterable[Corpus]) -> Corpus:
    """The episodes of several corpora, one corpus after the other."""
    arrays: dict[str, list[npt.NDArray[np.generic]]] = {name: [] for name in Corpus.__slots__}
    n_episodes = 0
    for part in parts:
        for name, kept in arrays.items():
            kept.append(part.episode + n_episodes if name == "episode" else getattr(part, name))
        n_episodes += len(part.family)
    whole: Any = {name: np.concatenate(arrays.pop(name)) for name in Corpus.__slots__}
    return Corpus(**whole)


def _read_shard(path: Path, *, version: str) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, Any] = {name: file[name] for name in file.files}
            found = arrays.pop("format").tolist()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path} is no shard: {error}; delete it and make it again") from error
    if found != [str(_FORMAT), version]:
        raise TrainingError(f"{path} is of another version ({found}): make the corpus in a new folder")
    return arrays


def only(corpus: Corpus, chosen: npt.NDArray[np.bool_]) -> Corpus:
    """The episodes that are chosen [N], in their order."""
    window = chosen[corpus.episode]
    cell = np.repeat(window, corpus.counts)
    number = np.cumsum(chosen) - 1
    return Corpus(
        channels=corpus.channels[cell],
        machine=corpus.machine[window],
        present=corpus.present[cell],
        guilty=corpus.guilty[cell],
        counts=corpus.counts[window],
        label=corpus.label[window],
        weight=corpus.weight[window],
        parts=corpus.parts[window],
        what=corpus.what[window],
        episode=number[corpus.episode[window]],
        family=corpus.family[chosen],
        context_rows=corpus.context_rows[chosen],
    )
