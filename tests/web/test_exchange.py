"""Where the threads of requests meet the pipeline's: nobody holds the pipeline up, and everybody gets an answer."""

import threading
import time
from typing import Any, cast

import pytest

from edge_agent.alarms.audit import Entry
from edge_agent.records import ReceivedMessage
from edge_agent.web import exchange as room
from edge_agent.web.auth import TOKEN_LEAST
from edge_agent.web.exchange import Hatch
from edge_agent.web.history import Memory, Peaks
from edge_agent.web.view import Scene

ASKED = ReceivedMessage("agents/a/command/ack", b"{}", retain=False)


class _Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class _Scene:
    """As much of a scene as the hatch looks at."""

    def __init__(self, made_s: float, *closeups: str) -> None:
        self.made_s = made_s
        self.closeups = dict.fromkeys(closeups)


def scene(made_s: float, *closeups: str) -> Scene:
    return cast("Scene", _Scene(made_s, *closeups))


def entry(request: str) -> Entry:
    return cast("Entry", request)


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


def test_nothing_is_made_while_nobody_looks_and_one_scene_serves_many() -> None:
    clock = _Clock()
    hatch = Hatch(monotonic=clock)
    assert hatch.wanted() is None
    thread, found = in_thread(hatch.scene)
    until(lambda: hatch.wanted() == ())
    shown = scene(clock.now_s)
    hatch.show(shown)
    thread.join(5)
    assert found == [shown]
    assert hatch.scene() is shown, "at once, without the pipeline"
    assert hatch.wanted() is None, "the scene is young"
    clock.now_s += 1.5
    assert hatch.wanted() == ()
    clock.now_s += 60
    assert hatch.wanted() is None, "nobody has looked for a minute"


def test_a_pipeline_that_does_not_answer_costs_the_request_its_patience_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "_PATIENCE_S", 0.05)
    hatch = Hatch(monotonic=_Clock())
    assert hatch.scene() is None
    assert hatch.command("request-1", ASKED) is None


def test_a_request_that_waits_does_not_hold_the_pipeline_up() -> None:
    hatch = Hatch(monotonic=_Clock())
    thread, found = in_thread(lambda: hatch.command("request-1", ASKED))
    turns: list[ReceivedMessage] = []
    until(lambda: turns.extend(hatch.commands()) or turns)
    hatch.answer(lambda _: None)  # not obeyed yet: the pipeline's thread is back at once
    assert thread.is_alive()
    hatch.answer(entry)
    thread.join(5)
    assert (turns, found) == ([ASKED], ["request-1"])


def test_an_id_that_waits_already_is_not_handed_in_twice() -> None:
    hatch = Hatch(monotonic=_Clock())
    thread, _ = in_thread(lambda: hatch.command("request-1", ASKED))
    until(lambda: hatch._commands)
    assert hatch.command("request-1", ASKED) is None
    assert hatch.commands() == [ASKED]
    hatch.answer(entry)
    thread.join(5)
    assert not thread.is_alive()


def test_a_full_queue_refuses_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_COMMANDS_LIMIT", 1)
    hatch = Hatch(monotonic=_Clock())
    thread, _ = in_thread(lambda: hatch.command("request-1", ASKED))
    until(lambda: hatch._commands)
    assert hatch.command("request-2", ASKED) is None
    hatch.commands()
    hatch.answer(entry)
    thread.join(5)


def test_after_a_command_nobody_is_shown_what_was_before_it() -> None:
    clock = _Clock()
    hatch = Hatch(monotonic=clock)
    looker, _ = in_thread(hatch.scene)
    until(lambda: hatch.wanted() == ())
    hatch.show(scene(clock.now_s))
    looker.join(5)
    thread, _ = in_thread(lambda: hatch.command("request-1", ASKED))
    until(hatch.commands)
    hatch.answer(entry)
    thread.join(5)
    assert hatch.wanted() == ()


def test_only_so_many_machines_are_looked_at_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_PATIENCE_S", 0.0)
    hatch = Hatch(monotonic=_Clock())
    for number in range(30):
        hatch.scene(f"m-{number}")
    wanted = hatch.wanted()
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
    memory = Memory()
    memory.of("slow"), memory.of("quick")
    memory.keep(["slow"])
    assert list(memory._machines) == ["slow"]


def test_the_least_token_is_long_enough_not_to_be_guessed() -> None:
    assert TOKEN_LEAST >= 16
