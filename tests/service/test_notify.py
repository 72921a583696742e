"""Calls of the running agent: over restarts, through outages, and with a receiver that hangs. Each at least once."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ROOT
from benchmarks.harness.patience import wait_until
from edge_agent.config.file import Config
from edge_agent.metrics.snapshot import Snapshot
from edge_agent.notify.book import CallBook, SendOutcome, kept_calls
from edge_agent.notify.rules import NotifyRule
from edge_agent.service.notify.part import NotifyPart
from edge_agent.service.turn import Clocks
from edge_agent.store.database import Database
from edge_agent.store.state_writer import room_values
from tests.support.calls import RULES, T0, Receiver, S, StateWriterDouble, open_alarm, processor_of

OK = SendOutcome("confirmed", "HTTP 200")


class Caller:
    """The part with its disk and a clock of the test's own."""

    def __init__(self, folder: Path, *rules: dict[str, Any]) -> None:
        table = [{"kind": "json", "url": "http://127.0.0.1:9/x"} | rule for rule in rules]
        machine = {
            "match": "*",
            "location": "hall 3",
            "notes": "Ask Anna.",
            "runbooks": {"clogged*": "Change filter F2."},
        }
        self.config = Config.model_validate(
            {"notify": table, "machine": [machine], "page": {"url": "https://hall"}}
        )
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.sent: list[Any] = []
        self.outcome: Callable[[], SendOutcome] = lambda: OK
        self.clock_s = 0.0
        self.writer = StateWriterDouble(folder / "state.sqlite")
        self.records: dict[str, Any] = {}
        self.begin()

    def begin(self) -> None:
        clocks = Clocks(monotonic_s=lambda: self.clock_s, wall_ns=lambda: T0 + int(self.clock_s * S))
        self.part = NotifyPart(
            self.config,
            report=lambda event, **facts: self.said.append((event, facts)),
            clocks=clocks,
            send=self._send,
        )

    def _send(self, target: Any, call: Any, words: Any) -> SendOutcome:
        self.sent.append((target, call, words))
        return self.outcome()

    def turn(self, *, after_s: float = 1.0) -> None:
        self.clock_s += after_s
        self.writer.write()
        self.part.finish(processor_of(self.writer, self.records, self.config))

    def turns_until(self, reached: Callable[[], bool]) -> None:
        def turn() -> bool:
            self.turn()
            return reached()

        wait_until(turn, what="the call")

    def reports(self) -> list[str]:
        return [event for event, _ in self.said]


def test_a_call_is_on_the_disk_before_it_is_sent_and_its_outcome_after(tmp_path: Path) -> None:
    caller = Caller(tmp_path, {"name": "night"})
    caller.records = {"a": open_alarm("a")}
    caller.turn()
    assert not caller.sent
    assert [
        call.state for call in kept_calls(room_values(Database(tmp_path / "state.sqlite").read().states))
    ] == []
    caller.turn()
    assert [
        call.state for call in kept_calls(room_values(Database(tmp_path / "state.sqlite").read().states))
    ] == ["sending"]
    caller.turns_until(lambda: "call_confirmed" in caller.reports())
    ((_, call, words),) = caller.sent
    assert words.page_url == "https://hall"
    assert [(subject.location, subject.todo) for subject in call.subjects] == [
        ("hall 3", "Change filter F2.")
    ]
    caller.turn()
    (kept,) = kept_calls(room_values(Database(tmp_path / "state.sqlite").read().states))
    assert (kept.number, kept.state, kept.said) == (call.number, "confirmed", "HTTP 200")
    (series,) = caller.part.add_figures(Snapshot()).notify.values()
    assert (series.made, series.confirmed, series.waiting) == (1, 1, 0)


def test_without_a_receiver_nothing_is_kept_and_nothing_is_shown(tmp_path: Path) -> None:
    caller = Caller(tmp_path)
    caller.records = {"a": open_alarm("a")}
    caller.turn()
    caller.turn()
    assert caller.writer.kept_values() == {}
    assert caller.part.add_figures(Snapshot()) == Snapshot()


def test_what_does_not_arrive_is_said_in_health_and_in_the_log(tmp_path: Path) -> None:
    caller = Caller(tmp_path, {"name": "night"})
    caller.outcome = lambda: SendOutcome("refused", "Connection refused")
    caller.records = {"a": open_alarm("a")}
    caller.turns_until(lambda: bool(caller.part.amiss()))
    (line,) = caller.part.amiss()
    assert line.startswith("notify: night: 1 message waits since")
    assert line.endswith("Connection refused")
    assert "call_failed" in caller.reports()
    caller.outcome = lambda: OK
    caller.turns_until(lambda: not caller.part.amiss())


def test_a_receiver_that_hangs_holds_up_nobody_else(tmp_path: Path) -> None:
    caller = Caller(tmp_path, {"name": "slow"}, {"name": "fast"})
    release = threading.Event()

    def answer() -> SendOutcome:
        if threading.current_thread().name == "notify-slow":
            release.wait(30)
        return OK

    caller.outcome = answer
    caller.records = {"a": open_alarm("a")}
    caller.turns_until(lambda: "call_confirmed" in caller.reports())
    caller.turn(after_s=61.0)
    assert any("no outcome within" in line for line in caller.part.amiss())
    caller.records["b"] = open_alarm("b")
    caller.turns_until(lambda: caller.reports().count("call_confirmed") == 2)
    slow = [call for target, call, _ in caller.sent if call.rule == "slow"]
    assert len(slow) == 1, "one attempt of a rule at a time"
    release.set()


