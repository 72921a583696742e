"""Alarms and commands become messages; what is said of a flood, of the past and of garbage is bounded."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edge_agent.alarms import payload as alert
from edge_agent.alarms.manager import COMMANDS_PER_TURN, WAITING_LIMIT, AlarmManager
from edge_agent.config.file import Config
from edge_agent.mqtt.outbox import OpenAlarm, Outbox
from edge_agent.records import ReceivedMessage
from edge_agent.service.wiring import manager_settings
from tests.support.hall import ALARM, NOW_NS, SECOND, Hall

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "alert.schema.json").read_text())


class Office:
    """A manager whose messages are read at once."""

    def __init__(self, states: dict[str, bytes] | None = None, **sections: Any) -> None:
        config = Config.model_validate({"agent": {"name": "hall"}} | sections)
        self.outbox = Outbox(limit=1000)
        self.manager = AlarmManager(
            manager_settings(config), outbox=self.outbox, machines=Hall(), states=states or {}
        )

    def said(self) -> list[tuple[str, dict[str, Any]]]:
        """What waits: topic and message; an emptied retained message is {}."""
        found = []
        while (message := self.outbox.next_message()) is not None:
            self.outbox.mark_sent(message, len(found))
            found.append((message.topic, json.loads(message.payload or b"{}")))
        for mid in range(len(found)):
            self.outbox.mark_acknowledged(mid)
        for topic, message in found:
            if message and topic.startswith("alerts/"):
                jsonschema.validate(message, SCHEMA)
        return found


def heard(name: str, *, retain: bool = False, **fields: Any) -> ReceivedMessage:
    payload = json.dumps({"id": "r", "by": "anna"} | fields).encode()
    return ReceivedMessage(f"agents/hall/cmd/{name}", payload, retain)


def test_a_shelved_alarm_is_only_retained_and_its_end_empties_that() -> None:
    office = Office()
    office.manager.obey_commands([heard("shelve", machine="pump-1", for_s=60)], now_ns=NOW_NS)
    assert [topic for topic, _ in office.said()] == ["agents/hall/reply/r"]
    office.manager.take_alarms([ALARM], now_ns=NOW_NS)
    ((topic, message),) = office.said()
    assert topic == "alerts/pump-1/pump-1-a"
    assert message["lifecycle"]["shelved"]["by"] == "anna"
    office.outbox.repeat_alarms()
    assert [topic for topic, _ in office.said()] == ["alerts/pump-1/pump-1-a"]
    office.manager.take_alarms([replace(ALARM, state="closed", closed_ns=NOW_NS, revision=2)], now_ns=NOW_NS)
    assert office.said() == [("alerts/pump-1/pump-1-a", {})]


def test_a_flood_is_summed_up_in_one_message_until_it_is_over() -> None:
    office = Office(lifecycle={"flood_calls": 1})
    alarms = [replace(ALARM, id=f"m{n}-a", machine=f"m{n}", onset_ns=NOW_NS + n) for n in range(3)]
    office.manager.take_alarms(alarms, now_ns=NOW_NS)
    office.manager.tick(now_ns=NOW_NS)
    messages = office.said()
    assert [topic for topic, _ in messages if topic.count("/") == 1] == ["alerts/m0"]
    assert messages[-1] == (
        "agents/hall/flood",
        {
            "schema_version": 1,
            "agent": "hall",
            "active": True,
            "held": 2,
            "held_total": 2,
            "alarms": [{"id": f"m{n}-a", "machine": f"m{n}", "severity": "warning"} for n in (1, 2)],
        },
    )
    for later in (601, 1202):
        office.manager.tick(now_ns=NOW_NS + later * SECOND)
    released = office.said()
    assert [topic for topic, _ in released if topic in ("alerts/m1", "alerts/m2")] == [
        "alerts/m1",
        "alerts/m2",
    ]
    assert released[-1][1]["active"] is False
    office.manager.tick(now_ns=NOW_NS + 2000 * SECOND)
    assert office.said() == []


def test_after_a_restart_open_alarms_go_on_and_lost_ones_are_closed() -> None:
    first = Office()
    first.manager.take_alarms([ALARM, replace(ALARM, id="mill-a", machine="mill")], now_ns=NOW_NS)
    states = dict(first.manager.take_states())
    assert first.manager.take_states() == {}, "nothing has changed since"
    second = Office(states)
    second.manager.resume([ALARM], now_ns=NOW_NS)
    told = dict(second.said())
    assert told["alerts/mill"]["state"] == "closed"
    assert told["alerts/mill"]["lifecycle"]["event"] == "restarted"
    assert told["alerts/mill"]["revision"] == 2
    assert told["alerts/pump-1"]["revision"] == 1, "said again, not new"
    second.manager.take_alarms([replace(ALARM, revision=2)], now_ns=NOW_NS)
    assert dict(second.said())["alerts/pump-1"]["revision"] == 2


def test_alarms_of_an_agent_without_memory_are_closed() -> None:
    office = Office()
    for name, payload in (("pump-1-a", alert.encode(ALARM, agent="hall")), ("x", b"garbage")):
        office.outbox.raise_alarm(OpenAlarm(name, "alerts/pump-1", payload, revision=1), first=True)
    while (message := office.outbox.next_message()) is not None:
        office.outbox.mark_sent(message, 1)
        office.outbox.mark_acknowledged(1)
    office.manager.resume([], now_ns=NOW_NS)
    told = office.said()
    assert not list(office.outbox.open_alarms())
    assert [(topic, message.get("state")) for topic, message in told] == [
        ("alerts/pump-1", "closed"),
        ("alerts/pump-1/pump-1-a", None),
    ]


def test_an_alarm_that_only_the_pipeline_remembers_goes_on() -> None:
    office = Office()
    office.manager.resume([replace(ALARM, revision=7)], now_ns=NOW_NS)
    assert [(topic, message["id"]) for topic, message in office.said()] == [
        ("alerts/pump-1", "pump-1-a"),
        ("alerts/pump-1/pump-1-a", "pump-1-a"),
    ]


def test_unusable_memories_are_begun_anew() -> None:
    office = Office({"lifecycle": b"\xff", "audit": b"\xff"})
    office.manager.take_alarms([ALARM], now_ns=NOW_NS)
    assert len(office.said()) == 2


def test_commands_wait_their_turn_and_retained_ones_are_ignored() -> None:
    office = Office()
    many = [heard("ack", id=f"r{n}", alarm="x") for n in range(COMMANDS_PER_TURN + 2)]
    office.manager.obey_commands(many, now_ns=NOW_NS)
    assert len(office.said()) == COMMANDS_PER_TURN
    office.manager.obey_commands([heard("ack", retain=True, alarm="x")], now_ns=NOW_NS)
    assert len(office.said()) == 2
    figures = office.manager.series(dropped=3)
    assert figures.commands == {("ack", "refused"): COMMANDS_PER_TURN + 2, ("unknown", "ignored"): 1}
    assert figures.dropped == 3


def test_a_flood_of_commands_is_dropped_and_counted() -> None:
    office = Office()
    office.manager.obey_commands(
        [heard("ack", id=f"r{n}", alarm="x") for n in range(WAITING_LIMIT + 7)], now_ns=NOW_NS
    )
    for _ in range(WAITING_LIMIT):
        office.manager.obey_commands([], now_ns=NOW_NS)
    figures = office.manager.series(dropped=0)
    assert (figures.commands, figures.dropped) == ({("ack", "refused"): WAITING_LIMIT}, 7)


def test_no_name_of_a_command_becomes_a_label_of_a_metric() -> None:
    office = Office()
    for n in range(20):
        office.manager.obey_commands([heard(f"x{n}", id=f"r{n}")], now_ns=NOW_NS)
    assert office.manager.series(dropped=0).commands == {("unknown", "refused"): 20}


@pytest.mark.parametrize("event", ["shelved", "acknowledged"])
def test_the_status_says_what_is_quiet(event: str) -> None:
    office = Office()
    office.manager.take_alarms([ALARM], now_ns=NOW_NS)
    fields = {"machine": "pump-1", "for_s": 60} if event == "shelved" else {"alarm": "pump-1-a"}
    office.manager.obey_commands([heard("shelve" if event == "shelved" else "ack", **fields)], now_ns=NOW_NS)
    calls = office.manager.machine_calls(["pump-1", "mill"], now_ns=NOW_NS)
    assert set(calls) == {"pump-1"}
    assert (calls["pump-1"].shelving is not None) == (event == "shelved")


def test_an_alert_says_what_people_say_is_to_be_done_about_its_fault() -> None:
    silent = Office(machine=[{"match": "pump-1", "runbooks": {"no such fault": "x"}, "notes": "n"}])
    silent.manager.take_alarms([ALARM], now_ns=NOW_NS)
    assert all("what_to_do" not in message for _, message in silent.said())
    office = Office(machine=[{"match": "pump-*", "runbooks": {"*": "Ask: https://wiki/pump"}}])
    office.manager.take_alarms([ALARM], now_ns=NOW_NS)
    assert {message["what_to_do"] for _, message in office.said()} == {"Ask: https://wiki/pump"}
