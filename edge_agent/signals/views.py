"""What windows look like before they are compared with anything remembered: by kind, standardised, and in views.

One window costs almost as many calls of numpy as hundreds, so the windows of many machines that are due together are
described together. Pure; judges nothing.

Axes: B windows, C channels, T rows, P views of a window, F statistics of a view.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.signals.channel_kinds import transform
from edge_agent.signals.features import Float32, standardise, views

Memory = Mapping[str, NDArray[Any]]

_JOINED_WINDOWS = 4
"""Blocks of more windows fill their calls by themselves."""
_MACHINES_AT_A_TIME = 32
"""Beyond that calls get no cheaper, and what they put down in between grows out of the processor's cache."""


@dataclass(frozen=True, slots=True)
class WindowViews:
    """What does not depend on the remembered windows.

    Attributes:
        z: standardised windows, [B, C, T].
        views: of them, [P, B, C, F].
        present: channels that were observed within a window, [B, C].
    """

    z: Float32
    views: Float32
    present: NDArray[np.bool_]


def describe_together(memories: Sequence[Memory], windows: Sequence[Float32]) -> list[WindowViews | None]:
    """The views of windows [B, C, T] of several machines, in one go for those of one shape.

    None for blocks so long that they are not worth joining: each is described alone then. To the bit what
    `describe_views` finds of each: nothing is summed across windows.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for at, (memory, block) in enumerate(zip(memories, windows, strict=True)):
        if len(block) <= _JOINED_WINDOWS:
            groups.setdefault((*block.shape[1:], *memory["lengths"].tolist()), []).append(at)
    found: list[WindowViews | None] = [None] * len(windows)
    for (_, _, *lengths), members in groups.items():
        for at in range(0, len(members), _MACHINES_AT_A_TIME):
            _describe_group(
                members[at : at + _MACHINES_AT_A_TIME], memories, windows, lengths_rows=lengths, found=found
            )
    return found


def _describe_group(
    members: Sequence[int],
    memories: Sequence[Memory],
    windows: Sequence[Float32],
    *,
    lengths_rows: Sequence[int],
    found: list[WindowViews | None],
) -> None:
    """Describe machines whose windows are of one shape, and put down the views of each."""
    counts = [len(windows[at]) for at in members]
    usual = {
        name: np.repeat(np.stack([memories[at][name] for at in members]), counts, axis=0)
        for name in ("location", "scale", "limit")
    }
    joined = np.concatenate([transform(windows[at], memories[at]) for at in members])
    z, present = standardise(joined, **usual), _present(joined)
    seen = views(z, lengths_rows=lengths_rows, change_rows=())
    start = 0
    for at, count in zip(members, counts, strict=True):
        part = slice(start, start + count)
        found[at] = WindowViews(z[part], seen[:, part], present[part])
        start += count


def describe_views(memory: Memory, windows: Float32) -> WindowViews:
    """The views of windows [B, C, T] of one machine."""
    scored = transform(windows, memory)
    z = standardise(scored, location=memory["location"], scale=memory["scale"], limit=memory["limit"])
    seen = views(z, lengths_rows=memory["lengths"].tolist(), change_rows=())
    return WindowViews(z, seen, _present(scored))


def _present(windows: Float32) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(windows).any(axis=-1))
