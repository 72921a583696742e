"""Rows as frames, for tests that begin behind the formats."""

from collections.abc import Iterator, Sequence

import numpy as np

from edge_agent.records import Frame, Reject

SECOND = 1_000_000_000


def frames_of(
    values: np.ndarray,
    *,
    channels: Sequence[str],
    start: int = 0,
    block: int = 1,
    period_ns: int = SECOND,
    machine: str = "m",
) -> list[Frame]:
    """Rows [R, C], the first of them row `start` of the machine's life, as frames of `block` rows."""
    return list(_frames(np.asarray(values, np.float32), tuple(channels), start, block, period_ns, machine))


def _frames(
    values: np.ndarray, channels: tuple[str, ...], start: int, block: int, period_ns: int, machine: str
) -> Iterator[Frame]:
    for at in range(0, len(values), block):
        part = values[at : at + block]
        yield Frame(machine, channels, [(start + at + row) * period_ns for row in range(len(part))], part)


def undecoded(_: object) -> Reject:
    """The decoder of a pipeline that is fed with frames alone."""
    return Reject("no_source")
