"""When an incident is over: an off-delay in time, what comes back in it, and what comes back soon after. Pure.

The trigger says when a score is loud and when it is quiet. A fault that lasts is quiet now and then: for a minute in a
calm load, for longer once a window holds nothing but the fault. So an incident does not end with the trigger's alarm:

1. *Unsettled* is an incident whose score is quiet and that is not over. It is over after `off_delay_s` of watched time
   in which the score, smoothed over a minute, lay nearer to what is usual for the machine than to the incident, that is
   below their geometric mean, wherever the threshold lies. A figure that hovers in between restarts the delay.
   Calm counts in full where the incident was loud, and a sixth of it at other operating points (`operating_point`): in
   idling a fault may not show.
2. What is loud again in that time is the same incident, and is counted. The echo of a fault's end is, too. Only what
   comes back after `_APART_NS`, outlasts such an echo and is borne by other channels (`_OTHER`) is another incident.
3. What is loud within `reopen_s` after the end reopens the incident, where the same channels bear it (`_ALIKE`).
4. An incident that was not loud for `_LONGEST_NS` is over wherever its score hovers: the machine may have changed.
5. Time in which no window came is neither calm nor loud. A clock that is set back begins the delay anew.
6. What it remembers of an incident can be written down after any window: a restart changes nothing that follows. What
   is usual is noted every ten minutes, so that a machine in peace has nothing to be written down.

It looks at the newest rows' score where these saw the fault, else at the whole window's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, NamedTuple

from annotated_types import Interval

from edge_agent.detect.operating_point import Level, is_elsewhere, with_level
from edge_agent.detect.trigger import Trigger, TriggerState
from edge_agent.records import Severity

IncidentState = Literal["normal", "raised", "active", "unsettled", "returned", "reopened", "cleared"]
"""Of one window: "returned" and "reopened" are the first of a loud stretch, before and after the incident had ended."""

Phase = Literal["normal", "loud", "quiet"]

_SMOOTHED_NS = 60 * 1_000_000_000
_NOTED_NS = 600 * 1_000_000_000
_REMEMBERED_NS = 3600 * 1_000_000_000
"""How far back it goes what is usual of the machine, and what is of the incident."""
_LONGEST_NS = 2 * 3600 * 1_000_000_000
_ELSEWHERE = 6
"""Times longer must calm last at operating points where the incident was not loud: 30 minutes by default, since loads
of up to twenty are common."""
_APART_NS = 30 * 1_000_000_000
_ECHOES = 2
"""Lengths of a window that a loud stretch outlasts which is no echo: controllers and heat swing back more slowly."""
_OTHER, _ALIKE = 0.65, 0.75
"""Cosine between the channels' shares below which a fault is another one, and from which on one that was over is back.
The first is lower, since the shares of a lasting fault change with its load."""
_USUAL = math.log(0.2)
"""Where a machine's normal score lies as long as it has hardly been watched; it counts for `_GUESS_NS`."""
_GUESS_NS = 300 * 1_000_000_000
_LEAST, _MOST = 0.02, 50.0
"""Scores beyond say no more."""

Delay = Annotated[float, Interval(ge=0, le=86_400)]


@dataclass(frozen=True, slots=True)
class OffDelays:
    """Seconds of calm after which an incident of each severity is over."""

    warning: Delay = 300.0
    major: Delay = 300.0
    critical: Delay = 300.0

    def of(self, severity: Severity) -> float:
        """Of an incident of this severity."""
        return {"major": self.major, "critical": self.critical}.get(severity, self.warning)


@dataclass(frozen=True, slots=True)
class OffDelaySettings:
    """When an incident is over.

    Attributes:
        off_delay_s: of each severity.
        reopen_s: what comes back so soon after the end is the same incident.
        release: score from which on a window tells where the incident is loud, see `trigger`.
    """

    off_delay_s: OffDelays = field(default_factory=OffDelays)
    reopen_s: float = 900.0
    release: float = 0.9


@dataclass(frozen=True, slots=True)
class Track:
    """One score, as logarithms: smoothed, what is usual of the machine, and what is of the incident."""

    now: float = _USUAL
    usual: float = _USUAL
    incident: float = _USUAL


