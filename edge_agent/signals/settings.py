"""What the file says of rows and windows: its section `[window]` is this class, with its keys, defaults and bounds."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

_WEEK_S = 604_800
_NS_PER_S = 1e9

Seconds = Annotated[float, Interval(gt=0, le=_WEEK_S)]


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """How messages become rows, and rows windows. Bounds hold for what the file says; a replay scores every row.

    Attributes:
        hop_s: a machine is scored at most once in this time.
        hold_rows: rows for which a missing value is held; then it is hidden.
        period_s: rows are brought onto this grid, see `alignment`; None: messages are rows.
        grid_s: rows of machines whose channels come one by one without time are gathered on this grid.
        lateness_s: a sample may be so much older than the newest one, where there is a grid.
    """

    hop_s: Seconds = 1.0
    hold_rows: Annotated[int, Interval(ge=0, le=100_000)] = 30
    period_s: Seconds | None = None
    grid_s: Annotated[float, Interval(ge=0.001, le=3600)] = 1.0
    lateness_s: Annotated[float, Interval(ge=0, le=3600)] = 2.0

    @property
    def grid_ns(self) -> int:
        """`grid_s` in the unit of times."""
        return int(self.grid_s * _NS_PER_S)
