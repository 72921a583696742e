"""`notify test` says what came back in plain words; `notify list` what became of the latest messages."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_agent.cli import app as command
from edge_agent.cli.operator_client import AgentView
from edge_agent.cli.status import AgentStatus, parts
from edge_agent.cli.tables import text
from edge_agent.notify.book import CallBook, SendOutcome
from edge_agent.notify.rules import NotifyRule
from edge_agent.signals.machine_rules import MachineFacts
from edge_agent.store.state_dir import DATABASE
from tests.support.calls import T0, Receiver, StateWriterDouble, open_alarm, subject_of

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, receiver: Receiver
) -> Run:
    """Exit code and output of `edge-agent notify ...` with two receivers, of which one listens."""
    file = tmp_path / "agent.toml"
    nobody = 'name = "nobody"\nkind = "ntfy"\nurl = "http://127.0.0.1:9/hall"'
    there = f'name = "there"\nkind = "json"\nurl = "{receiver.url}"'
    file.write_text(f'[agent]\nstate_dir = "."\n[[notify]]\n{there}\n[[notify]]\n{nobody}\n')

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["edge-agent", "notify", *arguments, "-c", str(file)])
        try:
            command.main()
        except SystemExit as left:
            told = capsys.readouterr()
            return int(left.code or 0), told.out + told.err
        return 0, capsys.readouterr().out

    return call


def test_a_test_message_arrives_and_says_that_nothing_is_wrong(run: Run, receiver: Receiver) -> None:
    assert run("test", "there") == (0, "there (json): arrived: HTTP 200: said [31mso\n")
    assert receiver.taken[0][1]["event"] == "test"
    assert "Nothing is wrong." in receiver.taken[0][1]["text"]


def test_what_does_not_arrive_says_why_and_ends_with_10(run: Run) -> None:
    code, said = run("test")
    assert code == 10
    assert "nobody (ntfy): did not arrive: Connection refused" in said


def test_a_name_that_is_not_there_names_those_that_are(run: Run) -> None:
    code, said = run("test", "somebody")
    assert code == 2
    assert "there, nobody" in said


def test_without_a_receiver_it_says_that_nobody_is_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["edge-agent", "notify", "test"])
    with pytest.raises(SystemExit) as left:
        command.main()
    assert left.value.code == 2
    assert "nobody is called" in capsys.readouterr().err


def test_the_list_says_what_became_of_each_message(run: Run, tmp_path: Path) -> None:
    writer = StateWriterDouble(tmp_path / DATABASE)
    book = CallBook({}, rules=[NotifyRule(name="there")], now_ns=T0)
    book.plan([open_alarm("4")], subject=subject_of, facts=lambda _: MachineFacts(), now_ns=T0)
    (call,) = book.begin_next(busy=(), now_ns=T0)
    book.settle(call.number, SendOutcome("refused", "HTTP 503 [busy]"), now_ns=T0)
    for name, value in book.take_changes().items():
        writer.keep_value(name, value)
    writer.write()
    code, said = run("list")
    assert code == 0
    assert "MAJOR: press-4" in " ".join(said.split())
    assert "HTTP 503 [busy]" in " ".join(said.split())
    code, said = run("list", "--json")
    (told,) = json.loads(said)
    assert (told["rule"], told["state"], told["attempts"], told["alarms"]) == ("there", "waiting", 1, ["4"])


def test_before_the_first_message_the_list_is_empty(run: Run) -> None:
    assert run("list") == (0, "no message was made yet\n")


def test_status_counts_the_calls_of_each_rule() -> None:
    samples = {
        ("edge_agent_calls_made_total", "night"): 12.0,
        ("edge_agent_calls_waiting", "night"): 2.0,
        ("edge_agent_call_failures_total", "night"): 5.0,
    }
    lines = text(*parts(AgentStatus("hall", (), samples, AgentView()))).splitlines()
    assert "  calls of night: 12 made, 2 not confirmed yet, 5 attempts failed" in lines
