"""The threshold's state machine."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.decide import Decider, DecideSettings

RULES = DecideSettings(on_windows=2, off_windows=3, release=0.5)


def verdicts(*scores: float, recent: tuple[float, ...] = ()) -> list[str]:
    """By the whole window; its newest rows say the same where `recent` does not tell otherwise."""
    decider = Decider(RULES)
    newest = [*recent, *scores[len(recent) :]]
    return [decider.step(score, recent=new) for score, new in zip(scores, newest, strict=True)]


def test_one_window_above_is_not_enough() -> None:
    assert verdicts(0, 2, 0, 2) == ["calm"] * 4


def test_opens_after_the_on_delay_and_closes_after_the_off_delay() -> None:
    assert verdicts(2, 2, 0.1, 0.1, 0.1, 0.1) == [
        "calm",
        "opened",
        "anomalous",
        "anomalous",
        "closed",
        "calm",
    ]


def test_hovering_below_the_threshold_but_above_release_keeps_it_open() -> None:
    assert verdicts(2, 2, *[0.7] * 10)[-1] == "anomalous"


@given(st.lists(st.floats(0, 3), max_size=80))
def test_openings_and_closings_alternate(scores: list[float]) -> None:
    turns = [verdict for verdict in verdicts(*scores) if verdict in ("opened", "closed")]
    assert turns == (["opened", "closed"] * len(turns))[: len(turns)]


def test_an_alarm_closes_when_the_newest_rows_are_calm_though_the_window_still_holds_the_fault() -> None:
    said = verdicts(2, 2, 2, 2, 2, 2, recent=(2, 2, 2, 0, 0, 0))
    assert said == ["calm", "opened", "anomalous", "anomalous", "anomalous", "closed"]


def test_a_fault_that_only_the_whole_window_shows_stays_open() -> None:
    assert verdicts(*[2] * 9, recent=(0,) * 9)[1:] == ["opened", *["anomalous"] * 7]


def test_the_same_fault_does_not_open_twice_but_the_next_one_does() -> None:
    fault_ends = (2, 2, 2, 0, 0, 0, 0, 0)
    assert verdicts(*[2] * 8, recent=fault_ends).count("opened") == 1
    assert verdicts(*[2] * 10, recent=(*fault_ends, 2, 2))[-1] == "opened"
    assert verdicts(*[2] * 8, 0, 2, 2, recent=(*fault_ends, 0, 0, 0))[-1] == "opened"


def test_newest_rows_alone_open_no_alarm_below_the_threshold() -> None:
    assert set(verdicts(*[0.9] * 5, recent=(2,) * 5)) == {"calm"}