@dataclass(frozen=True, slots=True)
class Bearers:
    """Which channels bear an incident: sums [C] of their shares in loud windows.

    Attributes:
        before: in earlier stretches of the trigger's alarm.
        stretch: in the present one.
        stretch_ns: how long that has lasted; apart: it began so long after the others that it may be another fault.
    """

    before: tuple[float, ...] = ()
    stretch: tuple[float, ...] = ()
    stretch_ns: int = 0
    apart: bool = False

    @property
    def sums(self) -> tuple[float, ...]:
        """In all stretches, [C]."""
        return _added(self.before, self.stretch)


@dataclass(frozen=True, slots=True)
class OffDelaySnapshot:
    """All that is remembered, to be written down and given back after a restart; its names are on disk.

    Attributes:
        window, newest: tracks of the whole window's score and of the newest rows'.
        usual_ns, incident_ns: how long these were watched.
        calm_ns, quiet_ns: for how long the score has been calm, and not loud.
        last_ns: time of the latest window of the incident.
        since_ns: of the first window of the present loud run; None where the score is not loud.
        closed_ns: when the last incident ended; None: none can be reopened.
        points: operating points where the latest incident was loud; none in what an older agent wrote.
    """

    phase: Phase = "normal"
    window: Track = field(default_factory=Track)
    newest: Track = field(default_factory=Track)
    usual_ns: int = _GUESS_NS
    incident_ns: int = 0
    calm_ns: int = 0
    quiet_ns: int = 0
    last_ns: int | None = None
    since_ns: int | None = None
    closed_ns: int | None = None
    bearers: Bearers = field(default_factory=Bearers)
    points: tuple[Level, ...] = ()


class ScoredWindow(NamedTuple):
    """What a window scored.

    Attributes:
        value: its score. recent: of its newest rows.
        shares: of each channel in the score, [C].
        time_ns: of its last row.
        level: at which operating point the machine is, [C]; empty: nobody knows, nor asks in peace.
    """

    value: float
    recent: float
    shares: Sequence[float]
    time_ns: int
    level: Level = ()


