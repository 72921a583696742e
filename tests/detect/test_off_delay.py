"""One incident from first sign to final calm: what is unsettled, what comes back, and what is another incident."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest

from edge_agent.detect.off_delay import (
    IncidentState,
    OffDelay,
    OffDelays,
    OffDelaySettings,
    OffDelaySnapshot,
    ScoredWindow,
)
from edge_agent.detect.operating_point import Level
from edge_agent.detect.trigger import Trigger, TriggerSettings
from edge_agent.records import Severity

SECOND = 1_000_000_000
SPAN = 16
LEAK, BEARING = (0.9, 0.1, 0.0), (0.0, 0.1, 0.9)
RULES = OffDelaySettings(OffDelays(warning=120.0, major=120.0, critical=240.0), reopen_s=300.0)


@dataclass
class Machine:
    """One window a second, through trigger and off-delay."""

    settings: OffDelaySettings = RULES
    now_s: int = 0
    said: list[tuple[int, IncidentState]] = field(default_factory=list)
    severity: Severity = "warning"
    level: Level = ()
    trigger: Trigger = field(default_factory=lambda: Trigger(TriggerSettings(on_delay_windows=6)))

    def __post_init__(self) -> None:
        self.life = OffDelay(self.settings, grade=lambda: self.severity)

    def goes(
        self, seconds: int, score: float = 0.1, *, shares: Sequence[float] = LEAK
    ) -> list[IncidentState]:
        """So long at this score; what it changed."""
        told: list[IncidentState] = []
        for _ in range(seconds):
            self.now_s += 1
            heard = self.trigger.step(score, recent=score, span_windows=SPAN)
            window = ScoredWindow(score, score, shares, self.now_s * SECOND, self.level)
            state = self.life.step(heard, window, trigger=self.trigger, hop_ns=SECOND, span_windows=SPAN)
            if not told or told[-1] != state:
                told.append(state)
        return told


@pytest.fixture
def machine() -> Machine:
    quiet = Machine()
    quiet.goes(1200)
    return quiet


def test_an_incident_begins_with_the_first_loud_window_not_with_the_sixth(machine: Machine) -> None:
    machine.goes(4, 2.0)
    machine.goes(10)
    began_s = machine.now_s + 1
    assert machine.goes(6, 2.0) == ["normal", "raised"]
    assert machine.life.since_ns == began_s * SECOND


def test_it_is_unsettled_until_it_has_been_calm_for_the_off_delay(machine: Machine) -> None:
    machine.goes(300, 2.0)
    assert machine.goes(100) == ["active", "unsettled"]
    assert machine.goes(200) == ["unsettled", "cleared", "normal"]


def test_the_off_delay_is_that_of_the_severity(machine: Machine) -> None:
    machine.severity = "critical"
    machine.goes(300, 8.0)
    assert "cleared" not in machine.goes(250)
    assert "cleared" in machine.goes(200)


def test_what_comes_back_while_it_is_unsettled_is_the_same_incident(machine: Machine) -> None:
    machine.goes(300, 2.0)
    for _ in range(5):
        assert machine.goes(60) == ["active", "unsettled"]
        assert machine.goes(60, 2.0) == ["unsettled", "returned", "active"]


def hovering() -> Machine:
    """After a fault far above what is usual, its trigger's release just as high: hovers nearer to the fault."""
    machine = Machine()
    machine.goes(1200, 0.5)
    machine.goes(600, 20.0)
    machine.trigger.adopt(TriggerSettings(on_delay_windows=6, release=6.0))
    return machine


def test_a_score_that_hovers_nearer_to_the_fault_than_to_peace_is_not_calm() -> None:
    machine = hovering()
    machine.goes(20, 0.5)
    assert machine.goes(900, 0.99) == ["unsettled", "cleared", "normal"]
    machine = hovering()
    for _ in range(100):
        machine.goes(4, 0.5)
        assert machine.goes(5, 30.0)[-1] in ("active", "unsettled")


def test_an_incident_is_over_after_two_hours_without_a_loud_stretch_wherever_its_score_hovers() -> None:
    machine = hovering()
    machine.goes(60, 0.5)
    told: list[IncidentState] = []
    for _ in range(820):
        told += [*machine.goes(4, 0.5), *machine.goes(5, 30.0)]
    assert told.count("cleared") == 1


FULL_LOAD, IDLE = (3.0, 1.0, 1.0), (0.0, -1.0, -1.0)


