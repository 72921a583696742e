"""Which cells of one channel are hidden, and how many rows beside them are looked at. Learns nothing.

Axes: B windows, K channels, T rows of a window, S rows of a span.
"""

from dataclasses import dataclass

import numpy as np

from edge_agent.records import Float32

WINDOW_ROWS = 128
_BESIDE_ROWS = 8
_MOST_EARLIER = 4


@dataclass(frozen=True, slots=True)
class Gap:
    """A run of hidden rows of one channel: in the midst of visible ones, or the newest of all.

    Attributes:
        rows: that are hidden.
        newest: nothing is visible after them.
    """

    rows: int
    newest: bool

    @property
    def before_rows(self) -> int:
        """Visible rows before the hidden ones."""
        return 2 * _BESIDE_ROWS if self.newest else _BESIDE_ROWS

    @property
    def after_rows(self) -> int:
        """Visible rows after the hidden ones."""
        return 0 if self.newest else _BESIDE_ROWS

    @property
    def span_rows(self) -> int:
        """Hidden rows and those beside them."""
        return self.before_rows + self.rows + self.after_rows

    @property
    def hidden(self) -> slice:
        """The hidden rows of a span."""
        return slice(self.before_rows, self.before_rows + self.rows)

    @property
    def sort(self) -> str:
        """What a table calls it."""
        if self.newest:
            return "newest rows"
        return "single cell" if self.rows == 1 else "stretch"


GAPS = (
    Gap(1, newest=False),
    *(Gap(rows, newest=False) for rows in (8, 16, 32)),
    *(Gap(rows, newest=True) for rows in (8, 16, 32)),
)


def earlier_spans(windows: Float32, gap: Gap) -> Float32:
    """Spans without a hidden cell, before the gap at the end of windows [B, K, T]: [N, B, K, S], the newest first."""
    step, rows = gap.rows + gap.after_rows, windows.shape[-1]
    count = min(_MOST_EARLIER, (rows - gap.span_rows) // step)
    ends = [rows - step * (number + 1) for number in range(count)]
    return np.stack([windows[..., end - gap.span_rows : end] for end in ends])