def test_a_fault_without_a_runbook_is_told_with_the_machines_notes(tmp_path: Path) -> None:
    caller = Caller(tmp_path, {"name": "night"})
    caller.records = {"a": open_alarm("a", fault="unknown")}
    caller.turns_until(lambda: bool(caller.sent))
    assert caller.sent[0][1].subjects[0].todo == "Ask Anna."


def test_a_bug_in_sending_is_an_attempt_that_failed(tmp_path: Path) -> None:
    caller = Caller(tmp_path, {"name": "night"})

    def broken() -> SendOutcome:
        raise ZeroDivisionError

    caller.outcome = broken
    caller.records = {"a": open_alarm("a")}
    caller.turns_until(lambda: any("internal error" in line for line in caller.part.amiss()))


def test_a_wanted_end_leaves_nothing_in_doubt(tmp_path: Path) -> None:
    caller = Caller(tmp_path, {"name": "night"})
    caller.records = {"a": open_alarm("a")}
    caller.turn()
    caller.part.stop()
    caller.writer.write()
    caller.writer = StateWriterDouble(tmp_path / "state.sqlite")
    caller.begin()
    caller.turns_until(lambda: "call_confirmed" in caller.reports())
    assert caller.clock_s < 60.0, "it waited for the cool-down"


def test_another_configuration_counts_at_once(tmp_path: Path) -> None:
    caller = Caller(tmp_path, {"name": "night"})
    caller.records = {"a": open_alarm("a")}
    caller.turns_until(lambda: "call_confirmed" in caller.reports())
    other = {"name": "day", "kind": "json", "url": "http://127.0.0.1:9/y"}
    caller.part.adopt(Config.model_validate({"notify": [other]}))
    caller.turns_until(lambda: caller.reports().count("call_confirmed") == 2)
    assert [call.rule for _, call, _ in caller.sent] == ["night", "day"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.mark.slow
def test_kill_9_and_outages_cost_no_call_and_repeat_none_within_its_cool_down(
    tmp_path: Path, receiver: Receiver
) -> None:
    """30 incidents in a process that is killed 6 times, at a receiver that is out or loses answers.

    CALL_INCIDENTS and CALL_KILLS make it longer.
    """
    incidents, kills = int(os.environ.get("CALL_INCIDENTS", "30")), int(os.environ.get("CALL_KILLS", "6"))
    chance = random.Random(3)
    out = threading.Event()
    receiver.answer = lambda: "error" if out.is_set() else chance.choice(["ok", "ok", "error", "lost"])
    alarms = tmp_path / "alarms.json"
    alarms.write_text("[]")
    begin = [sys.executable, "-m", "tests.support.calls", str(tmp_path), str(receiver.port)]
    up = tmp_path / "up"
    names: list[str] = []
    for _ in range(kills):
        up.unlink(missing_ok=True)
        agent = subprocess.Popen(begin, cwd=ROOT)
        wait_until(up.exists, what="the agent")
        for step in range(4):
            (out.set if step == 2 else out.clear)()  # the receiver is out for a while
            more = min(incidents - len(names), -(-incidents // (4 * kills)))
            names += [f"{len(names) + number:04d}" for number in range(more)]
            (tmp_path / "new.json").write_text(json.dumps(names))
            (tmp_path / "new.json").rename(alarms)
            time.sleep(chance.uniform(0.1, 0.3))
        agent.send_signal(signal.SIGKILL)
        agent.wait()
    receiver.answer = lambda: "ok"
    agent = subprocess.Popen(begin, cwd=ROOT)

    def all_told() -> bool:
        told = {
            (body["id"].split("/")[1], one["id"]) for _, body, _ in receiver.taken for one in body["alarms"]
        }
        return len(told) == RULES * incidents and all(call.state == "confirmed" for call in ledger())

    def ledger() -> list[Any]:
        return kept_calls(room_values(Database(tmp_path / "state.sqlite").read().states))

    wait_until(all_told, what="all calls", patience_s=60 + incidents)
    agent.kill()
    agent.wait()
    times: dict[tuple[str, str], list[float]] = {}
    for at_s, body, _ in receiver.taken:
        for alarm in body["alarms"]:
            times.setdefault((body["id"].split("/")[1], alarm["id"]), []).append(at_s)
    assert len(names) == incidents
    assert any(len(series) > 1 for series in times.values()), "no answer was ever lost: nothing was tried"
    assert all(b - a > 6.9 for series in times.values() for a, b in itertools.pairwise(series))
    rules = [NotifyRule(name=f"hook-{n}") for n in range(RULES)]
    states = room_values(Database(tmp_path / "state.sqlite").read().states)
    counts = CallBook(states, rules=rules, now_ns=0).counts().values()
    assert all(one.made == one.confirmed > 0 and one.given_up == 0 for one in counts)
    made = {body["id"] for _, body, _ in receiver.taken}
    assert sum(one.made for one in counts) == len(made), "the ledger is not what arrived"
    if report := os.environ.get("CALL_REPORT"):
        sent = sum(len(series) for series in times.values())
        told = {
            "incidents": incidents,
            "kills": kills,
            "told": len(times),
            "arrived": sent,
            "made": len(made),
            "outages": kills,
        }
        Path(report).write_text(json.dumps(told))
