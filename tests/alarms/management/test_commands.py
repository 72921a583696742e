"""Machines are learnt anew, called, budgeted and forgotten: one, or all that a pattern means."""

import json
from dataclasses import replace
from typing import Any

import pytest

from edge_agent.alarms.outcomes import MachineOutcome
from edge_agent.signals.machine_rules import MachineFacts
from tests.support.hall import ALARM, NOW_NS, READY, SECOND, Office


@pytest.fixture
def office() -> Office:
    """Over pump-1 with an open alarm, and three presses without."""
    office = Office()
    office.hall.status |= {f"press-{number}": READY for number in (1, 2, 3)}
    office.hall.said |= {
        "press-1": MachineFacts(location="line1"),
        "press-2": MachineFacts(display_name="Old press", location="line1"),
    }
    return office


def detail(office: Office, name: str, /, **fields: Any) -> str:
    return str(json.loads(office.ask(name, **fields).entry.reply)["detail"])


def test_a_pattern_means_each_of_its_machines_and_one_answer_tells_of_all(office: Office) -> None:
    assert office.result("relearn", machine="line1/*") == ("done", "")
    assert office.hall.asked == [("decide", f"press-{n}", "begin", "anna", "False") for n in (1, 2)]
    entry = office.handler.audit.done[-1]
    assert entry.target == "line1/*"
    assert json.loads(entry.reply)["detail"] == "done: 2 (press-1, press-2)"


def test_of_several_machines_some_may_refuse(office: Office) -> None:
    told = detail(office, "relearn", machine="p*")
    assert told.startswith(
        "done: 3 (press-1, press-2, press-3); refused: 1 (pump-1); because: pump-1-a is open"
    )
    assert office.handler.audit.done[-1].result == "done"


@pytest.mark.parametrize("name", ["shelve", "unshelve", "suppress", "unsuppress"])
def test_existing_commands_take_patterns_too(office: Office, name: str) -> None:
    spans = {"for_s": 60} if name == "shelve" else {}
    assert office.result(name, machine="press-*", **spans)[0] == ("unchanged" if name[:2] == "un" else "done")
    assert set(office.life.kept.shelvings) == (
        {"press-1", "press-2", "press-3"} if name == "shelve" else set()
    )


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("relearn", {"machine": "other"}, "unknown_machine"),
        ("relearn", {"machine": "line9/*"}, "unknown_machine"),
        ("relearn", {"machine": "pump-1"}, "alarm_open"),
        ("relearn", {"machine": "press-1", "decision": "undo"}, "malformed"),
        ("budget", {"machine": "other", "per_week": 1}, "unknown_machine"),
        ("budget", {"machine": "press-1", "per_week": 0}, "malformed"),
        ("rename", {"machine": "other", "name": "x"}, "unknown_machine"),
        ("rename", {"machine": "press-1", "name": "old PRESS"}, "bad_name"),
        ("rename", {"machine": "press-1", "name": "pump-1"}, "bad_name"),
        ("rename", {"machine": "press-1", "name": "a\u0007"}, "malformed"),
        ("rename", {"machine": "press-*", "name": "x"}, "unknown_machine"),
        ("forget", {"machine": "other", "confirm": True}, "unknown_machine"),
        ("forget", {"machine": "press-1"}, "malformed"),
        ("recommission", {"machine": "press-*"}, "unknown_machine"),
    ],
)
def test_refusals_have_reasons(office: Office, name: str, fields: dict[str, Any], reason: str) -> None:
    assert office.result(name, **fields) == ("refused", reason)
    assert office.hall.asked == []


def test_what_the_machines_answer_is_answered(office: Office) -> None:
    office.hall.managed = MachineOutcome("busy", "it is being learnt anew already")
    assert office.result("relearn", machine="press-1") == ("refused", "busy")
    office.hall.managed = MachineOutcome(detail="so already", changed=False)
    assert office.result("budget", request="b", machine="press-1", per_week=2) == ("unchanged", "")


def test_a_name_may_hold_what_a_topic_may_not(office: Office) -> None:
    assert office.result("rename", machine="Old press", name=" Presse 2/süd ") == ("done", "")
    assert office.hall.asked == [("name", "press-2", "Presse 2/süd")]


def test_a_machine_whose_score_is_high_is_learnt_anew_by_force_alone(office: Office) -> None:
    office.hall.status["press-1"] = replace(READY, last_score=1.2)
    assert office.result("relearn", machine="press-1") == ("refused", "anomalous")
    assert office.result("relearn", request="f", machine="press-1", force=True) == ("done", "")
    assert office.result("relearn", request="k", machine="pump-1", decision="keep_old") == ("done", "")


def test_forgetting_ends_alarms_and_removes_what_is_kept_and_says_that_it_still_sends(office: Office) -> None:
    office.ask("shelve", request="s", machine="pump-1", for_s=60)
    office.ask("suppress", request="u", machine="pump-1")
    handled = office.ask("forget", machine="pump-1", confirm=True, now_ns=NOW_NS + 3 * SECOND)
    assert [one.alarm.state for one in handled.notifications] == ["closed"]
    told = json.loads(handled.entry.reply)["detail"]
    assert "still sends (3 s ago): it is learnt afresh" in told
    kept = office.life.kept
    assert (kept.records, kept.history, kept.shelvings, kept.suppressions) == ({}, [], {}, {})
    assert office.hall.asked == [("forget", "pump-1")]


def test_a_machine_that_is_silent_is_said_to_be_learnt_when_it_comes_back(office: Office) -> None:
    assert "if it sends again" in detail(
        office, "forget", machine="press-1", confirm=True, now_ns=NOW_NS + 3600 * SECOND
    )


def test_a_machine_that_is_being_learnt_is_not_forgotten(office: Office) -> None:
    office.hall.status["press-1"] = replace(READY, state="learning")
    assert office.result("forget", machine="press-1", confirm=True) == ("refused", "busy")
    assert ALARM.id in [record.alarm.id for record in office.life.kept.records.values()]


def test_a_disk_that_keeps_it_is_said(office: Office) -> None:
    office.hall.broken = "read-only"
    assert office.result("forget", machine="press-1", confirm=True) == ("refused", "failed")
