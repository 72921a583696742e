"""The command handler obeys what is allowed, once, and writes everything down."""

import json
from dataclasses import replace
from typing import Any

import pytest

from edge_agent.alarms import audit
from edge_agent.alarms.audit import DONE_LIMIT, REFUSED_LIMIT, AuditLog
from edge_agent.alarms.command_handler import (
    AcceptOutcome,
    LabelOutcome,
)
from tests.support.hall import ALARM, NOW_NS, READY, SECOND, Office


def test_what_the_configuration_does_not_name_is_refused_and_nothing_is_done() -> None:
    office = Office("ack")
    assert office.result("recommission", machine="pump-1", force=True) == ("refused", "not_allowed")
    assert office.result("shelve", request="s", machine="pump-1", for_s=60) == ("refused", "not_allowed")
    assert office.hall.asked == []
    assert office.life.kept.shelvings == {}


def test_the_answer_and_the_log_say_who_what_when_and_how_it_went() -> None:
    office = Office()
    handled = office.ask("ack", alarm="pump-1-a", comment="seen")
    assert json.loads(handled.entry.reply) == {
        "schema_version": 1,
        "agent": "hall",
        "request": "r",
        "command": "ack",
        "result": "done",
        "reason": "",
        "detail": "",
        "time": "2027-01-15T08:00:00.000Z",
    }
    entry = office.handler.audit.done[0]
    assert (entry.by, entry.command, entry.target, entry.time_ns) == ("anna", "ack", "pump-1-a", NOW_NS)
    assert [notification.event for notification in handled.notifications] == ["acknowledged"]


def test_a_repeated_request_gets_the_same_answer_and_changes_nothing() -> None:
    office = Office()
    first = office.ask("shelve", machine="pump-1", for_s=60)
    later = office.ask("shelve", machine="pump-1", for_s=60, now_ns=NOW_NS + 30 * SECOND)
    assert (later.entry, later.repeated, later.notifications) == (first.entry, True, ())
    shelving = office.life.kept.shelvings["pump-1"]
    assert shelving.until_ns == NOW_NS + 60 * SECOND
    assert office.result("unshelve", machine="pump-1") == ("refused", "id_reused")
    assert office.ask("shelve", machine="pump-1", for_s=60).entry == first.entry, "the first one keeps its id"


def test_repetitions_are_known_after_a_restart() -> None:
    office = Office()
    first = office.ask("shelve", machine="pump-1", for_s=60)
    book = audit.decode(audit.encode(office.handler.audit))
    again = Office(book=book).ask("shelve", machine="pump-1", for_s=60)
    assert again.repeated
    assert again.entry == first.entry


def test_a_flood_of_refused_commands_leaves_the_record_of_the_others() -> None:
    office = Office("ack")
    office.ask("ack", request="mine", alarm="pump-1-a")
    for number in range(REFUSED_LIMIT + DONE_LIMIT):
        office.ask("label", request=f"n{number}", alarm="pump-1-a", fault="x")
    assert [entry.request for entry in office.handler.audit.done] == ["mine"]
    assert len(office.handler.audit.refused) == REFUSED_LIMIT


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("ack", {"alarm": "other"}, "unknown_alarm"),
        ("label", {"alarm": "other", "fault": "wear"}, "unknown_alarm"),
        ("shelve", {"machine": "other", "for_s": 9}, "unknown_machine"),
        ("shelve", {"alarm": "other", "for_s": 9}, "unknown_alarm"),
        ("shelve", {"machine": "pump-1", "for_s": 3601}, "too_long"),
        ("shelve", {"machine": "pump-1", "until": "2020-01-01T00:00:00Z"}, "too_long"),
        ("unshelve", {"machine": "other"}, "unknown_machine"),
        ("suppress", {"machine": "other"}, "unknown_machine"),
        ("suppress", {"machine": "*", "until": "2020-01-01T00:00:00Z"}, "too_long"),
        ("recommission", {"machine": "other"}, "unknown_machine"),
        ("recommission", {"machine": "pump-1"}, "alarm_open"),
        ("accept", {"alarm": "other"}, "unknown_alarm"),
        ("ack", {"alarm": "pump-1-a", "sent": "2027-01-15T07:54:59Z"}, "expired"),
    ],
)
def test_refusals_have_reasons(name: str, fields: dict[str, Any], reason: str) -> None:
    assert Office().result(name, **fields) == ("refused", reason)


def test_what_is_so_already_is_said_to_be() -> None:
    office = Office()
    office.ask("ack", request="first", alarm="pump-1-a")
    assert office.result("ack", alarm="pump-1-a") == ("unchanged", "")
    assert office.result("unshelve", request="u", machine="pump-1") == ("unchanged", "")
    assert office.result("unsuppress", request="v", machine="*") == ("unchanged", "")


