"""How much memory it takes to learn a machine, and what of the learning fits into a bound. Arithmetic alone.

First windows are looked at, then detectors are fitted to what was seen. What is kept of the windows grows with the
channels; the Gaussian of all channels' newest rows with their square, and beyond some hundred channels nothing else
counts. So of a wide machine fewer windows are looked at and, where that is not enough, the Gaussian is left out: what
it alone sees, relations between channels, is then not watched. Where even that does not fit the machine is refused
before any memory is asked for.

Measured by `python -m benchmarks.performance.learning_memory`, and rounded up.
"""

from dataclasses import dataclass

from edge_agent.errors import CommissionError

_FIXED_BYTES = 10_000_000
_CELL_BYTES = 40
"""Of a cell of the rows, in all its copies."""
_LOOK_BYTES, _MOST_LOOK_BYTES = 700_000, 40_000_000
"""Of a channel, and at the most, while some windows are looked at together."""
_WINDOW_BYTES = 13_000
"""Of a window, whatever the channels: its distances to the remembered ones."""
_SEEN_BYTES = {False: 520, True: 850}
"""Of a channel of a window, without and with the Gaussian."""
_RELATION_BYTES = 12_300
"""Of a pair of channels, 16 x 16 cells of a covariance in six copies."""
_WANTED_WINDOWS = 500
"""Fewer than these, where there are more, tell less of a machine than the relations between its channels do."""
_FEWEST_WINDOWS = 100


@dataclass(frozen=True, slots=True)
class LearningPlan:
    """What is learnt of a machine.

    Attributes:
        most_windows: normal windows that are looked at, spread over all rows.
        relations: whether the Gaussian of all channels is fitted.
    """

    most_windows: int
    relations: bool = True

    def bytes(self, rows: int, channels: int) -> int:
        """What learning by this plan takes at the most."""
        windows = min(self.most_windows, rows) * _of_a_window(channels, relations=self.relations)
        return _basis(rows, channels, relations=self.relations) + windows


def plan(rows: int, channels: int, *, most_windows: int, limit_bytes: int) -> LearningPlan:
    """The most that fits.

    Args:
        rows: normal rows to learn from, R.
        channels: C of them.
        most_windows: that are looked at where there is room.
        limit_bytes: what learning may take.

    Raises:
        CommissionError: nothing that would be worth it fits.
    """
    wanted = min(_WANTED_WINDOWS, rows)
    for relations, least in ((True, wanted), (False, _FEWEST_WINDOWS)):
        left = limit_bytes - _basis(rows, channels, relations=relations)
        windows = left // _of_a_window(channels, relations=relations)
        if windows >= least:
            return LearningPlan(min(most_windows, windows), relations=relations)
    needed = LearningPlan(_FEWEST_WINDOWS, relations=False).bytes(rows, channels)
    raise CommissionError(
        f"{channels} channels and {rows} rows take {needed / 1e6:,.0f} MB to be learnt, limits.learning_bytes allows "
        f"{limit_bytes / 1e6:,.0f} MB: leave channels out, learn from fewer rows, or allow more"
    )


def _basis(rows: int, channels: int, *, relations: bool) -> int:
    """What is taken whatever the number of windows: while they are looked at, or while the Gaussian is fitted."""
    looking = min(channels * _LOOK_BYTES, _MOST_LOOK_BYTES)
    return (
        _FIXED_BYTES + rows * channels * _CELL_BYTES + max(looking, relations * channels**2 * _RELATION_BYTES)
    )


def _of_a_window(channels: int, *, relations: bool) -> int:
    return _WINDOW_BYTES + channels * _SEEN_BYTES[relations]