class OffDelay:
    """Remembers one machine's latest incident, and what is usual of the machine."""

    def __init__(self, settings: OffDelaySettings, *, grade: Callable[[], Severity]) -> None:
        """Begin in peace; `grade` tells the severity of the incident, as it was last said."""
        self._settings = settings
        self._grade = grade
        self.restore(OffDelaySnapshot())

    def adopt(self, settings: OffDelaySettings) -> None:
        """Go by other delays from the next window on."""
        self._settings = settings

    def save(self) -> OffDelaySnapshot:
        """What to give to `restore` so that the next states are the same."""
        return OffDelaySnapshot(
            phase=self.phase,
            window=self._window.save(),
            newest=self._newest.save(),
            usual_ns=self._usual_ns,
            incident_ns=self._incident_ns,
            calm_ns=self._calm_ns,
            quiet_ns=self._quiet_ns,
            last_ns=None if self.phase == "normal" else self._last_ns,
            since_ns=self.since_ns,
            closed_ns=self._closed_ns,
            bearers=self._bearers,
            points=self._points,
        )

    def restore(self, snapshot: OffDelaySnapshot) -> None:
        """Go on where another one stood."""
        self.phase: Phase = snapshot.phase
        self.since_ns = snapshot.since_ns
        self._window, self._newest = _Figures(snapshot.window), _Figures(snapshot.newest)
        self._usual_ns, self._incident_ns = snapshot.usual_ns, snapshot.incident_ns
        self._calm_ns, self._quiet_ns = snapshot.calm_ns, snapshot.quiet_ns
        self._last_ns, self._closed_ns = snapshot.last_ns, snapshot.closed_ns
        self._bearers, self._points = snapshot.bearers, snapshot.points
        self._run: tuple[float, ...] = ()  # shares summed over the loud windows that the trigger counts
        self._peaceful_ns = 0  # since what is usual was noted

    def dismiss(self) -> None:
        """The incident was something that is told elsewhere: it is over and does not come back."""
        self.phase, self._closed_ns = "normal", None

    def step(
        self, heard: TriggerState, window: ScoredWindow, *, trigger: Trigger, hop_ns: int, span_windows: int
    ) -> IncidentState:
        """Take in the next window.

        Args:
            heard: what the trigger says of it.
            window: what it scored.
            trigger: after it.
            hop_ns: time from one window to the next.
            span_windows: windows until every row of this one has been replaced: so long lasts the echo of an end.
        """
        value, recent, shares, time_ns, level = window
        before = time_ns - hop_ns if self._last_ns is None else self._last_ns
        passed = min(max(time_ns - before, 0), 2 * hop_ns)
        if time_ns < before:
            self._calm_ns = 0
        self._last_ns = time_ns
        self._note_run(heard, shares, time_ns=time_ns, counting=trigger.counting)
        if heard == "raised":
            state = self._raised(value, recent, passed, time_ns=time_ns)
            self._note_point(level, value, passed, afresh=state == "raised")
            return state
        if self.phase == "normal":
            if not trigger.counting:
                self._rest(value, recent, passed)
            return "normal"
        self._window.hear(value, passed)
        self._newest.hear(recent, passed)
        if heard == "active":
            self._bear(shares, passed)
            another = self._is_another(echo_ns=span_windows * hop_ns)
            self._note_point(level, value, passed, afresh=another)
            return self._begin_anew(passed) if another else self._loud(passed)
        elsewhere = is_elsewhere(level, self._points, bearers=self._bearers.sums)
        told = passed // _ELSEWHERE if elsewhere else passed
        return self._quiet(passed, calm=told, time_ns=time_ns, by_recent=trigger.seen_recent)

    def _note_run(
        self, heard: TriggerState, shares: Sequence[float], *, time_ns: int, counting: bool
    ) -> None:
        """When the present loud run began, with the first window that the trigger counts, and who bears it."""
        if heard == "cleared" or (heard == "normal" and not counting):
            self.since_ns, self._run = None, ()
            return
        if self.since_ns is None:
            self.since_ns = time_ns
        if heard != "active":
            self._run = _added(self._run, shares)

    def _note_point(self, level: Level, value: float, passed: int, *, afresh: bool) -> None:
        """Where a loud window was, and not one that only waits for the trigger's off-delay."""
        if afresh:
            self._points = ()
        if value >= self._settings.release:
            weight = min(passed / _SMOOTHED_NS, 1.0)
            self._points = with_level(self._points, level, bearers=self._bearers.sums, weight=weight)

    def _bear(self, shares: Sequence[float], passed: int) -> None:
        bearers = self._bearers
        self._bearers = replace(
            bearers, stretch=_added(bearers.stretch, shares), stretch_ns=bearers.stretch_ns + passed
        )

    def _is_another(self, *, echo_ns: int) -> bool:
        """Whether the present loud stretch is of another fault than those before it: asked once it is no echo."""
        bearers = self._bearers
        if not bearers.apart or bearers.stretch_ns <= _ECHOES * echo_ns:
            return False
        self._bearers = replace(
            bearers, apart=False
        )  # channels that change later are news of the same incident
        return _cosine(bearers.before, bearers.stretch) < _OTHER

    def _begin_anew(self, passed: int) -> IncidentState:
        """The present loud stretch is an incident of its own."""
        self._bearers = Bearers((), self._bearers.stretch, self._bearers.stretch_ns)
        self._incident_ns = 0
        self._loud(passed)
        return "raised"

    def _rest(self, value: float, recent: float, passed: int) -> None:
        """A window in peace: what is usual of the machine."""
        self._window.gather(value, passed)
        self._newest.gather(recent, passed)
        self._peaceful_ns += passed
        if self._peaceful_ns < _NOTED_NS:
            return
        self._usual_ns = min(self._usual_ns + self._peaceful_ns, _REMEMBERED_NS)
        for figures in (self._window, self._newest):
            figures.note_usual(self._peaceful_ns, of=self._usual_ns)
        self._peaceful_ns = 0

    def _raised(self, value: float, recent: float, passed: int, *, time_ns: int) -> IncidentState:
        """The first window of a loud stretch."""
        state: IncidentState = "raised"
        bearers = self._bearers
        after = Bearers(bearers.sums, self._run)
        if self.phase == "quiet":
            state = "returned"
            if self._quiet_ns >= _APART_NS:
                after = replace(after, apart=True)
            elif bearers.apart:  # the stretch that may be of another fault goes on
                after = replace(bearers, stretch=_added(bearers.stretch, self._run))
        else:
            self._window.begin()
            self._newest.begin()
            reopen_ns, closed_ns = self._settings.reopen_s * 1e9, self._closed_ns
            if (
                closed_ns is not None
                and abs(time_ns - closed_ns) <= reopen_ns
                and _cosine(after.before, self._run) >= _ALIKE
            ):
                state = "reopened"
            else:
                self._incident_ns, after = 0, Bearers((), self._run)
        self._bearers, self._run = after, ()
        self.phase = "loud"
        self._window.hear(value, passed)
        self._newest.hear(recent, passed)
        self._loud(passed)
        return state

    def _loud(self, passed: int) -> IncidentState:
        self._incident_ns = min(self._incident_ns + max(passed, 1), _REMEMBERED_NS)
        for figures in (self._window, self._newest):
            figures.note_incident(passed, of=self._incident_ns)
        return "active"

    def _quiet(self, passed: int, *, calm: int, time_ns: int, by_recent: bool) -> IncidentState:
        """A window that is not loud: `calm` is what it counts of the time passed, where its score is."""
        if self.phase == "loud":
            self.phase, self._calm_ns, self._quiet_ns = "quiet", 0, 0
        self._quiet_ns += passed
        figures = self._newest if by_recent else self._window
        self._calm_ns = self._calm_ns + calm if figures.calm() else 0
        delay_ns = self._settings.off_delay_s.of(self._grade()) * 1e9
        if self._calm_ns < delay_ns and self._quiet_ns < _LONGEST_NS:
            return "unsettled"
        self.phase, self._closed_ns = "normal", time_ns
        return "cleared"