def test_once_needs_an_active_alarm() -> None:
    office = Office()
    assert office.result("shelve", machine="pump-1", once=True) == ("done", "")
    office.life.take_alarm(replace(ALARM, state="closed", closed_ns=NOW_NS, revision=2), now_ns=NOW_NS)
    assert office.result("shelve", request="s", machine="pump-1", once=True) == ("refused", "no_open_alarm")


def test_everything_can_be_suppressed_and_given_back() -> None:
    office = Office()
    assert [t.event for t in office.ask("suppress", machine="*").notifications] == ["suppressed"]
    back = office.ask("unsuppress", request="u", machine="*")
    assert [(t.event, t.live) for t in back.notifications] == [("unsuppressed", True)]


def test_a_fault_is_learnt_only_as_an_exception() -> None:
    office = Office()
    office.life.take_alarm(replace(ALARM, state="closed", closed_ns=NOW_NS, revision=2), now_ns=NOW_NS)
    office.hall.status["pump-1"] = replace(READY, last_score=1.2)
    assert office.result("recommission", request="a", machine="pump-1") == ("refused", "anomalous")
    office.hall.status["pump-1"] = replace(READY, state="learning")
    assert office.result("recommission", request="b", machine="pump-1", force=True) == ("refused", "busy")
    assert office.hall.asked == []
    office.hall.status["pump-1"] = READY
    assert office.result("recommission", request="c", machine="pump-1") == ("done", "")
    assert office.hall.asked == [("recommission", "pump-1")]


def test_force_closes_the_alarm_only_once_the_machine_is_forgotten() -> None:
    office = Office()
    office.hall.broken = "no space left"
    assert office.result("recommission", request="a", machine="pump-1", force=True) == ("refused", "failed")
    assert office.life.state_of("pump-1") is not None
    office.hall.broken = ""
    done = office.ask("recommission", request="b", machine="pump-1", force=True)
    assert [(t.event, t.alarm.state) for t in done.notifications] == [("recommissioned", "closed")]


def test_a_name_is_passed_on_and_said_even_of_a_shelved_alarm() -> None:
    office = Office()
    office.ask("shelve", request="s", machine="pump-1", for_s=60)
    office.hall.named = LabelOutcome(alarm=replace(ALARM, revision=2, fault="wear", fault_probability=1.0))
    handled = office.ask("label", alarm="pump-1-a", fault="wear")
    assert office.hall.asked == [("label", "pump-1", "pump-1-a", "wear", "anna")]
    (notification,) = handled.notifications
    assert (notification.event, notification.live, notification.alarm.fault) == ("labelled", True, "wear")
    office.hall.named = LabelOutcome("too_many_faults", "20 names")
    assert office.result("label", request="l", alarm="pump-1-a", fault="new") == (
        "refused",
        "too_many_faults",
    )
    office.life.take_alarm(replace(ALARM, state="closed", closed_ns=NOW_NS, revision=3), now_ns=NOW_NS)
    office.hall.named = LabelOutcome()
    assert office.result("label", request="m", alarm="pump-1-a", fault="wear") == ("done", "")


def test_a_damaged_audit_log_is_refused_whole() -> None:
    raw = audit.encode(AuditLog())
    assert audit.decode(raw) == AuditLog()
    for damaged in (b"", raw[:-2], audit.encode(AuditLog(version=9))):
        assert audit.decode(damaged) is None


def test_what_is_accepted_is_over_and_counts_as_acknowledged() -> None:
    office = Office()
    handled = office.ask("accept", alarm="pump-1-a")
    assert office.hall.asked == [("accept", "pump-1", "pump-1-a", "anna", str(NOW_NS))]
    (notification,) = handled.notifications
    assert (notification.event, notification.alarm.state) == ("accepted", "closed")
    assert office.life.find_alarm("pump-1-a") is office.life.kept.history[-1]
    assert office.life.kept.history[-1].acknowledgement is not None


def test_undo_takes_back_what_was_accepted_and_needs_no_alarm_that_is_remembered() -> None:
    office = Office()
    handled = office.ask("accept", alarm="long-ago", undo=True)
    assert (handled.entry.result, handled.notifications) == ("done", ())
    assert office.hall.asked == [("take_back", "long-ago")]


def test_what_cannot_be_accepted_stays_as_it_is() -> None:
    office = Office()
    office.hall.accepted = AcceptOutcome("not_acceptable", "no notice", changed=False)
    assert office.result("accept", alarm="pump-1-a") == ("refused", "not_acceptable")
    office.hall.accepted = AcceptOutcome(detail="accepted before by Anna", changed=False)
    assert office.result("accept", request="s", alarm="pump-1-a") == ("unchanged", "")
    assert office.life.state_of("pump-1") is not None
