"""What people read: fitted to a terminal, a line a row for programs."""

import io
import re

import pytest
from rich.console import Console
from rich.text import Text

from edge_agent.cli import tables
from edge_agent.cli.operator_client import AgentView
from edge_agent.cli.status import AgentStatus, parts
from edge_agent.cli.tables import grid, show, text


def test_a_pipe_gets_one_line_a_row_without_colour_or_trailing_blanks() -> None:
    table = grid("machine", "alarm")
    table.add_row("pump-1", Text("[red] is no markup: " + "x" * 500))
    table.add_row("m", "")
    lines = text("head", table).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["head", "machine", "pump-1", "m"]
    assert "[red] is no markup" in lines[2]
    assert all(line == line.rstrip() and "\x1b" not in line for line in lines)


HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202egnp\x9b31m"


def test_no_text_of_the_network_steers_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    table = grid("machine", HOSTILE)
    table.add_row(Text(HOSTILE, "bold red"), HOSTILE)
    shown = text(HOSTILE, Text(HOSTILE), table)
    assert shown.count("\\x1b[2J") == 5
    assert "owned" in shown
    assert all(one.isprintable() or one == "\n" for one in shown)
    monkeypatch.setattr(tables, "Console", lambda **_: Console(file=seen, force_terminal=True, width=400))
    seen = io.StringIO()
    show(table)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", seen.getvalue())  # our own colours
    assert "owned" in plain
    assert all(one.isprintable() or one == "\n" for one in plain)


def test_the_status_says_which_channels_are_no_plain_measurements() -> None:
    machines = {
        "press": {
            "state": "ready",
            "kinds": {"energy": "counter", "door": "state", "odd": "of a later agent"},
        },
        "pump": {"state": "ready"},
    }
    told = AgentStatus("edge-1", (), {}, AgentView(status={"machines": machines}))
    lines = text(*parts(told)).splitlines()
    assert [line for line in lines if "counter" in line] == [
        "  press: energy: counter, its rate is watched; door: state, not scored; odd: of a later agent"
    ]


def test_the_status_says_what_was_seen_once_while_a_machine_was_learnt() -> None:
    stretch = {"from": "2026-11-23T05:54:00.000Z", "to": "2026-11-23T06:20:00.000Z", "channel": "speed"}
    machines = {"press": {"state": "ready", "seen_once": [stretch]}, "pump": {"state": "ready"}}
    view = AgentView(status={"machines": machines, "timezone": "Europe/Berlin"})
    told = AgentStatus("edge-1", (), {}, view)
    (line,) = [line for line in text(*parts(told)).splitlines() if "seen once" in line]
    assert line.startswith("  press: seen once while it was learnt, and normal since: ")
    assert "06:54 CET to " in line
    assert "(speed); was one a fault?" in line
