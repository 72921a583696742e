"""A machine's own names for its faults: what operators called its alarms, and what the next one is called. Pure.

The windows of an alarm are kept, thinned, while it is open and for the last few that have closed; whoever drives this
may put those elsewhere, see `alarm_windows`. Naming an alarm makes a `Case` of them, and all cases are learnt anew:
a fraction of a second, no network.

Axes: B windows, C channels, T rows, F numbers of a window, K faults, W windows of a case.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

import numpy as np
from annotated_types import Interval
from numpy.typing import NDArray

from edge_agent.detect.cycle_scores import knows_cycles
from edge_agent.diagnose import classifier, cycle_description
from edge_agent.diagnose.alarm_windows import AlarmWindows
from edge_agent.diagnose.fault_library import Case, FaultLibrary
from edge_agent.records import Float32, Profile

UNKNOWN = "unknown"
NAME_LIMIT_CHARS = 64
_RESERVED = frozenset({UNKNOWN, "normal"})
_LEARNT_WINDOWS = 120
"""Of all cases together, shared among them: learning stays a matter of tenths of a second on a gateway."""
_LEAST_PROBABILITY = 1e-2
"""A single window cannot rule a name out for the rest of an alarm."""
_NAMED_FROM = 0.5
"""Evidence from which on a fault is named: on simulated machines it is the share of alarms whose best name is right."""
_HELD_SHARE = 0.5
"""A name once said is taken back only when its evidence falls below this share of what saying it took."""
_SEED = 0
"""Of everything random in learning: the same cases give the same names."""

RefusalReason = Literal["malformed", "unknown_machine", "unknown_alarm", "not_available", "too_many"]
"""Why a name was not taken; bounded, so that it can be counted."""


@dataclass(frozen=True, slots=True)
class NamingSettings:
    """How much is kept of what people call a machine's faults: the section `[naming]`, with its defaults and bounds.

    Attributes:
        faults: different names.
        cases: named alarms; beyond it the oldest of the name that has most is forgotten.
        recent_alarms: closed alarms that can still be named.
    """

    faults: Annotated[int, Interval(ge=1, le=200)] = 20
    cases: Annotated[int, Interval(ge=1, le=1000)] = 60
    recent_alarms: Annotated[int, Interval(ge=0, le=100)] = 5


@dataclass(frozen=True, slots=True)
class Refused:
    """A name that was not taken, and why in words."""

    reason: RefusalReason
    detail: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one source says of one window.

    Attributes:
        names: K faults.
        probability: [K] of each, given that it is one of them.
        known: how surely it is one of them, 0 to 1.
        least: evidence from which on a name is said.
    """

    names: tuple[str, ...]
    probability: Float32
    known: float
    least: float


@dataclass(frozen=True, slots=True)
class BeliefState:
    """All that a `Belief` remembers, as plain values: [K] sums of weighted logarithms, and scalars."""

    names: tuple[str, ...]
    said: str
    log: tuple[float, ...]
    known: float
    weight: float
    windows: int


class Belief:
    """What one source has said since an alarm opened: the name does not flicker from window to window.

    Windows that overlap are no independent witnesses, so their logarithms are averaged rather than added, each
    with the weight that it knew anything at all.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._said = UNKNOWN
        self._log = np.zeros(len(names))
        self._known = 0.0
        self._weight = 0.0
        self._windows = 0

    def save(self) -> BeliefState:
        """What to give to `restore`, so that the next windows are taken in as if nothing had been between."""
        log = tuple(self._log.tolist())
        return BeliefState(self.names, self._said, log, self._known, self._weight, self._windows)

    @classmethod
    def restore(cls, state: BeliefState) -> Self:
        """Go on where another belief stood."""
        belief = cls(state.names)
        belief._said, belief._log = state.said, np.array(state.log)
        belief._known, belief._weight, belief._windows = state.known, state.weight, state.windows
        return belief

    def add(self, opinion: Opinion) -> tuple[str, float]:
        """Take a window in; the fault's name now ("unknown" where evidence is too small) and its probability."""
        weight = opinion.known + _LEAST_PROBABILITY
        self._log += weight * np.log(np.maximum(opinion.probability, _LEAST_PROBABILITY))
        self._weight += weight
        self._known += opinion.known
        self._windows += 1
        pooled = np.exp(self._log / self._weight)
        evidence = pooled / pooled.sum() * (self._known / self._windows)
        best = int(np.argmax(evidence))
        if evidence[best] >= opinion.least:
            self._said = self.names[best]
        held = self.names.index(self._said) if self._said != UNKNOWN else best
        if evidence[held] < _HELD_SHARE * opinion.least:
            self._said = UNKNOWN
        return self._said, float(evidence[held])


