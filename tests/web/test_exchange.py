"""Where the threads of requests meet the pipeline's: nobody holds the pipeline up, and everybody gets an answer."""

import threading
import time
from typing import Any, cast

import pytest

from edge_agent.alarms.audit import AuditEntry
from edge_agent.records import ReceivedMessage
from edge_agent.web import exchange as room
from edge_agent.web.auth import TOKEN_LEAST
from edge_agent.web.exchange import Exchange
from edge_agent.web.history import Peaks, ScoreHistory
from edge_agent.web.view import View

ASKED = ReceivedMessage("agents/a/command/ack", b"{}", retain=False)


class _Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class _View:
    """As much of a view as the exchange looks at."""

    def __init__(self, made_s: float, *closeups: str) -> None:
        self.made_s = made_s
        self.closeups = dict.fromkeys(closeups)


def view(made_s: float, *closeups: str) -> View:
    return cast("View", _View(made_s, *closeups))


def entry(request: str) -> AuditEntry:
    return cast("AuditEntry", request)


def in_thread(call: Any) -> tuple[threading.Thread, list[Any]]:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()), daemon=True)
    thread.start()
    return thread, found


def until(true: Any) -> None:
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_nothing_is_made_while_nobody_looks_and_one_view_serves_many() -> None:
    clock = _Clock()
    exchange = Exchange(monotonic=clock)
    assert exchange.wanted() is None
    thread, found = in_thread(exchange.view)
    until(lambda: exchange.wanted() == ())
    shown = view(clock.now_s)
    exchange.show(shown)
    thread.join(5)
    assert found == [shown]
    assert exchange.view() is shown, "at once, without the pipeline"
    assert exchange.wanted() is None, "the view is young"
    clock.now_s += 1.5
    assert exchange.wanted() == ()
    clock.now_s += 60
    assert exchange.wanted() is None, "nobody has looked for a minute"


def test_a_pipeline_that_does_not_answer_costs_the_request_its_patience_only() -> None:
    exchange = Exchange(monotonic=_Clock(), patience_s=0.05)
    assert exchange.view() is None
    assert exchange.command("request-1", ASKED) is None


def test_a_request_that_waits_does_not_hold_the_pipeline_up() -> None:
    exchange = Exchange(monotonic=_Clock())
    thread, found = in_thread(lambda: exchange.command("request-1", ASKED))
    turns: list[ReceivedMessage] = []
    until(lambda: turns.extend(exchange.commands()) or turns)
    exchange.answer(lambda _: None)  # not obeyed yet: the pipeline's thread is back at once
    assert thread.is_alive()
    exchange.answer(entry)
    thread.join(5)
    assert (turns, found) == ([ASKED], ["request-1"])


def test_an_id_that_waits_already_is_not_handed_in_twice() -> None:
    exchange = Exchange(monotonic=_Clock())
    thread, _ = in_thread(lambda: exchange.command("request-1", ASKED))
    until(lambda: exchange._commands)
    assert exchange.command("request-1", ASKED) is None
    assert exchange.commands() == [ASKED]
    exchange.answer(entry)
    thread.join(5)
    assert not thread.is_alive()


def test_a_full_queue_refuses_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_COMMANDS_LIMIT", 1)
    exchange = Exchange(monotonic=_Clock())
    thread, _ = in_thread(lambda: exchange.command("request-1", ASKED))
    until(lambda: exchange._commands)
    assert exchange.command("request-2", ASKED) is None
    exchange.commands()
    exchange.answer(entry)
    thread.join(5)


def test_after_a_command_nobody_is_shown_what_was_before_it() -> None:
    clock = _Clock()
    exchange = Exchange(monotonic=clock)
    looker, _ = in_thread(exchange.view)
    until(lambda: exchange.wanted() == ())
    exchange.show(view(clock.now_s))
    looker.join(5)
    thread, _ = in_thread(lambda: exchange.command("request-1", ASKED))
    until(exchange.commands)
    exchange.answer(entry)
    thread.join(5)
    assert exchange.wanted() == ()


def test_only_so_many_machines_are_looked_at_closely() -> None:
    exchange = Exchange(monotonic=_Clock(), patience_s=0.0)
    for number in range(30):
        exchange.view(f"m-{number}")
    wanted = exchange.wanted()
    assert wanted is not None
    assert wanted[-1] == "m-29"
    assert len(wanted) <= room._CLOSEUPS_LIMIT


def test_a_curve_keeps_every_excursion_and_no_more_points_than_allowed() -> None:
    peaks = Peaks(stretch_s=10.0, points=5)
    for second in range(1000):
        peaks.add(float(second), 9.0 if second == 985 else 0.1)
    curve = peaks.curve()
    assert curve.times_s == (950.0, 960.0, 970.0, 980.0, 990.0)
    assert [round(score, 1) for score in curve.scores] == [0.1, 0.1, 0.1, 9.0, 0.1]
    peaks.add(3.0, 0.5)
    assert peaks.curve().times_s == (0.0,), "times went back: the curve begins anew"


def test_machines_that_went_are_forgotten() -> None:
    memory = ScoreHistory()
    memory.of("slow"), memory.of("quick")
    memory.keep(["slow"])
    assert list(memory._machines) == ["slow"]


def test_the_least_token_is_long_enough_not_to_be_guessed() -> None:
    assert TOKEN_LEAST >= 16
