"""`alarms history`: what closed, as people, scripts and spreadsheets read it."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner, Result

from edge_agent.cli.alarm_history import moment_ns
from edge_agent.cli.app import app
from edge_agent.errors import StateError, UsageError
from edge_agent.store.history.database import DAY_NS, HISTORY, HistoryDatabase
from edge_agent.store.history.incident import IncidentAction
from tests.support.past import AT_NS, channels, incident


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., Result]:
    (tmp_path / "agent.toml").write_text('[agent]\nstate_dir = "state"\n')

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, ["alarms", "--config", str(tmp_path / "agent.toml"), *words])

    return run


@pytest.fixture
def kept(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    seen = IncidentAction(AT_NS, "ack", "anna", "on my way")
    database = HistoryDatabase(tmp_path / "state" / HISTORY)
    database.write(
        {
            "1": incident("a", fault="=cmd()", actions=(seen,), channels=channels(flow=("high", 1.0))),
            "2": incident("b", machine="fan-2", at_ns=AT_NS + 3 * DAY_NS),
        }
    )
    database.close()


@pytest.mark.usefixtures("kept")
def test_it_is_told_for_people_scripts_and_spreadsheets(ask: Callable[..., Result]) -> None:
    people = ask("history").output.splitlines()
    assert [line.split()[0] for line in people] == ["since", *(line.split()[0] for line in people[1:])]
    assert ["a" in people[1], "b" in people[2]] == [True, True]
    scripts = json.loads(ask("--json", "history").output)
    assert [(one["id"], one["lasted_s"], one["fault"]) for one in scripts] == [
        ("a", 600, "=cmd()"),
        ("b", 600, ""),
    ]
    rows = list(csv.DictReader(io.StringIO(ask("history", "--csv").output)))
    assert [(row["id"], row["fault"], row["comments"]) for row in rows] == [
        ("a", "'=cmd()", "anna: on my way"),
        ("b", "", ""),
    ]
    assert rows[0]["channels"] == "flow high"


@pytest.mark.usefixtures("kept")
def test_of_one_machine_or_since_a_time(ask: Callable[..., Result]) -> None:
    assert [one["id"] for one in json.loads(ask("--json", "history", "--machine", "fan-2").output)] == ["b"]
    since = datetime.fromtimestamp(AT_NS / 1e9 + 86_400, UTC).isoformat()
    assert [one["id"] for one in json.loads(ask("--json", "history", "--since", since).output)] == ["b"]
    header = ask("history", "--csv", "--machine", "nobody").output
    assert header.startswith("id,machine,kind,severity,onset,closed")
    assert header.count("\n") == 1
    assert ask("history", "--machine", "nobody").output == "nothing that closed is kept\n"


def test_where_there_is_none_the_reason_is_said(ask: Callable[..., Result]) -> None:
    assert isinstance(ask("history").exception, StateError)


def test_times_are_dates_of_the_site_or_how_long_ago() -> None:
    zone, now = ZoneInfo("Europe/Vienna"), datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert moment_ns("2026-11-30", zone=zone, now=now) == int(
        datetime(2026, 11, 29, 23, tzinfo=UTC).timestamp() * 1e9
    )
    assert moment_ns("2d", zone=zone, now=now) == int(
        datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp() * 1e9
    )
    with pytest.raises(UsageError, match="soon"):
        moment_ns("soon", zone=zone, now=now)
