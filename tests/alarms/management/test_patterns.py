"""Who is meant by a name, a display name, a pattern, or a place and a pattern."""

import pytest

from edge_agent.alarms.management.patterns import is_pattern, matching
from edge_agent.signals.machine_rules import MachineFacts

MACHINES = {
    "press-1": MachineFacts(display_name="Old press", location="hall 2/line1"),
    "press-2": MachineFacts(location="hall 2/line1"),
    "press 3": MachineFacts(location="line2"),
    "pümpe*": MachineFacts(),
}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("press-1", ("press-1",)),
        ("Old press", ("press-1",)),
        ("press-*", ("press-1", "press-2")),
        ("line1/*", ("press-1", "press-2")),
        ("hall 2/line1/*2", ("press-2",)),
        ("line?/press*", ("press 3", "press-1", "press-2")),
        ("press 3", ("press 3",)),
        ("pümpe*", ("pümpe*",)),
        ("*", ("press 3", "press-1", "press-2", "pümpe*")),
        ("line1/", ()),
        ("line9/*", ()),
        ("press", ()),
        ("PRESS-1", ()),
        ("[", ()),
    ],
)
def test_a_text_means_machines(text: str, meant: tuple[str, ...]) -> None:
    assert matching(text, MACHINES) == meant


def test_a_plain_name_is_no_pattern() -> None:
    assert [is_pattern(text) for text in ("press 3", "a*", "a/b")] == [False, True, True]
