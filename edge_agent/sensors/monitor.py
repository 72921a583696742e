"""What is wrong with a machine's sensors, apart from the machine: findings with a life of their own. Pure.

A channel under suspicion is hidden from the score at once, so that a broken sensor raises no machine alarm; a finding
is said only when the suspicion has lasted. Both limits stand well above anything the machine's own normal rows showed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Alarm, ChannelEvidence, Float32, Profile
from edge_agent.sensors.checks import NOISE_ROWS, Bounds, ChannelHistory, FullCheck, consecutive, level_of
from edge_agent.sensors.findings import CHANNEL_FINDINGS, Finding, closed, opened
from edge_agent.sensors.spikes import SpikeMonitor, SpikeState
from edge_agent.sensors.unit_change import UnitMonitor, UnitState
from edge_agent.signals import vibration
from edge_agent.signals.channel_kinds import ANALOG, COUNTER, IGNORED, ChannelKinds

_WORDS: Mapping[str, str] = {"missing": "missing", "frozen": "frozen", "noise gone": "quieter"}
_CONSTANT = 0.3
"""A channel that stood still for so large a part of the normal rows measures nothing: it may go on standing."""
_NEAR_LIMIT = 0.002
"""Share of a configured range within which a value that stands still is stuck at the range's end."""
_STALE_SHARE = 0.5
_ROUNDING = 1.01
"""So near to a limit the full check decides."""
_UNKNOWN_ROWS = np.iinfo(np.int64).max // 4


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """From when on a sensor is suspected, and from when on a finding is said.

    Attributes:
        suspect_times, suspect_rows: it stood still, or was silent, for so many times the longest normal while and so
            many rows more: it is hidden from the score.
        certain_times, certain_rows: the same for a finding.
        quiet_share: noise below this share of the least normal noise is suspicious.
        quiet_rows: so many such rows in a row are a finding.
        range_rows: rows out of the configured range that are a finding.
        unit_rows: rows in another unit that are a finding.
        clear_rows: rows without suspicion that end a finding.
        rate_ratio, rate_rows: a row comes so many times more or less often than in normal operation, over so many rows.
    """

    enabled: bool = True
    suspect_times: float = 2.0
    suspect_rows: int = 3
    certain_times: float = 4.0
    certain_rows: int = 25
    quiet_share: float = 0.35
    quiet_rows: int = 40
    range_rows: int = 3
    unit_rows: int = 5
    clear_rows: int = 30
    rate_ratio: float = 1.6
    rate_rows: int = 128


@dataclass(frozen=True, slots=True)
class QualityState:
    """What outlives a restart; the rest is read from the kept rows again.

    Attributes:
        rows: [5][C] how many rows each channel has stood still, been silent, out of range, quiet, well; empty where
            all is well: then the kept rows tell.
    """

    count: int = 0
    open: tuple[Alarm, ...] = ()
    units: UnitState = field(default_factory=UnitState)
    rows: tuple[tuple[int, ...], ...] = ()
    spikes: SpikeState = field(default_factory=SpikeState)


@dataclass(frozen=True, slots=True)
class SensorReport:
    """Of R rows.

    Attributes:
        hidden: [R, C] channels that the score of a window ending at the row must leave out; empty where none.
        findings: revisions, in order.
    """

    hidden: NDArray[np.bool_]
    findings: tuple[Alarm, ...]