class FaultNaming:
    """One machine's kept alarms, named alarms, and what was learnt from them."""

    def __init__(self, machine: str, settings: NamingSettings) -> None:
        self.library = FaultLibrary(machine)
        self._settings = settings
        self._kept: OrderedDict[str, AlarmWindows] = OrderedDict()
        self._profile: Profile | None = None
        self._faults: classifier.Faults | None = None

    def install(self, library: FaultLibrary) -> None:
        """Begin with what was named before."""
        self.library = library
        self._learn()

    def arrange(self, profile: Profile) -> None:
        """The machine was learnt (anew): its faults are seen relative to this memory from now on."""
        self._profile = profile
        self._learn()

    def keep(self, alarm: str, window: Float32, *, end_row: int, time_ns: int = 0) -> None:
        """Remember a window [C, T] of an alarm that is open, and when it ended."""
        if self._profile is None:
            return
        kept = self._kept.get(alarm)
        if kept is None or not kept.takes(window, self._profile.channels):
            kept = AlarmWindows(self._profile.channels)
        kept.add(window, end_row)
        kept.start_ns, kept.end_ns = kept.start_ns or time_ns, time_ns
        self.take_up(alarm, kept)

    @property
    def kept(self) -> Mapping[str, AlarmWindows]:
        """Windows by alarm, of those that can be named, oldest first."""
        return self._kept

    def take_up(self, alarm: str, kept: AlarmWindows) -> None:
        """Have these windows of an alarm; those of the oldest go where there are too many."""
        self._kept[alarm] = kept
        while len(self._kept) > self._settings.recent_alarms + 1:
            self._kept.popitem(last=False)

    def judge(self, windows: Float32) -> list[Opinion] | None:
        """Which of the machine's faults each of windows [B, C, T] looks like; None where none was ever named."""
        if self._faults is None or self._profile is None or not len(windows):
            return None
        described = _described(self._profile.memory, windows)
        probability, known = classifier.classify(self._faults, described)
        return [
            Opinion(self.library.faults, each, sure, _NAMED_FROM)
            for each, sure in zip(probability, known.tolist(), strict=True)
        ]

    def resembled(self, alarm: str) -> str:
        """The named fault that an alarm is, or looks like by its kept windows; "unknown" where it is none.

        Raises:
            OSError: the windows cannot be read.
        """
        for case in self.library.cases:
            if case.alarm == alarm:
                return case.fault
        kept = self._kept.get(alarm)
        opinions = None if kept is None else self.judge(kept.stacked())
        found = UNKNOWN
        if opinions:
            belief = Belief(opinions[0].names)
            for opinion in opinions:
                found, _ = belief.add(opinion)
        return found

    def name(self, alarm: str, fault: str) -> FaultLibrary | Refused:
        """Call an alarm that is open or closed not long ago by its fault, and learn that; a later name replaces it."""
        wanted = fault.strip()
        if not is_name(wanted):
            told = f"a fault's name has 1 to {NAME_LIMIT_CHARS} printable characters and is not 'unknown' or 'normal'"
            return Refused("malformed", told)
        if self._profile is None:
            return Refused("not_available", "the machine has not been learnt yet")
        others = tuple(case for case in self.library.cases if case.alarm != alarm)
        case = self._case_of(alarm)
        if isinstance(case, Refused):
            return case
        if case is None:
            return Refused("unknown_alarm", f"no alarm {alarm!r} is open or among the last that closed")
        spelt = next((one for one in self.library.faults if one.casefold() == wanted.casefold()), wanted)
        named = replace(case, fault=spelt)
        if len({one.fault for one in (*others, named)}) > self._settings.faults:
            return Refused("too_many", f"{self._settings.faults} faults are known; none was added")
        self.library = FaultLibrary(self.library.machine, self._bounded((*others, named)))
        self._learn()
        return self.library

    def has(self, alarm: str) -> bool:
        """Whether the alarm can be named."""
        return alarm in self._kept or any(case.alarm == alarm for case in self.library.cases)

    def _case_of(self, alarm: str) -> Case | Refused | None:
        """The alarm's windows, kept lately or named before; refused where they cannot be read."""
        kept, refused = self._kept.get(alarm), None
        if kept is not None:
            try:
                windows = kept.stacked()
            except OSError as error:
                why = error.strerror or str(error)
                refused = Refused("not_available", f"the windows of alarm {alarm!r} cannot be read: {why}")
            else:
                return Case(alarm, UNKNOWN, kept.channels, windows, kept.start_ns, kept.end_ns)
        return next((case for case in self.library.cases if case.alarm == alarm), refused)

    def _bounded(self, cases: tuple[Case, ...]) -> tuple[Case, ...]:
        while len(cases) > self._settings.cases:
            names = [case.fault for case in cases]
            fullest = max(names, key=names.count)
            cases = cases[: (at := names.index(fullest))] + cases[at + 1 :]
        return cases

    def _learn(self) -> None:
        self._faults = None
        if self._profile is None or not self.library.cases:
            return
        memory, channels = self._profile.memory, self._profile.channels
        described = [_described(memory, _in_order(case, channels)) for case in self.library.cases]
        pairs = self._neighbours(described)
        most = max(1, _LEARNT_WINDOWS // len(described))
        described = [
            part[np.linspace(0, len(part) - 1, min(most, len(part))).astype(int)] for part in described
        ]
        counts = [len(part) for part in described]
        of_case = [self.library.faults.index(case.fault) for case in self.library.cases]
        self._faults = classifier.learn(
            np.concatenate(described),
            np.repeat(of_case, counts),
            groups=np.repeat(np.arange(len(counts)), counts),
            normal=cycle_description.normal_of(memory)
            if knows_cycles(memory)
            else classifier.normal_of(memory),
            pairs=pairs,
            seed=_SEED,
        )

    def _neighbours(self, described: Sequence[Float32]) -> Float32 | None:
        """Steps in time within the named alarms, and within those that nobody has named: [P, 2, F]."""
        assert self._profile is not None  # noqa: S101 - the caller has seen it
        named = {case.alarm for case in self.library.cases}
        parts = list(described)
        for alarm, kept in self._kept.items():
            if alarm in named or kept.channels != self._profile.channels:
                continue
            try:
                windows = kept.stacked()
            except OSError:  # less is learnt; naming this alarm itself says why
                continue
            parts.append(_described(self._profile.memory, windows))
        pairs = [np.stack([part[:-1], part[1:]], axis=1) for part in parts if len(part) > 1]
        return np.concatenate(pairs) if pairs else None


def _described(memory: Mapping[str, NDArray[Any]], windows: Float32) -> Float32:
    """What is seen of windows [B, C, T] of a machine, or of its cycles: [B, F]."""
    if knows_cycles(memory):
        return cycle_description.describe(memory, windows)
    return classifier.describe(memory, windows, None)


def head_opinion(classes: Float32, labels: tuple[str, ...], *, least: float) -> Opinion | None:
    """What a fine-tuned head says: classes [K + 1] of which the first is "normal"; None where there is no head."""
    if len(labels) < 2:
        return None
    share = classes[1:] / max(float(classes[1:].sum()), 1e-9)
    return Opinion(labels[1:], share, min(max(1.0 - float(classes[0]), 0.0), 1.0), least)


def _in_order(case: Case, channels: tuple[str, ...]) -> Float32:
    """The case's windows with the machine's present channels; one that it had not is hidden."""
    if case.channels == channels:
        return case.windows
    windows = np.full((len(case.windows), len(channels), case.windows.shape[2]), np.nan, np.float32)
    for at, name in enumerate(channels):
        if name in case.channels:
            windows[:, at] = case.windows[:, case.channels.index(name)]
    return windows


def is_name(text: str) -> bool:
    """Whether people may call a fault so."""
    return 0 < len(text) <= NAME_LIMIT_CHARS and text.isprintable() and text.casefold() not in _RESERVED