def test_calm_where_the_fault_would_not_show_counts_a_sixth(machine: Machine) -> None:
    machine.level = FULL_LOAD
    machine.goes(300, 2.0)
    machine.level = IDLE
    assert "cleared" not in machine.goes(600)
    assert "cleared" in machine.goes(300)


def test_calm_where_the_incident_was_loud_ends_it_after_the_off_delay(machine: Machine) -> None:
    machine.level = FULL_LOAD
    machine.goes(300, 2.0)
    machine.level = IDLE
    assert "cleared" not in machine.goes(200)
    machine.level = (-2.0, *FULL_LOAD[1:])  # what the fault had moved has come back, nothing else differs
    assert "cleared" in machine.goes(150)


def test_another_incident_keeps_its_own_operating_points(machine: Machine) -> None:
    machine.level = FULL_LOAD
    machine.goes(300, 2.0)
    machine.goes(80)
    machine.level = IDLE
    machine.goes(60, 2.0, shares=BEARING)
    assert machine.life.save().points == (IDLE,)


def test_the_same_fault_soon_after_the_end_reopens_and_later_does_not(machine: Machine) -> None:
    machine.goes(300, 2.0)
    machine.goes(400)
    assert "reopened" in machine.goes(60, 2.0)
    machine.goes(900)
    assert "raised" in machine.goes(60, 2.0)


def test_another_fault_soon_after_the_end_is_another_incident(machine: Machine) -> None:
    machine.goes(300, 2.0)
    machine.goes(400)
    assert "raised" in machine.goes(60, 2.0, shares=BEARING)


def test_another_fault_while_it_is_unsettled_is_another_incident_once_it_is_no_echo(machine: Machine) -> None:
    machine.goes(300, 2.0)
    machine.goes(80)
    began_s = machine.now_s + 1
    assert machine.goes(20, 2.0, shares=BEARING) == ["unsettled", "returned", "active"]
    assert machine.goes(60, 2.0, shares=BEARING) == ["active", "raised", "active"]
    assert machine.life.since_ns == began_s * SECOND


def test_the_echo_of_an_end_and_channels_that_change_in_a_loud_stretch_raise_nothing(
    machine: Machine,
) -> None:
    machine.goes(300, 2.0)
    assert machine.goes(300, 2.0, shares=BEARING) == ["active"]
    machine.goes(40)
    assert "raised" not in machine.goes(SPAN, 2.0, shares=(0.0, 1.0, 0.0))
    assert "raised" not in machine.goes(600)


def test_time_without_windows_is_no_calm(machine: Machine) -> None:
    machine.goes(300, 2.0)
    machine.goes(60)
    machine.now_s += 3600
    assert machine.goes(20) == ["unsettled"]


def test_a_clock_that_is_set_back_begins_the_delay_anew(machine: Machine) -> None:
    machine.goes(300, 2.0)
    machine.goes(100)
    machine.now_s -= 600
    assert machine.goes(60) == ["unsettled"]
    assert machine.goes(120)[-1] == "normal"


def test_an_incident_that_is_written_down_after_any_window_goes_on_as_if_nothing_had_happened() -> None:
    course = [(700, 0.1), (90, 2.0), (50, 0.1), (40, 3.0), (400, 0.1), (60, 2.0), (30, 0.1)]
    whole, parted = Machine(), Machine()
    for seconds, score in course:
        parted_life = msgspec.msgpack.encode(parted.life.save())
        if parted.life.phase != "normal":
            parted.life = OffDelay(RULES, grade=lambda: "warning")
            parted.life.restore(msgspec.msgpack.decode(parted_life, type=OffDelaySnapshot))
        whole.level = parted.level = FULL_LOAD if score > 1.0 else IDLE
        assert parted.goes(seconds, score) == whole.goes(seconds, score)


def test_a_machine_in_peace_has_nothing_to_be_written_down(machine: Machine) -> None:
    before = machine.life.save()
    machine.goes(300, 0.2)
    assert machine.life.save() == before
    machine.goes(400, 0.2)
    assert machine.life.save() != before


def test_a_shorter_off_delay_counts_from_the_next_window_on(machine: Machine) -> None:
    machine.goes(300, 2.0)
    machine.goes(100)
    machine.life.adopt(OffDelaySettings(OffDelays(10.0, 10.0, 10.0), reopen_s=0.0))
    assert machine.goes(60)[-1] == "normal"
