"""The threshold's state machine."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.decide import Decider, DecideSettings

RULES = DecideSettings(on_windows=2, off_windows=3, release=0.5)


def verdicts(*scores: float) -> list[str]:
    decider = Decider(RULES)
    return [decider.step(score) for score in scores]


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
