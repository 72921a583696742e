"""The rows that a machine's memory is made of: what it was learnt from, and accepted states. Pure.

A network and its context cannot be told "this is normal": they can be shown it. So the rows of what was accepted lie in
the profile beside those that were learnt, as what was seen once: remembered, and telling nothing of what is usual. All
that is known of the machine is worked out again from both, in a fraction of a second, and without them when an
acceptance is taken back.

Axes: R rows, C channels.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from edge_agent.signals.features import Float32

_LEARNT, _SEAMS, _ROWS, _STARTS, _ALARMS, _KNOWN = (
    "kept_rows",
    "kept_seams",
    "accepted_rows",
    "accepted_starts",
    "accepted_alarms",
    "accepted_known",
)
_LARGEST_BYTES = 4_000_000
"""Of kept rows; of more the latest are kept."""
_MOST_SHARE = 0.25
"""Rows of accepted states, relative to the learnt ones: what people accept may not outgrow what was seen."""


def kept(rows: Float32, seams: Sequence[int] = ()) -> dict[str, NDArray[Any]]:
    """The learnt rows [R, C], as part of a profile, and those before which time leaps."""
    dropped = max(0, len(rows) - max(1, _LARGEST_BYTES // max(rows[:1].nbytes, 1)))
    leaps = np.array([seam - dropped for seam in seams if seam > dropped], np.int64)
    return {_LEARNT: np.asarray(rows[dropped:], np.float32), _SEAMS: leaps}


class AcceptedRows(NamedTuple):
    """Rows of accepted states.

    Attributes:
        rows: [R, C], at the levels that the channels were learnt at.
        starts: first row of each piece: no window bridges two.
        alarms: id of the alarm that each piece is of.
    """

    rows: Float32
    starts: tuple[int, ...]
    alarms: tuple[str, ...]

    @classmethod
    def read(cls, memory: Mapping[str, NDArray[Any]], *, n_channels: int) -> Self:
        """Those of a profile; none where it says nothing that can be read."""
        none = cls(np.empty((0, n_channels), np.float32), (), ())
        if not {_ROWS, _STARTS, _ALARMS} <= memory.keys():
            return none
        alarms = _names(memory[_ALARMS])
        starts = tuple(int(start) for start in np.ravel(memory[_STARTS]))
        rows = np.asarray(memory[_ROWS], np.float32)
        if rows.ndim != 2 or rows.shape[1] != n_channels or len(alarms) != len(starts):
            return none
        return cls(rows, starts, alarms)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `read` reads."""
        return {
            _ROWS: self.rows,
            _STARTS: np.array(self.starts, np.int64),
            _ALARMS: np.frombuffer("\n".join(self.alarms).encode(), np.uint8).copy(),
        }

    def with_pieces(self, alarm: str, pieces: Sequence[Float32]) -> Self:
        """The same with pieces [R, C] of another alarm."""
        ends = np.cumsum([len(self.rows), *(len(piece) for piece in pieces)]).tolist()
        return type(self)(
            np.concatenate([self.rows, *pieces]).astype(np.float32),
            (*self.starts, *ends[:-1]),
            (*self.alarms, *(alarm for _ in pieces)),
        )

    def only(self, alarms: Collection[str]) -> Self:
        """Those of these alarms alone."""
        chosen = type(self)(self.rows[:0], (), ())
        bounds = [*self.starts, len(self.rows)]
        for at, alarm in enumerate(self.alarms):
            if alarm in alarms:
                chosen = chosen.with_pieces(alarm, [self.rows[bounds[at] : bounds[at + 1]]])
        return chosen


def room(memory: Mapping[str, NDArray[Any]], accepted: AcceptedRows) -> int | None:
    """Rows that may be accepted yet; None where nothing can, since an older agent kept no rows."""
    if _LEARNT not in memory:
        return None
    return int(_MOST_SHARE * len(memory[_LEARNT])) - len(accepted.rows)


def together(
    memory: Mapping[str, NDArray[Any]], *, offset: Float32 | float
) -> tuple[Float32, list[int], int]:
    """(all rows [R, C] with an offset added, the rows before which time leaps, how many of the last are accepted).

    Raises:
        KeyError: an older agent kept no rows.
    """
    learnt = np.asarray(memory[_LEARNT], np.float32)
    accepted = AcceptedRows.read(memory, n_channels=learnt.shape[1])
    own = [int(seam) for seam in np.ravel(memory.get(_SEAMS, np.empty(0, np.int64)))]
    seams = [*own, *(len(learnt) + start for start in accepted.starts)]
    return np.concatenate([learnt, accepted.rows]) + np.asarray(offset, np.float32), seams, len(accepted.rows)


def known(memory: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Says of a memory that it was made of the rows in it."""
    return {_KNOWN: memory[_ALARMS]} if _ALARMS in memory else {}


def to_be_known(memory: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a memory was made of other rows than those in it."""
    return _ALARMS in memory and sorted(_names(memory[_ALARMS])) != sorted(_names(memory.get(_KNOWN)))


def _names(raw: NDArray[Any] | None) -> tuple[str, ...]:
    if raw is None or not raw.size:
        return ()
    return tuple(np.asarray(raw, np.uint8).tobytes().decode(errors="replace").split("\n"))
