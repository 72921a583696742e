"""Maintenance windows: when a machine is worked on, so that its alarms call nobody. Pure: the time is an argument.

A window is either one stretch of time or comes back on days of the week, between two times of day in a named zone.
One that ends before it begins runs past midnight and belongs to the day on which it begins.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

EVERY_MACHINE = "*"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Weekly:
    """Days of the week (0 is Monday) and two times of day in a zone."""

    days: frozenset[int]
    begins: time
    ends: time
    zone: tzinfo

    def around(self, now_ns: int) -> tuple[int, int] | None:
        """Beginning and end of the window that `now_ns` lies in, [begin, end)."""
        today = datetime.fromtimestamp(now_ns // 1_000_000_000, self.zone).date()
        for day in (today, today - timedelta(days=1)):
            if day.weekday() not in self.days:
                continue
            last = day if self.begins < self.ends else day + timedelta(days=1)
            begin_ns = to_ns(datetime.combine(day, self.begins, self.zone))
            end_ns = to_ns(datetime.combine(last, self.ends, self.zone))
            if begin_ns <= now_ns < end_ns:
                return begin_ns, end_ns
        return None


@dataclass(frozen=True, slots=True)
class Once:
    """One stretch of time, [begin, end)."""

    begin_ns: int
    end_ns: int

    def around(self, now_ns: int) -> tuple[int, int] | None:
        """The stretch itself while `now_ns` lies in it."""
        return (self.begin_ns, self.end_ns) if self.begin_ns <= now_ns < self.end_ns else None


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """When, for whom and what for. `machines` may hold `EVERY_MACHINE`."""

    machines: frozenset[str]
    when: Weekly | Once
    note: str = ""

    def covers(self, machine: str) -> bool:
        """Whether the window is about this machine."""
        return machine in self.machines or EVERY_MACHINE in self.machines


def to_ns(moment: datetime) -> int:
    """Nanoseconds since 1970, without the rounding of `timestamp()`."""
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since // timedelta(microseconds=1)) * 1000