NOTHING = SensorReport(np.empty((0, 0), np.bool_), ())
"""Of rows that are ordinary."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """[R, C] whether a channel is suspected, or hidden until that is clear, and which findings are certain."""

    suspect: NDArray[np.bool_]
    doubted: NDArray[np.bool_]
    certain: Mapping[Finding, NDArray[np.bool_]]


class SensorMonitor:
    """Looks at the rows of one commissioned machine."""

    def __init__(
        self,
        profile: Profile,
        settings: QualitySettings,
        *,
        ranges: Sequence[tuple[float, float]],
        window_rows: int,
        model: str,
    ) -> None:
        """Begin; `ranges` are the physical (low, high) of each channel, infinite where none is known."""
        n_channels = len(profile.channels)
        self._profile, self._settings, self._model = profile, settings, model
        self._window_rows = window_rows
        self._low, self._high = np.array(ranges, np.float64).reshape(n_channels, 2).T
        kinds = ChannelKinds.read(profile.memory)
        code = np.zeros(n_channels, np.uint8) if kinds is None else kinds.code
        self._analog, self._counter, self._ignored = code == ANALOG, code == COUNTER, code == IGNORED
        self._low[self._ignored], self._high[self._ignored] = -np.inf, np.inf
        self._history = ChannelHistory(n_channels)
        # What the agent has computed of a vibration jumps by any factor when the machine breaks.
        computed = np.array([*map(vibration.is_feature, profile.channels)], np.bool_)
        self._units = UnitMonitor(profile.memory, unitless=(computed | ~self._analog).tolist())
        self._measures = profile.memory["quality/run"].astype(np.int64) <= _CONSTANT * profile.rows
        # A state may hold for as long as it likes.
        self._measures &= self._analog | self._counter
        self._out = np.zeros(n_channels, np.int64)
        self._quiet = np.zeros(n_channels, np.int64)
        self._well = np.full(n_channels, _UNKNOWN_ROWS)
        self._spikes = SpikeMonitor.read(profile.memory, learnt_ns=profile.rows * profile.period_ns)
        self._spiky: dict[
            str, Alarm
        ] = {}  # beside other findings of the same channels: nothing is hidden for them
        self._open: dict[str, Alarm] = {}
        self._count = 0
        self._paces: list[float] = []
        self._last_ns: int | None = None
        self._before: tuple[tuple[int, ...], ...] = ()
        self.by_exception = False
        """Whether what is not said has not changed: then no channel is missing, and no pace is unusual."""
        self._ordinary = False
        """Nothing is open, hidden or suspected."""
        self._bounds = self._ordinary_bounds()

    @property
    def open_findings(self) -> tuple[Alarm, ...]:
        """The findings that hold."""
        return (*self._open.values(), *self._spiky.values())

    @property
    def hidden(self) -> tuple[str, ...]:
        """The channels that the score of a window ending now leaves out."""
        channels = self._profile.channels
        return tuple(channels[at] for at in np.flatnonzero(self._well < self._window_rows).tolist())

    def check(
        self, rows: Float32, times_ns: NDArray[np.int64], *, resting: NDArray[np.bool_] | None = None
    ) -> SensorReport:
        """Look at the next rows [R, C] as they were observed, NaN elsewhere.

        At rows that are `resting` [R] the machine stands still: that a sensor is quiet, too, says nothing of it.
        """
        report = self._inspect(rows, times_ns, resting=resting)
        spiky = () if self._spikes is None else tuple(self._count_spikes(self._spikes, rows, times_ns))
        return SensorReport(report.hidden, (*report.findings, *spiky)) if spiky else report

    def _count_spikes(
        self, spikes: SpikeMonitor, rows: Float32, times_ns: NDArray[np.int64]
    ) -> Iterable[Alarm]:
        for change in spikes.check(rows, times_ns):
            name, time_ns = self._profile.channels[change.channel], int(times_ns[change.row])
            if change.failing:
                self._spiky[name] = self._opened(
                    "spikes", time_ns, (self._evidence(change.channel, "spikes", change.value),)
                )
                yield self._spiky[name]
            elif name in self._spiky:
                yield closed(self._spiky.pop(name), time_ns=time_ns)

    def _inspect(
        self, rows: Float32, times_ns: NDArray[np.int64], *, resting: NDArray[np.bool_] | None
    ) -> SensorReport:
        quick = None
        if self._ordinary or self._unsuspected():
            quick = self._history.quick_check(rows, self._bounds)
        if quick is not None and self._ordinary and not quick.far:
            self._history.pass_over(quick)
            paces = tuple(self._pace(times_ns))
            return SensorReport(NOTHING.hidden, paces) if paces else NOTHING
        units = None
        if quick is not None and not self._open:  # steps alone may be unusual, or have been of late
            units = self._units.check(self._history.moves(quick))
            unit_for, doubted = units
            if not unit_for.any():
                self._history.pass_over(quick)
                self._well = np.minimum(self._well + len(rows), _UNKNOWN_ROWS)
                paces = tuple(self._pace(times_ns))
                self._ordinary = self._all_well()
                return SensorReport(doubted, paces)
        seen, judged, well = self._check(rows, units, resting=resting)
        findings: list[Alarm] = []
        if self._open or any(certain.any() for certain in judged.certain.values()):
            for at in range(len(rows)):
                findings += self._advance(judged, seen, at=at, well=well[at], time_ns=int(times_ns[at]))
        findings += self._pace(times_ns)
        self._ordinary = self._all_well()
        return SensorReport((well < self._window_rows) | judged.doubted, tuple(findings))

    def _check(
        self,
        rows: Float32,
        units: tuple[NDArray[np.int64], NDArray[np.bool_]] | None = None,
        *,
        resting: NDArray[np.bool_] | None = None,
    ) -> tuple[FullCheck, _Judged, NDArray[np.int64]]:
        """(what was found, what it is taken for, [R, C] rows since a channel was suspected).

        `units` is what their own check has found of these rows, where it was asked already.
        """
        seen = self._history.check(rows)
        found = self._units.check(seen) if units is None else units
        judged = self._judge(rows, seen, found, resting=resting)
        steps = np.arange(1, len(rows) + 1)[:, np.newaxis]
        latest = np.maximum.accumulate(np.where(judged.suspect, steps, -self._well), axis=0)
        well = np.minimum(steps - latest, _UNKNOWN_ROWS)
        self._well = well[-1]
        return seen, judged, well

    def _all_well(self) -> bool:
        return self._units.idle and self._unsuspected()

    def _unsuspected(self) -> bool:
        """Whether nothing is open or suspected, nor was lately; whether steps are usual is another question."""
        beyond = max(self._window_rows, self._settings.clear_rows)
        return not self._open and not self._units.changed and bool(self._well.min() >= beyond)

    def _ordinary_bounds(self) -> Bounds:
        """Within which `_judge` suspects nothing."""
        s = self._settings
        memory: Mapping[str, NDArray[Any]] = self._profile.memory
        run = s.suspect_times * memory["quality/run"] + s.suspect_rows
        usual = memory.get("quality/noise_at", memory["quality/noise"][np.newaxis])
        noise = _ROUNDING * s.quiet_share * usual.max(axis=0).astype(np.float64) * self._analog
        return Bounds(
            low=self._low,
            high=self._high,
            step=self._units.reach,
            run=np.where(self._measures, run, np.inf),
            power=NOISE_ROWS * noise**2,
        )

    def _judge(
        self,
        rows: Float32,
        seen: FullCheck,
        units: tuple[NDArray[np.int64], NDArray[np.bool_]],
        *,
        resting: NDArray[np.bool_] | None,
    ) -> _Judged:
        s = self._settings
        memory: Mapping[str, NDArray[Any]] = self._profile.memory
        normal_run, normal_gap = memory["quality/run"], memory["quality/gap"]
        moves = np.ones((len(rows), 1), np.bool_) if resting is None else ~resting[:, np.newaxis]
        run = seen.run * (self._measures & moves)
        unchanged = run > s.suspect_times * normal_run + s.suspect_rows
        frozen = run > s.certain_times * normal_run + s.certain_rows
        heeded = ~self._ignored & (not self.by_exception)
        silent = (seen.gap > s.suspect_times * normal_gap + s.suspect_rows) & heeded
        missing = (seen.gap > s.certain_times * normal_gap + s.certain_rows) & heeded
        # Only of a measurement is the noise the sensor's.
        quiet = (
            (seen.noise < s.quiet_share * self._usual_noise(seen)) & (seen.noise > 0) & moves & self._analog
        )
        quiet_for = consecutive(quiet, self._quiet, unknown=np.isnan(seen.noise))
        out = (rows < self._low) | (rows > self._high)
        out_for = consecutive(out, self._out, unknown=np.isnan(rows))
        unit_for, doubted = units
        self._quiet, self._out = quiet_for[-1], out_for[-1]
        suspect = unchanged | silent | (quiet_for > 0) | (out_for > 0) | (unit_for > 0)
        if not self._open and not suspect.any():
            return _Judged(suspect, doubted, {})
        stuck = frozen & self._at_limit(seen)
        return _Judged(
            suspect=suspect,
            doubted=doubted,
            certain={
                "missing": missing,
                "out of range": out_for >= s.range_rows,
                "stuck at limit": stuck,
                "unit changed": unit_for >= s.unit_rows,
                "frozen": frozen & ~stuck,
                "noise gone": (quiet_for >= s.quiet_rows) & ~unchanged,
            },
        )

    def _usual_noise(self, seen: FullCheck) -> Float32:
        """The least normal noise while the value was about what it is, [R, C]."""
        memory: Mapping[str, NDArray[Any]] = self._profile.memory
        if "quality/noise_at" not in memory:  # learnt by an older agent
            least: Float32 = np.broadcast_to(memory["quality/noise"], seen.noise.shape)
            return least
        level = level_of(seen.filled, low=memory["quality/low"], high=memory["quality/high"])
        return np.take_along_axis(memory["quality/noise_at"], level, axis=0)

    def _at_limit(self, seen: FullCheck) -> NDArray[np.bool_]:
        """Whether the values are at an end of a configured range, [R, C]."""
        bounded = np.isfinite(self._low) & np.isfinite(self._high)
        near = _NEAR_LIMIT * np.where(bounded, self._high - self._low, 0.0)
        ends = (seen.filled <= self._low + near) | (seen.filled >= self._high - near)
        found: NDArray[np.bool_] = ends & bounded
        return found

    def _advance(
        self, judged: _Judged, seen: FullCheck, *, at: int, well: NDArray[np.int64], time_ns: int
    ) -> Iterable[Alarm]:
        """What row `at` begins and ends."""
        channels = self._profile.channels
        for name in [name for name in self._open if name in channels]:
            if well[channels.index(name)] >= self._settings.clear_rows:
                yield self._close(name, time_ns)
        frozen = judged.certain["frozen"][at] | judged.certain["stuck at limit"][at]
        still = np.flatnonzero(frozen).tolist()
        all_still = len(channels) > 2 and len(still) > _STALE_SHARE * len(channels)
        if all_still and "" not in self._open:
            yield self._begin("", "stale", time_ns, channels=still, seen=seen, at=at)
        if not all_still and "" in self._open and self._open[""].fault == "stale":
            yield self._close("", time_ns)
        for finding in CHANNEL_FINDINGS:
            for channel in np.flatnonzero(judged.certain[finding][at]).tolist():
                if channels[channel] in self._open or (all_still and frozen[channel]):
                    continue
                yield self._begin(channels[channel], finding, time_ns, channels=[channel], seen=seen, at=at)

    def _pace(self, times_ns: NDArray[np.int64]) -> Iterable[Alarm]:
        """Whether rows come as often as they did."""
        before = int(times_ns[0]) if self._last_ns is None else self._last_ns
        self._last_ns = int(times_ns[-1])
        self._paces.append((int(times_ns[0]) - before) / self._profile.period_ns)
        self._paces += ((times_ns[1:] - times_ns[:-1]) / self._profile.period_ns).tolist()
        if len(self._paces) < self._settings.rate_rows:
            return
        if self.by_exception:
            self._paces.clear()
            return
        paces = self._paces[-self._settings.rate_rows :]
        self._paces = paces[self._settings.rate_rows // 4 :]  # the next check is so many rows away
        ranked, half = sorted(paces), len(paces) // 2
        ratio, limit = (ranked[half] + ranked[-half - 1]) / 2, self._settings.rate_ratio
        changed = ratio > limit or ratio < 1.0 / limit
        known = self._open.get("")
        if changed and known is None:
            yield self._begin("", "rate changed", self._last_ns)
        elif not changed and known is not None and known.fault == "rate changed":
            yield self._close("", self._last_ns)

    # -- findings as alarms ----------------------------------------------------------------------------------

    def _begin(
        self,
        name: str,
        finding: Finding,
        time_ns: int,
        *,
        channels: Sequence[int] = (),
        seen: FullCheck | None = None,
        at: int = 0,
    ) -> Alarm:
        evidence = [self._evidence(one, finding, float(seen.filled[at, one])) for one in channels if seen]
        alarm = self._open[name] = self._opened(finding, time_ns, tuple(evidence))
        return alarm

    def _opened(self, finding: Finding, time_ns: int, channels: tuple[ChannelEvidence, ...]) -> Alarm:
        self._count += 1
        return opened(
            self._profile.machine,
            finding,
            number=f"s{self._count}",
            onset_ns=time_ns,
            time_ns=time_ns,
            model=self._model,
            channels=channels,
        )

    def _close(self, name: str, time_ns: int) -> Alarm:
        return closed(self._open.pop(name), time_ns=time_ns)

    def _evidence(self, channel: int, finding: Finding, value: float) -> ChannelEvidence:
        memory, counter = self._profile.memory, bool(self._counter[channel])
        missing = finding == "missing" or not np.isfinite(value)
        location, scale = float(memory["location"][channel]), float(memory["scale"][channel])
        deviation = 0.0 if missing or counter else (value - location) / scale
        usual = "quality" if counter else "evidence"  # of a counter evidence knows its rate
        return ChannelEvidence(
            name=self._profile.channels[channel],
            contribution=0.0,
            observed=None if missing else value,
            normal_low=float(memory[f"{usual}/low"][channel]),
            normal_high=float(memory[f"{usual}/high"][channel]),
            deviation=deviation,
            symptom=_WORDS.get(finding, "high" if deviation > 0 else "low"),
        )

    # -- across restarts -------------------------------------------------------------------------------------

    @property
    def channels(self) -> tuple[str, ...]:
        """Those that it watches."""
        return self._profile.channels

    def end_unknown(self, time_ns: int | None) -> tuple[Alarm, ...]:
        """Findings about channels that are not watched any more, closed."""
        about = {name: alarm for name, alarm in self._open.items() if name and name not in self.channels}
        spiky = {name: alarm for name, alarm in self._spiky.items() if name not in self.channels}
        for name in about:
            del self._open[name]
        for name in spiky:
            del self._spiky[name]
        ended = (*about.values(), *spiky.values())
        return tuple(closed(alarm, time_ns=time_ns or alarm.time_ns) for alarm in ended)

    def save(self) -> QualityState:
        """What to give to `restore`."""
        history = self._history
        counts = (history.run, history.gap, self._out, self._quiet, self._well)
        return QualityState(
            count=self._count,
            open=self.open_findings,
            units=self._units.save(row=history.row),
            spikes=SpikeState() if self._spikes is None else self._spikes.save(),
            rows=() if self._ordinary else tuple(tuple(each.tolist()) for each in counts),
        )

    def go_on_from(self, before: "SensorMonitor") -> None:
        """Go on with what another monitor has found; with what it counted where it is of the same channels."""
        state = before.save()
        if before.channels != self.channels:
            state = replace(state, units=UnitState(), spikes=SpikeState(), rows=())
        self.restore(state)

    def restore(self, state: QualityState) -> None:
        """Go on where another monitor of the same channels stood; then `reread`."""
        self._units.restore(state.units)
        self._count = state.count
        self._before = state.rows
        if self._spikes is not None:
            self._spikes.restore(state.spikes)
        for alarm in state.open:
            if alarm.fault == "spikes":
                self._spiky[alarm.channels[0].name] = alarm
                continue
            whole = alarm.fault in ("stale", "rate changed")
            self._open["" if whole or not alarm.channels else alarm.channels[0].name] = alarm

    def reread(self, rows: Float32, row_count: int) -> None:
        """Remember the kept rows [R, C], as they were observed, of so many so far; what they said has been said."""
        self._history.row = row_count - len(rows)
        if len(rows):
            self._check(rows)
        if self._before and len(self._before[0]) == len(self._well):
            counts = (np.array(each, np.int64) for each in self._before)
            self._history.run, self._history.gap, self._out, self._quiet, self._well = counts
