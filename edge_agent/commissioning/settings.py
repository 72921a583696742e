"""What the file says of false alarms: its section `[budget]` is this class, with its keys, defaults and bounds."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """How many false alarms a machine may raise, and how far its threshold may follow slow drift.

    Attributes:
        false_alarms_per_week: what the operator accepts of one machine.
        follow_drift: False: the threshold stays as learnt.
        rise_per_day, fall_per_day: largest relative move of the threshold in a day of normal operation.
        lowest, highest: its bounds for ever, relative to what was learnt, until the machine is learnt afresh.
        highest_step: upper bound of the threshold for a plain step of one channel, which drift hardly moves, since
            it compares rows with those just before them.
    """

    false_alarms_per_week: Annotated[float, Interval(gt=0, le=10_000)] = 1.0
    follow_drift: bool = True
    rise_per_day: Annotated[float, Interval(ge=0, le=1)] = 0.1
    fall_per_day: Annotated[float, Interval(ge=0, lt=1)] = 0.02
    lowest: Annotated[float, Interval(gt=0, le=1)] = 1.0
    highest: Annotated[float, Interval(ge=1, le=10)] = 3.0
    highest_step: Annotated[float, Interval(ge=1, le=10)] = 1.1
