"""`status` says of each machine whether it is watched, and is not "well" where one is not heard."""

from typing import Any

import pytest

from edge_agent.cli.operator_client import AgentView
from edge_agent.cli.status import AgentStatus, parts
from edge_agent.cli.tables import text


def told(**machines: dict[str, Any]) -> AgentStatus:
    status = {"state": "online", "timezone": "Europe/Berlin", "machines": machines}
    return AgentStatus("hall", (), {}, AgentView(status=status))


def test_an_agent_that_hears_all_its_machines_is_well() -> None:
    lines = text(*parts(told(press={"state": "ready"}))).splitlines()
    assert lines[0] == "hall: online and well"


def test_a_silent_machine_is_said_first_and_the_agent_is_not_called_well() -> None:
    seen = told(press={"state": "ready"}, pump={"state": "ready", "silent_since": "2023-11-14T22:13:20.000Z"})
    assert not seen.well
    lines = text(*parts(seen)).splitlines()
    assert lines[:2] == ["hall: online", "  not heard, so not watched: pump"]
    assert any("silent since Tue 14 Nov 2023 23:13 CET: not watched" in line for line in lines)


def test_machines_in_alarm_are_said_beside_the_agents_health() -> None:
    seen = told(press={"state": "ready", "alarm": "press-a"})
    assert seen.well
    assert text(*parts(seen)).splitlines()[:2] == ["hall: online and well", "  in alarm: press"]


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ({"state": "commissioning", "rows": 47, "rows_wanted": 100}, "learning, 47 %: not watched"),
        (
            {
                "state": "commissioning",
                "rows": 47,
                "rows_wanted": 100,
                "learnt_about": "2023-11-14T22:20:00.000Z",
            },
            "learning, 47 %: not watched until about Tue 14 Nov 2023 23:20 CET",
        ),
        ({"state": "commissioning", "rows": 100, "rows_wanted": 100}, "learning, 99 %: not watched"),
        ({"state": "learning", "rows": 100, "rows_wanted": 100}, "almost learnt: not watched yet"),
        (
            {"state": "failed", "reason": "too few rows", "learnt_about": "2023-11-14T22:20:00.000Z"},
            "not learnt: too few rows; tried again about Tue 14 Nov 2023 23:20 CET",
        ),
        ({"state": "ready"}, "ready"),
    ],
)
def test_each_state_has_a_word_of_its_own(machine: dict[str, Any], expected: str) -> None:
    row = text(*parts(told(press=machine))).splitlines()[-1]
    assert row.startswith("press")
    assert expected in row


def test_a_zone_that_this_computer_does_not_know_is_utc() -> None:
    assert str(AgentView(status={"timezone": "Mars/Olympus"}).zone) == "UTC"
