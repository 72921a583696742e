"""The threshold's state machine."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.detect.trigger import (
    OnDelaySettings,
    Trigger,
    TriggerSettings,
    TriggerSnapshot,
    on_delay_windows,
)

RULES = TriggerSettings(on_delay_windows=2, off_delay_windows=3, release=0.5)


def states(*scores: float, recent: tuple[float, ...] = (), span: int = 0) -> list[str]:
    """By the whole window of `span` windows; its newest rows say the same where `recent` does not tell otherwise."""
    trigger = Trigger(RULES)
    newest = [*recent, *scores[len(recent) :]]
    return [
        trigger.step(score, recent=new, span_windows=span) for score, new in zip(scores, newest, strict=True)
    ]


def test_one_window_above_is_not_enough() -> None:
    assert states(0, 2, 0, 2) == ["normal"] * 4


def test_opens_after_the_on_delay_and_closes_after_the_off_delay() -> None:
    assert states(2, 2, 0.1, 0.1, 0.1, 0.1) == [
        "normal",
        "raised",
        "active",
        "active",
        "cleared",
        "normal",
    ]


@pytest.mark.parametrize(
    ("hop_s", "windows"), [(0.05, 6), (1, 6), (10, 6), (12, 5), (20, 3), (30, 2), (60, 2), (300, 2)]
)
def test_the_on_delay_is_a_minute_but_two_to_six_windows(hop_s: float, windows: int) -> None:
    assert on_delay_windows(OnDelaySettings(), hop_ns=round(hop_s * 1e9)) == windows


def test_the_on_delay_can_be_set() -> None:
    assert on_delay_windows(OnDelaySettings(on_s=0), hop_ns=10**9) == 2
    assert on_delay_windows(OnDelaySettings(on_s=4), hop_ns=10**9) == 4


def test_another_on_delay_counts_from_the_next_window_on() -> None:
    trigger = Trigger(RULES)
    trigger.step(2, recent=2)
    trigger.adopt(replace(RULES, on_delay_windows=3))
    assert [trigger.step(2, recent=2) for _ in range(2)] == ["normal", "raised"]


def test_hovering_below_the_threshold_but_above_release_keeps_it_open() -> None:
    assert states(2, 2, *[0.7] * 10)[-1] == "active"


@given(st.lists(st.floats(0, 3), max_size=80))
def test_openings_and_closings_alternate(scores: list[float]) -> None:
    turns = [state for state in states(*scores) if state in ("raised", "cleared")]
    assert turns == (["raised", "cleared"] * len(turns))[: len(turns)]


def test_an_alarm_closes_when_the_newest_rows_are_normal_though_the_window_still_holds_the_fault() -> None:
    said = states(2, 2, 2, 2, 2, 2, recent=(2, 2, 2, 0, 0, 0))
    assert said == ["normal", "raised", "active", "active", "active", "cleared"]


def test_an_alarm_stays_open_for_two_windows_lengths_while_its_fault_is_seen_in_the_newest_rows() -> None:
    quiet = (0.1,) * 12
    told = states(2, 2, *quiet, recent=(2, 2, *(2.0,) * 12), span=4)
    assert told.index("cleared") == 2 + 3 + 2 * 4 - 1
    over = states(2, 2, *quiet, recent=(2, 2, *(2.0,) * 5, *(0.1,) * 7), span=4)
    assert over.index("cleared") == 2 + 5  # as soon as the newest rows are normal again


def test_a_fault_that_only_the_whole_window_shows_stays_open() -> None:
    assert states(*[2] * 9, recent=(0,) * 9)[1:] == ["raised", *["active"] * 7]


def test_the_same_fault_does_not_open_twice_but_the_next_one_does() -> None:
    fault_ends = (2, 2, 2, 0, 0, 0, 0, 0)
    assert states(*[2] * 8, recent=fault_ends).count("raised") == 1
    assert states(*[2] * 10, recent=(*fault_ends, 2, 2))[-1] == "raised"
    assert states(*[2] * 8, 0, 2, 2, recent=(*fault_ends, 0, 0, 0))[-1] == "raised"


def test_newest_rows_alone_open_no_alarm_below_the_threshold() -> None:
    assert set(states(*[0.9] * 5, recent=(2,) * 5)) == {"normal"}


ENDED = (2, 2, 2, 0, 0, 0, 0, 0)
"""A fault that is over after the third window, as the newest rows see it; closed with the sixth."""


def test_the_end_of_a_fault_is_no_alarm_although_the_score_falls_and_rises_again() -> None:
    echo = (*[2] * 6, 0, 0, 2, 2, 2, 0)
    assert states(*echo, recent=(*ENDED, 0, 0, 0, 0)).count("raised") == 2
    assert states(*echo, recent=(*ENDED, 0, 0, 0, 0), span=9).count("raised") == 1


def test_a_fault_that_begins_in_the_echo_opens_by_its_newest_rows_or_else_when_the_window_has_let_go() -> (
    None
):
    faults = (*[2] * 6, 0, 0, *[2] * 6)
    seen = states(*faults, recent=(*ENDED, 2, 2, 2, 2, 2, 2), span=9)
    assert seen.index("raised", 2) == 9
    unseen = states(*faults, recent=(*ENDED, 0, 0, 0, 0, 0, 0), span=9)
    assert unseen.index("raised", 2) == 3 - 1 + 9 + 1


def test_a_restart_in_the_echo_changes_no_state() -> None:
    first, whole = Trigger(RULES), Trigger(RULES)
    scores, newest = (*[2] * 6, 0, 0, *[2] * 6), (*ENDED, *[0] * 6)
    said = [whole.step(score, recent=new, span_windows=9) for score, new in zip(scores, newest, strict=True)]
    for score, new in zip(scores[:8], newest[:8], strict=True):
        first.step(score, recent=new, span_windows=9)
    second = Trigger(RULES)
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.save()), type=TriggerSnapshot))
    went_on = [
        second.step(score, recent=new, span_windows=9)
        for score, new in zip(scores[8:], newest[8:], strict=True)
    ]
    assert went_on == said[8:]


def test_what_an_earlier_release_wrote_down_is_read() -> None:
    before = msgspec.msgpack.encode({"anomalous": True, "run": 3, "seen_recent": True, "armed": False})
    assert msgspec.msgpack.decode(before, type=TriggerSnapshot) == TriggerSnapshot(
        anomalous=True, run=3, seen_recent=True, armed=False
    )
