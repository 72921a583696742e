"""What files of recordings hold, a line each, said before anything is trained on them; some cannot be read."""

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_agent.errors import RecordingError
from edge_agent.recordings import tables
from edge_agent.recordings.tables import Recording

_CHANNELS_NAMED = 6


@dataclass(frozen=True, slots=True)
class Described:
    """One file: its name below the folder as a pattern that means it alone, what is said of it, whether it was read."""

    pattern: str
    told: str
    readable: bool


def describe(folder: Path) -> Iterator[Described]:
    """Every table below a folder, in a fixed order.

    Raises:
        RecordingError: the folder holds none.
    """
    for path in tables.find(folder):
        name = path.relative_to(folder).as_posix() if folder.is_dir() else path.name
        try:
            told, readable = _told(tables.read(path)), True
        except RecordingError as error:
            told, readable = f"left out: {error.reason}", False
        yield Described(glob.escape(name), f"{name}: {told}", readable)


def _told(found: Recording) -> str:
    """Rows, channels, rate, span, labels and what was assumed."""
    names = ", ".join(found.channels[:_CHANNELS_NAMED])
    more = len(found.channels) - _CHANNELS_NAMED
    parts = [f"{len(found.values)} rows of {names}{f' and {more} more' if more > 0 else ''}"]
    if found.times_ns is not None and len(found.times_ns) > 1:
        step_s = float(np.median(np.diff(found.times_ns))) / 1e9
        hours = float(found.times_ns[-1] - found.times_ns[0]) / 3.6e12
        parts.append(f"a row every {step_s:g} s, {hours:.1f} hours")
    if found.label is not None:
        parts.append(f"{int((found.label > 0).sum())} rows labelled as faults")
    return "; ".join([*parts, *found.notes])
