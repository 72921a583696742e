"""Loose samples to one `Frame`: what formats share that name one value at a time. Decodes nothing.

Rules: rows in the order of their times; of two samples for one cell the first counts; two different quantities never
share a channel, the second is turned away; samples without a time are stamped with the arrival.
"""

import math
from collections.abc import Hashable

from edge_agent.formats.origin import Origin, event_time_ns, number
from edge_agent.records import Frame, Reject, RejectReason
from edge_agent.topics import is_name

SECOND_NS = 1_000_000_000
_CELLS_LIMIT = 262_144
"""Rows times channels of one message: sparse samples must not swell to gigabytes of holes."""
_FARTHEST_NS = 10**21
"""Clamps absurd integers before they are turned to floats or to text."""


def channel_name(text: str) -> str:
    """A device's name for a quantity as a channel: its levels joined by points instead of slashes."""
    return text.replace("/", ".")


def stamp_ns(stamp: object, unit_ns: int, origin: Origin) -> int | Reject:
    """Nanoseconds since 1970 of a number of units of `unit_ns`, checked like every event time.

    Integers are exact; fractions are rounded to a microsecond, as a double holds no more.
    """
    if isinstance(stamp, int) and not isinstance(stamp, bool):
        time_ns = min(max(stamp, -_FARTHEST_NS), _FARTHEST_NS) * unit_ns
    elif isinstance(stamp, float) and math.isfinite(stamp):
        bounded = min(max(stamp, -_FARTHEST_NS), _FARTHEST_NS)
        time_ns = round(bounded * (unit_ns / 1000)) * 1000
    elif isinstance(stamp, float):
        return Reject("bad_timestamp", f"{stamp} is no time")
    else:
        return Reject("bad_timestamp", f"a {type(stamp).__name__} is no time")
    checked = event_time_ns(time_ns / SECOND_NS, origin)
    return checked if isinstance(checked, Reject) else time_ns


class Samples:
    """Gathers the samples of one message."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._series: dict[str, Hashable] = {}
        self._rows: dict[int, dict[str, float]] = {}
        self._bad: list[tuple[str, RejectReason]] = []
        self._detail = ""
        self._ahead_ns: int | None = None
        self._stamped = False

    def add(self, channel: str, value: object, *, time: int | Reject | None, series: Hashable = None) -> None:
        """Take a sample, or note why not.

        Args:
            channel: its name, checked here.
            value: a number or a truth value; None says that there is none.
            time: event time in nanoseconds, why there is none, or None where the arrival counts.
            series: what the channel stands for; the first of a channel is the one it keeps.
        """
        if value is None:
            return
        if not is_name(channel):
            self.refuse(channel, "unknown_channel")
        elif isinstance(time, Reject):
            self.refuse(channel, time.reason, time.detail)
            self._ahead_ns = time.ahead_ns
        elif self._series.setdefault(channel, series) != series:
            self.refuse(channel, "unknown_channel", "two quantities of one message would share this channel")
        else:
            checked = number(value)
            if not isinstance(checked, float):
                self.refuse(channel, checked)
                return
            self._stamped = self._stamped or time is not None
            time_ns = self._origin.received_ns if time is None else time
            self._rows.setdefault(time_ns, {}).setdefault(channel, checked)

    def refuse(self, channel: str, reason: RejectReason, detail: str = "") -> None:
        """Turn one value away and keep the rest."""
        if not self._bad:
            self._detail = detail
        self._bad.append((channel, reason))

    def frame(self) -> Frame | Reject:
        """All good samples, or why there are none."""
        if not self._rows:
            return self._none_good()
        channels = tuple({channel: None for row in self._rows.values() for channel in row})
        if len(channels) * len(self._rows) > _CELLS_LIMIT:
            return Reject("too_large", f"{len(self._rows)} times and {len(channels)} channels in one message")
        times_ns = sorted(self._rows)
        return Frame(
            machine=self._origin.machine,
            channels=channels,
            times_ns=tuple(times_ns),
            rows=tuple(tuple(self._rows[at].get(name, math.nan) for name in channels) for at in times_ns),
            stamped=self._stamped,
            bad_values=tuple(self._bad),
        )

    def _none_good(self) -> Reject:
        if not self._bad:
            return Reject("no_values")
        channel, reason = self._bad[0]
        detail = self._detail or f"channel {channel[:40]!r}, and no good value beside it"
        return Reject(reason, detail, self._ahead_ns)
