"""Whom an alarm is for, and when."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from edge_agent.alarms.maintenance import Weekly, to_ns
from edge_agent.alarms.state import AlarmState, Shelving
from edge_agent.notify.rules import NotifyRule
from edge_agent.signals.machine_rules import MachineFacts
from tests.support.calls import T0, S, open_alarm

HALL = MachineFacts(location="hall 3, line 1")


def wants(record: AlarmState, *, now_ns: int = T0, **rule: object) -> bool:
    return NotifyRule(name="r", **rule).wants(record, HALL, now_ns=now_ns)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "called"),
    [
        ({}, True),
        ({"severity": "major"}, True),
        ({"severity": "critical"}, False),
        ({"machines": ("pump-*", "press-*")}, True),
        ({"machines": ("pump-*",)}, False),
        ({"locations": ("hall 3*",)}, True),
        ({"locations": ("hall 4*",)}, False),
        ({"kinds": ("machine",)}, True),
        ({"kinds": ("sensor",)}, False),
    ],
)
def test_a_rule_is_about_severities_machines_places_and_kinds(
    rule: dict[str, object],
    *,
    called: bool,
) -> None:
    assert wants(open_alarm(), **rule) is called


@pytest.mark.parametrize(
    "quiet",
    [
        {"active": False},
        {"told": False},
        {"held": True},
        {"acknowledged": True},
        {"shelving": Shelving("anna", T0, None)},
    ],
)
def test_nobody_is_called_for_what_is_over_masked_held_or_acknowledged(quiet: dict[str, object]) -> None:
    assert not wants(open_alarm(**quiet))  # type: ignore[arg-type]


def test_escalation_waits_for_an_acknowledgement_that_does_not_come() -> None:
    assert not wants(open_alarm(), after_s=900.0, now_ns=T0 + 899 * S)
    assert wants(open_alarm(), after_s=900.0, now_ns=T0 + 900 * S)
    assert not wants(open_alarm(acknowledged=True), after_s=900.0, now_ns=T0 + 900 * S)
    assert not wants(structs.replace(open_alarm(), called_ns=None), after_s=900.0, now_ns=T0 + 900 * S)


def at(hour: int, *, day: int = 7) -> int:
    """An hour of a day of December 2026 in Berlin; the 7th is a Monday."""
    return to_ns(datetime(2026, 12, day, hour, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC))


NIGHT = Weekly(frozenset({0}), time(22), time(6), ZoneInfo("Europe/Berlin"))


def test_a_shift_is_called_in_its_hours_alone_past_midnight_too() -> None:
    for hour, day, called in ((21, 7, False), (23, 7, True), (5, 8, True), (7, 8, False), (23, 8, False)):
        assert wants(open_alarm(), shifts=(NIGHT,), now_ns=at(hour, day=day)) is called, (hour, day)


def test_in_quiet_hours_only_what_is_critical_calls() -> None:
    assert not wants(open_alarm(), quiet=(NIGHT,), now_ns=at(23))
    assert wants(open_alarm(severity="critical"), quiet=(NIGHT,), now_ns=at(23))
    assert wants(open_alarm(), quiet=(NIGHT,), now_ns=at(12))
