"""Loose samples to frames: what formats share that name one value at a time. Decodes nothing.

Rules: rows in the order of their times; of two samples for one cell the first counts; two different quantities never
share a channel, the second is turned away; samples without a time are stamped with the arrival.
"""

import math
from collections.abc import Hashable
from dataclasses import replace

from edge_agent.formats.mapping.times import TimeUnit
from edge_agent.formats.mapping.values import LARGEST
from edge_agent.formats.origin import Origin, event_time_ns, told
from edge_agent.records import Decoded, Frame, FrameSet, Reject, RejectReason
from edge_agent.topics import is_name

SECOND_NS = 1_000_000_000
_CELLS_LIMIT = 262_144
"""Rows times channels of one message: sparse samples must not swell to gigabytes of holes."""
_MACHINES_LIMIT = 10_000
"""Of one message."""


def channel_name(text: str) -> str:
    """A device's name for a quantity as a channel: its levels joined by points instead of slashes."""
    return text.replace("/", ".")


def stamp_ns(stamp: object, origin: Origin, unit: TimeUnit = "auto") -> int | Reject:
    """As `event_time_ns`, of formats whose times are numbers."""
    if isinstance(stamp, str) and origin.trusted:
        return Reject("bad_timestamp", "a str is no time")
    return event_time_ns(stamp, origin, unit)


class Samples:
    """Gathers the samples of one message for one machine."""

    def __init__(self, origin: Origin, *, machine: str | None = None) -> None:
        """`machine`: where it is not the origin's."""
        self._origin = origin
        self._machine = origin.machine if machine is None else machine
        self._read = origin.reading.values.read
        self._sentinels = origin.reading.values.sentinels
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
            checked: float | RejectReason | None
            if type(value) is float and not self._sentinels and abs(value) <= LARGEST:
                checked = value
            else:
                checked = self._read(value)
            if checked is None:
                return
            if not isinstance(checked, float):
                self.refuse(channel, checked, told(value, checked))
                return
            self._stamped = self._stamped or time is not None
            time_ns = self._origin.received_ns if time is None else time
            self._rows.setdefault(time_ns, {}).setdefault(channel, checked)

    @property
    def refused(self) -> tuple[tuple[str, RejectReason], ...]:
        """What was turned away so far."""
        return tuple(self._bad)

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
            machine=self._machine,
            channels=channels,
            times_ns=tuple(times_ns),
            rows=tuple(tuple(self._rows[at].get(name, math.nan) for name in channels) for at in times_ns),
            stamped=self._stamped,
            partial=self._origin.channel is not None,
            bad_values=tuple(self._bad),
        )

    def _none_good(self) -> Reject:
        if not self._bad:
            return Reject("no_values")
        channel, reason = self._bad[0]
        detail = self._detail or f"channel {channel[:40]!r}, and no good value beside it"
        return Reject(reason, detail, self._ahead_ns)


class MachineSamples:
    """Gathers the samples of one message for each of its machines."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._of: dict[str, Samples] = {}
        self._fault: Reject | None = None

    def of(self, machine: str) -> Samples:
        """Those of a machine; a name that is none takes samples that come to nothing."""
        found = self._of.get(machine)
        if found is None:
            found = Samples(self._origin, machine=machine)
            if not is_name(machine):
                self._fault = Reject("unknown_machine", f"{machine[:40]!r} is no name of a machine")
            elif len(self._of) >= _MACHINES_LIMIT:
                self._fault = Reject("too_many_machines", f"more than {_MACHINES_LIMIT} in one message")
            else:
                self._of[machine] = found
        return found

    def unnamed(self, detail: str) -> None:
        """A sample says no machine."""
        self._fault = Reject("unknown_machine", detail)

    def frames(self) -> Decoded:
        """A frame of each machine that has good samples, or why there are none."""
        frames: list[Frame] = []
        bad: list[tuple[str, RejectReason]] = []
        fault = self._fault
        for samples in self._of.values():
            found = samples.frame()
            if isinstance(found, Frame):
                frames.append(found)
            else:
                fault = fault or found
                bad += samples.refused
        if not frames:
            return fault or Reject("no_values")
        if self._fault is not None:
            bad.append(("", self._fault.reason))
        if bad:
            first = frames[0]
            frames[0] = replace(first, bad_values=(*first.bad_values, *bad))
        return frames[0] if len(frames) == 1 else FrameSet(tuple(frames))
