"""A recipe that is told in words is a number by the source's `words`; any other text is turned away by itself."""

import json

from edge_agent.formats import json_row
from edge_agent.formats.mapping.reading import Reading
from edge_agent.formats.mapping.values import ValueReader, ValueRule
from edge_agent.formats.origin import Origin
from edge_agent.records import Frame

READING = Reading(values=ValueReader(ValueRule(words={"A17": 17.0, "B3": 3.0})))
NOW_NS = 1_800_000_000_000_000_000


def row(program: object) -> Frame:
    payload = json.dumps({"values": {"program": program, "current": 2.5}}).encode()
    found = json_row.decode(payload, Origin("robot-1", None, NOW_NS, 0, reading=READING))
    assert isinstance(found, Frame)
    return found


def test_a_word_of_the_source_is_the_recipes_number() -> None:
    assert row("A17").channels == ("program", "current")
    assert list(row("A17").rows[0]) == [17.0, 2.5]
    assert list(row("b3").rows[0]) == [3.0, 2.5]


def test_any_other_text_is_turned_away_and_the_measured_channels_stay() -> None:
    for text in ("C9", "x" * 10_000):
        frame = row(text)
        assert (frame.channels, list(frame.rows[0])) == (("current",), [2.5])
        assert [name for name, _ in frame.bad_values] == ["program"]