class _Figures:
    """A track that moves."""

    def __init__(self, track: Track) -> None:
        self._now, self._usual, self._incident = track.now, track.usual, track.incident
        self._gathered = 0.0

    def save(self) -> Track:
        return Track(self._now, self._usual, self._incident)

    def gather(self, score: float, passed: int) -> None:
        self._gathered += _told(score) * passed

    def note_usual(self, passed: int, *, of: int) -> None:
        """What was gathered in the time that has passed is so much of what is usual."""
        self._usual += (self._gathered / passed - self._usual) * min(passed / of, 1.0)
        self._gathered = 0.0

    def begin(self) -> None:
        """An incident begins: smooth from what is usual on."""
        self._now = self._usual

    def hear(self, score: float, passed: int) -> None:
        self._now += (_told(score) - self._now) * -math.expm1(-passed / _SMOOTHED_NS)

    def note_incident(self, passed: int, *, of: int) -> None:
        self._incident += (self._now - self._incident) * min(passed / of, 1.0)

    def calm(self) -> bool:
        """Whether it is nearer to what is usual than to the incident."""
        return self._now < (self._usual + max(self._incident, self._usual)) / 2


def _added(sums: Sequence[float], shares: Sequence[float]) -> tuple[float, ...]:
    """Sums with some more; of other channels than before they begin afresh."""
    if len(sums) != len(shares):
        return tuple(shares) or tuple(sums)
    return tuple(one + more for one, more in zip(sums, shares, strict=True))


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """How alike two sums of shares are, 0 to 1; 1 where they cannot be compared."""
    size = math.hypot(*one) * math.hypot(*other)
    if len(one) != len(other) or size == 0.0:
        return 1.0
    return math.fsum(a * b for a, b in zip(one, other, strict=True)) / size


def _told(score: float) -> float:
    return math.log(min(max(score, _LEAST), _MOST))
