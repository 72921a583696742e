"""An alarm is never lost, whatever people do with it: a random plant, random people, and a reader who keeps books."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_agent.alarms.flood import FloodSettings
from edge_agent.alarms.lifecycle import AlarmLifecycle, LifecycleSettings
from edge_agent.alarms.maintenance import EVERY_MACHINE, MaintenanceWindow, Once
from edge_agent.alarms.state import (
    Acknowledgement,
    AlarmState,
    ClosedAlarm,
    KeptAlarms,
    Notification,
    Shelving,
    Suppression,
    decode,
    encode,
)
from edge_agent.records import Alarm, Severity

SECOND = 1_000_000_000
START_NS = 1_800_000_000 * SECOND
WINDOW_NS = (START_NS + 4000 * SECOND, START_NS + 8000 * SECOND)
MACHINES = ("pump-1", "pump-2", "mill")
CALLS, CALLS_S = 4, 600


def alarm(
    machine: str = "pump-1",
    *,
    number: int = 1,
    revision: int = 1,
    severity: Severity = "warning",
    at: int = 0,
) -> Alarm:
    return Alarm(
        id=f"{machine}-{number}",
        revision=revision,
        machine=machine,
        state="open",
        severity=severity,
        onset_ns=START_NS + at,
        time_ns=START_NS + at,
        score=1.5,
        peak_score=1.5,
        threshold=1.0,
        fault="unknown",
        fault_probability=0.0,
        channels=(),
        model="digest",
    )


def normal(opened: Alarm) -> Alarm:
    return replace(opened, state="closed", closed_ns=opened.time_ns, revision=opened.revision + 1)


@dataclass
class Story:
    """What a reader knows of one alarm."""

    revision: int = 0
    called: bool = False
    open: bool = True
    events: list[str] = field(default_factory=list)


class Reader:
    """Reads every revision; complains of what must not be."""

    def __init__(self) -> None:
        self.stories: dict[str, Story] = {}
        self.calls: list[tuple[int, bool]] = []

    def read(self, notifications: list[Notification], *, now_ns: int) -> None:
        for notification in notifications:
            story = self.stories.setdefault(notification.alarm.id, Story())
            assert story.open, "said after the end"
            assert notification.alarm.revision == story.revision + 1, "revisions have no gaps"
            assert notification.first == (notification.live and not story.called)
            assert (notification.event == "opened") == (story.revision == 0)
            hidden = notification.record.hidden
            if notification.alarm.state == "closed":
                assert notification.live == story.called, (
                    "whoever was called hears of the end, and nobody else"
                )
                story.open = False
            elif hidden and not story.called:
                assert not notification.live, "nobody is called for what is hidden"
            story.revision, story.called = notification.alarm.revision, story.called or notification.live
            story.events.append(notification.event)
            if notification.live and notification.event in (
                "opened",
                "unshelved",
                "unsuppressed",
                "released",
            ):
                self.calls.append((now_ns, notification.alarm.severity == "critical"))


class Plant(RuleBasedStateMachine):
    """Machines that break and recover, operators, a maintenance window, a clock, and crashes."""

    @initialize(latched=st.booleans(), flood=st.booleans())
    def begin(self, latched: bool, flood: bool) -> None:  # noqa: FBT001 - as hypothesis calls it
        limits = FloodSettings(agent_limit=CALLS if flood else 0, window_s=CALLS_S)
        self.settings = LifecycleSettings(latched=latched, history=20, flood=limits)
        self.windows = [MaintenanceWindow(frozenset({"mill"}), Once(*WINDOW_NS), "overhaul")]
        self.life = AlarmLifecycle(self.settings, windows=self.windows)
        self.reader = Reader()
        self.now_ns = START_NS
        self.number = 0
        self.active: dict[str, Alarm] = {}  # what the pipeline believes
        self.closed_ids: list[str] = []
        self.shelves: dict[str, tuple[int, int | None]] = {}
        self.suppressed: dict[str, tuple[int, int | None]] = {}
        self.set_back = False

    def say(self, notifications: list[Notification]) -> None:
        self.reader.read(notifications, now_ns=self.now_ns)

    def step(self) -> None:
        self.now_ns += SECOND

    # -- the plant -------------------------------------------------------------------------------------------

    @rule(machine=st.sampled_from(MACHINES), severity=st.sampled_from(["warning", "major", "critical"]))
    def break_down(self, machine: str, severity: Severity) -> None:
        self.step()
        if machine in self.active:
            latest = self.active[machine]
            new = replace(
                latest, revision=latest.revision + 1, severity=max(severity, latest.severity, key=GRAVE)
            )
        else:
            self.number += 1
            new = alarm(machine, number=self.number, severity=severity, at=self.number)
        self.active[machine] = new
        self.say(self.life.take_alarm(new, now_ns=self.now_ns))

    @rule(machine=st.sampled_from(MACHINES))
    def recover(self, machine: str) -> None:
        self.step()
        if machine in self.active:
            self.say(self.life.take_alarm(normal(self.active.pop(machine)), now_ns=self.now_ns))
            self.forget_one_shot(machine)

    @rule(machine=st.sampled_from(MACHINES))
    def learn_afresh(self, machine: str) -> None:
        self.step()
        had = self.life.state_of(machine) is not None
        self.active.pop(machine, None)
        self.say(self.life.end_alarms(machine))
        if had:
            self.forget_one_shot(machine)

    def forget_one_shot(self, machine: str) -> None:
        if machine in self.shelves and self.shelves[machine][1] is None:
            del self.shelves[machine]

    # -- people ----------------------------------------------------------------------------------------------

    @rule(pick=st.integers(0, 1000))
    def acknowledge(self, pick: int) -> None:
        self.step()
        known = [r.alarm.id for r in self.life.kept.records.values()]
        known += [past.id for past in self.life.kept.history]
        if known:
            seen = Acknowledgement("anna", self.now_ns)
            alarm_id = known[pick % len(known)]
            self.say(self.life.acknowledge(alarm_id, seen, now_ns=self.now_ns))
            found = self.life.find_alarm(alarm_id)
            assert found is not None
            assert found.acknowledgement is not None

    @rule(machine=st.sampled_from(MACHINES), for_s=st.none() | st.integers(2, 3000))
    def shelve(self, machine: str, for_s: int | None) -> None:
        self.step()
        if for_s is None and machine not in self.active:
            return
        end_ns = None if for_s is None else self.now_ns + for_s * SECOND
        self.shelves[machine] = (self.now_ns, end_ns)
        self.say(self.life.shelve(machine, Shelving("anna", self.now_ns, end_ns), now_ns=self.now_ns))

    @rule(machine=st.sampled_from(MACHINES))
    def unshelve(self, machine: str) -> None:
        self.step()
        self.shelves.pop(machine, None)
        self.say(self.life.unshelve(machine, now_ns=self.now_ns))

    @rule(machine=st.sampled_from((*MACHINES, EVERY_MACHINE)), for_s=st.none() | st.integers(2, 3000))
    def suppress(self, machine: str, for_s: int | None) -> None:
        self.step()
        end_ns = None if for_s is None else self.now_ns + for_s * SECOND
        self.suppressed[machine] = (self.now_ns, end_ns)
        self.say(self.life.suppress(machine, Suppression("boris", self.now_ns, end_ns), now_ns=self.now_ns))

    @rule(machine=st.sampled_from((*MACHINES, EVERY_MACHINE)))
    def unsuppress(self, machine: str) -> None:
        self.step()
        self.suppressed.pop(machine, None)
        self.say(self.life.unsuppress(machine, now_ns=self.now_ns))

    # -- time and power --------------------------------------------------------------------------------------

    @rule(wait_s=st.integers(1, 4000))
    def wait(self, wait_s: int) -> None:
        self.now_ns += wait_s * SECOND

    @rule(back_s=st.integers(1, 4000))
    def set_the_clock_back(self, back_s: int) -> None:
        self.now_ns -= back_s * SECOND
        self.set_back = True

    @rule()
    def crash_and_go_on(self) -> None:
        raw = encode(self.life.kept)
        kept = decode(raw)
        assert kept == self.life.kept
        assert kept is not None
        assert encode(kept) == raw
        self.step()
        self.life = AlarmLifecycle(self.settings, windows=self.windows, kept=kept)
        self.say(self.life.reconcile({a.id for a in self.active.values()}, now_ns=self.now_ns))

    @precondition(lambda self: self.active)
    @rule()
    def crash_and_forget_what_was_open(self) -> None:
        for machine in self.active:
            self.forget_one_shot(machine)
        self.active.clear()
        self.crash_and_go_on()

    # -- what must hold --------------------------------------------------------------------------------------

    def masked(self, machine: str) -> bool:
        def lasts(entry: tuple[int, int | None] | None) -> bool:
            return entry is not None and (entry[1] is None or self.now_ns < entry[1])

        in_window = machine == "mill" and WINDOW_NS[0] <= self.now_ns < WINDOW_NS[1]
        quiet = (self.shelves.get(machine), self.suppressed.get(machine), self.suppressed.get(EVERY_MACHINE))
        return in_window or any(map(lasts, quiet))

    def as_of_now(
        self, table: dict[str, tuple[int, int | None]]
    ) -> Iterator[tuple[str, tuple[int, int | None]]]:
        """Entries that last; one that begins in the future of a clock set back begins now."""
        for name, (since, until) in table.items():
            if until is None or since <= self.now_ns < until:
                yield name, (since, until)
            elif self.now_ns < since:
                yield name, (self.now_ns, self.now_ns + until - since)

    @invariant()
    def nothing_is_lost_or_impossible(self) -> None:
        self.now_ns += SECOND
        self.say(self.life.tick(self.now_ns))
        self.shelves = dict(self.as_of_now(self.shelves))
        self.suppressed = dict(self.as_of_now(self.suppressed))
        records = self.life.kept.records
        open_stories = {name for name, story in self.reader.stories.items() if story.open}
        assert {record.alarm.id for record in records.values()} == open_stories
        assert {m: r.alarm.id for m, r in records.items() if r.active} == {
            m: a.id for m, a in self.active.items()
        }
        for machine, record in records.items():
            assert record.alarm.state == "open"
            assert record.active or (self.settings.latched and record.acknowledgement is None)
            assert record.masked == self.masked(machine)
            assert record.told == self.reader.stories[record.alarm.id].called
            assert record.told or record.hidden, "an alarm that nothing hides was called"
            assert not record.held or (
                self.settings.flood.agent_limit and record.alarm.severity != "critical"
            )
        assert len(self.life.kept.history) <= self.settings.history

    @invariant()
    def calls_stay_within_the_limit(self) -> None:
        if not self.settings.flood.agent_limit or self.set_back:
            return
        recent = [grave for at, grave in self.reader.calls if at > self.now_ns - CALLS_S * SECOND]
        assert sum(not grave for grave in recent) <= CALLS


def GRAVE(severity: str) -> int:  # noqa: N802 - reads as the key that it is
    return ("warning", "major", "critical").index(severity)


TestPlant = Plant.TestCase
TestPlant.settings = settings(max_examples=60, stateful_step_count=40)


# -- single stories, in words ------------------------------------------------------------------------------------


def new(**limits: float) -> AlarmLifecycle:
    return AlarmLifecycle(LifecycleSettings(flood=FloodSettings(**limits)))  # type: ignore[arg-type]


def said(notifications: list[Notification]) -> list[tuple[str, bool]]:
    return [(notification.event, notification.live) for notification in notifications]


def test_a_shelved_alarm_is_tracked_in_silence_and_raised_again_when_shelving_ends() -> None:
    life, at_ns = new(), START_NS
    life.shelve("pump-1", Shelving("anna", at_ns, at_ns + 60 * SECOND), now_ns=at_ns)
    assert said(life.take_alarm(alarm(), now_ns=at_ns + SECOND)) == [("opened", False)]
    assert said(life.take_alarm(alarm(revision=2), now_ns=at_ns + 2 * SECOND)) == [("updated", False)]
    assert life.tick(at_ns + 59 * SECOND) == []
    raised = life.tick(at_ns + 60 * SECOND)
    assert said(raised) == [("unshelved", True)]
    assert raised[0].first


def test_an_alarm_that_was_called_is_marked_when_shelved_and_closed_aloud() -> None:
    life = new()
    life.take_alarm(alarm(), now_ns=START_NS)
    assert said(life.shelve("pump-1", Shelving("anna", START_NS, None), now_ns=START_NS)) == [
        ("shelved", True)
    ]
    assert said(life.take_alarm(alarm(revision=2), now_ns=START_NS)) == [("updated", False)]
    assert said(life.take_alarm(normal(alarm()), now_ns=START_NS)) == [("closed", True)]
    assert said(life.take_alarm(alarm(number=2), now_ns=START_NS)) == [("opened", True)], "once is once"


def test_an_acknowledged_alarm_that_grows_worse_wants_to_be_seen_again() -> None:
    life = new()
    life.take_alarm(alarm(), now_ns=START_NS)
    life.acknowledge("pump-1-1", Acknowledgement("anna", START_NS), now_ns=START_NS)
    life.take_alarm(alarm(revision=2), now_ns=START_NS)
    record = life.state_of("pump-1")
    assert record is not None
    assert record.acknowledgement is not None
    life.take_alarm(alarm(revision=3, severity="major"), now_ns=START_NS)
    record = life.state_of("pump-1")
    assert record is not None
    assert record.acknowledgement is None


def test_a_latched_alarm_stays_until_somebody_has_seen_it() -> None:
    life = AlarmLifecycle(LifecycleSettings(latched=True))
    life.take_alarm(alarm(), now_ns=START_NS)
    (latched,) = life.take_alarm(normal(alarm()), now_ns=START_NS)
    assert (latched.event, latched.alarm.state, latched.record.active) == ("latched", "open", False)
    (ended,) = life.acknowledge("pump-1-1", Acknowledgement("anna", START_NS), now_ns=START_NS)
    assert (ended.event, ended.alarm.state, ended.live) == ("acknowledged", "closed", True)
    assert ended.alarm.closed_ns == normal(alarm()).closed_ns, "the machine was calm then, not now"


def test_a_new_alarm_ends_the_latched_one_aloud() -> None:
    life = AlarmLifecycle(LifecycleSettings(latched=True))
    life.take_alarm(alarm(), now_ns=START_NS)
    life.take_alarm(normal(alarm()), now_ns=START_NS)
    assert said(life.take_alarm(alarm(number=2), now_ns=START_NS)) == [("superseded", True), ("opened", True)]


def test_a_flood_is_held_counted_and_released_oldest_first() -> None:
    life = new(agent_limit=2, window_s=600)
    opened = [life.take_alarm(alarm(f"m{n}", at=n), now_ns=START_NS + n) for n in range(5)]
    assert [notification.live for (notification,) in opened] == [True, True, False, False, False]
    assert [record.alarm.machine for record in life.held_alarms()] == ["m2", "m3", "m4"]
    (grave,) = life.take_alarm(alarm("m9", severity="critical"), now_ns=START_NS + 9)
    assert grave.live, "a critical alarm is never held"
    life.take_alarm(normal(alarm("m3", at=3)), now_ns=START_NS + 10)
    released = life.tick(START_NS + 700 * SECOND)
    assert [(t.event, t.alarm.machine) for t in released] == [("released", "m2"), ("released", "m4")]
    assert life.kept.held_total == 3


def test_one_machine_that_flaps_does_not_use_up_the_calls_of_the_others() -> None:
    life = new(agent_limit=0, machine_limit=2, window_s=600)
    lives = []
    for number in range(4):
        (opened,) = life.take_alarm(alarm(number=number), now_ns=START_NS + number)
        lives.append(opened.live)
        life.take_alarm(normal(alarm(number=number)), now_ns=START_NS + number)
    assert lives == [True, True, False, False]
    assert life.take_alarm(alarm("mill"), now_ns=START_NS)[0].live


def test_a_closing_that_nobody_remembers_is_still_told() -> None:
    (told,) = new().take_alarm(normal(alarm(revision=6)), now_ns=START_NS)
    assert (told.alarm.revision, told.alarm.state, told.live) == (7, "closed", True)


def test_a_clock_that_is_set_back_does_not_stretch_shelving() -> None:
    life = new()
    life.shelve("pump-1", Shelving("anna", START_NS, START_NS + 60 * SECOND), now_ns=START_NS)
    long_ago = START_NS - 10**6 * SECOND
    assert life.shelving_of("pump-1", now_ns=long_ago) is not None
    assert life.shelving_of("pump-1", now_ns=long_ago + 60 * SECOND) is None


def test_closed_alarms_can_be_acknowledged_while_they_are_remembered() -> None:
    life = AlarmLifecycle(LifecycleSettings(history=2))
    for number in range(3):
        life.take_alarm(alarm(number=number), now_ns=START_NS)
        life.take_alarm(normal(alarm(number=number)), now_ns=START_NS)
    assert life.find_alarm("pump-1-0") is None
    assert life.acknowledge("pump-1-2", Acknowledgement("anna", START_NS), now_ns=START_NS) == []
    past = life.find_alarm("pump-1-2")
    assert isinstance(past, ClosedAlarm)
    assert past.acknowledgement is not None


@pytest.mark.parametrize(
    "raw", [b"", b"\x00", b"\xff" * 50, encode(KeptAlarms(version=99)), encode(KeptAlarms())[:-3]]
)
def test_damaged_memories_are_refused_whole(raw: bytes) -> None:
    assert decode(raw) is None


def test_counts_say_what_is_there() -> None:
    life = new()
    life.take_alarm(alarm(), now_ns=START_NS)
    life.take_alarm(alarm("mill"), now_ns=START_NS)
    life.acknowledge("mill-1", Acknowledgement("anna", START_NS), now_ns=START_NS)
    life.shelve("mill", Shelving("anna", START_NS, None), now_ns=START_NS)
    counts = {"unacknowledged": 1, "acknowledged": 1, "shelved": 1, "suppressed": 0, "held": 0, "latched": 0}
    assert life.counts() == counts
    assert isinstance(life.find_alarm("mill-1"), AlarmState)


def test_other_settings_count_from_the_next_tick_and_forget_nothing() -> None:
    life = AlarmLifecycle(LifecycleSettings(latched=True))
    life.take_alarm(alarm(), now_ns=START_NS)
    assert [record.hidden for record in life.kept.records.values()] == [False]
    window = MaintenanceWindow(
        machines=frozenset((EVERY_MACHINE,)), when=Once(START_NS, START_NS + 100 * SECOND), note="oil"
    )
    life.adopt(LifecycleSettings(), windows=[window])
    life.tick(START_NS + 1)  # not a second later, yet by the new windows
    (record,) = life.kept.records.values()
    assert record.hidden
    ended = life.take_alarm(normal(alarm(revision=2)), now_ns=START_NS + 200 * SECOND)
    assert [notification.alarm.state for notification in ended] == ["closed"]  # not latched any more
