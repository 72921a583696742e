"""What files of recordings hold, a line each, said before anything is trained on them; some cannot be read."""

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import RecordingError
from edge_agent.recordings import tables
from edge_agent.recordings.tables import Recording

_CHANNELS_NAMED = 6


@dataclass(frozen=True, slots=True)
class Described:
    """One file.

    Attributes:
        pattern: its name below the folder, as a pattern that means it alone.
        told: what is said of it, a line. readable: whether it was read, and has something to learn from.
        rows, channels: of what was read.
    """

    pattern: str
    told: str
    readable: bool
    rows: int = 0
    channels: tuple[str, ...] = ()


def describe(folder: Path) -> Iterator[Described]:
    """Every table below a folder, in a fixed order.

    Raises:
        RecordingError: the folder holds none.
    """
    for path in tables.find(folder):
        name = path.relative_to(folder).as_posix() if folder.is_dir() else path.name
        pattern = glob.escape(name)
        try:
            found = tables.read(path)
        except RecordingError as error:
            yield Described(pattern, f"{name}: left out: {error.reason}", readable=False)
            continue
        if lacking := _lacking(found):
            yield Described(pattern, f"{name}: left out: {lacking}", readable=False)
            continue
        told = f"{name}: {_told(found)}"
        yield Described(pattern, told, readable=True, rows=len(found.values), channels=found.channels)


def _lacking(found: Recording) -> str:
    """Why nothing can be learnt from a table that can be read; empty where something can."""
    if len(found.values) == 1:
        return "has one row"
    if not np.isfinite(found.values).any():
        return "no cell of its channels holds a number"
    return "" if _moving(found).any() else "no channel ever moves"


def _moving(found: Recording) -> NDArray[np.bool_]:
    """[C] whether a channel has two values that differ."""
    least = np.fmin.reduce(found.values, axis=0)
    moving: NDArray[np.bool_] = least < np.fmax.reduce(found.values, axis=0)
    return moving


def _told(found: Recording) -> str:
    """Rows, channels, rate, span, labels and what was assumed."""
    names = ", ".join(found.channels[:_CHANNELS_NAMED])
    more = len(found.channels) - _CHANNELS_NAMED
    parts = [f"{len(found.values)} rows of {names}{f' and {more} more' if more > 0 else ''}"]
    if found.times_ns is not None and len(found.times_ns) > 1:
        step_s = float(np.median(np.diff(found.times_ns))) / 1e9
        hours = float(found.times_ns[-1] - found.times_ns[0]) / 3.6e12
        parts.append(f"a row every {step_s:g} s, {hours:.1f} hours")
    if still := [name for name, moves in zip(found.channels, _moving(found), strict=True) if not moves]:
        parts.append(f"never moving: {', '.join(still[:_CHANNELS_NAMED])}")
    if found.label is not None:
        parts.append(f"{int((found.label > 0).sum())} rows labelled as faults")
    return "; ".join([*parts, *found.notes])
