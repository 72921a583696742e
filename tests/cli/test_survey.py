"""A survey hears a whole broker: whatever is said there, it proposes something, and loses nothing unsaid."""

import json

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cli.discover.survey import Survey
from edge_agent.records import Delivery

NOW_NS = 1_700_000_000 * 10**9
LEVELS = st.sampled_from(["hall", "press-1", "oven", "temp", "$SYS", "ä", " ", "", "+", "\x00", "{machine}"])
TOPICS = st.lists(LEVELS, min_size=1, max_size=5).map("/".join) | st.text(max_size=20)
KINDS = st.sampled_from(["NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "NCMD", "STATE", "WHAT"])
SPARKPLUG = st.tuples(st.just("spBv1.0"), LEVELS, KINDS, LEVELS, LEVELS).map("/".join)
NUMBERS = st.integers() | st.floats() | st.booleans() | st.none()
JSON = st.recursive(
    NUMBERS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())
PAYLOADS = st.binary(max_size=60) | JSON | st.sampled_from([b"1", b"m a=1 1", b'{"t":1e400}', b'{"ts":"x"}'])
MESSAGES = st.lists(st.tuples(TOPICS | SPARKPLUG, PAYLOADS), max_size=12)


@given(MESSAGES, st.floats(min_value=0.1, max_value=1e6))
def test_no_message_makes_a_survey_fail_and_every_topic_is_told_of(
    messages: list[tuple[str, bytes]], seconds: float
) -> None:
    survey = Survey(own=lambda topic: topic.startswith("alerts/"))
    for topic, payload in messages:
        survey.take_message(Delivery(topic, payload, NOW_NS))
    proposal = survey.propose(seconds=seconds, host_id="host")
    plain = {topic for topic, _ in messages if not topic.startswith("spBv1.0/")}
    lost = {entry["topic"] for entry in proposal.undecodable}
    assert bool(plain - lost) == any(source["format"] != "sparkplug" for source in proposal.sources)
    assert lost <= {topic for topic, _ in messages}
    assert all(entry["reason"] for entry in proposal.undecodable)


def test_a_topic_that_nobody_can_read_is_told_of_with_its_reason_and_its_count() -> None:
    survey = Survey()
    for _ in range(30):
        survey.take_message(Delivery("hall/oven", b"\xff\xfe\x00", NOW_NS))
    survey.take_message(Delivery("hall/press", b'{"temp": 1.5}', NOW_NS))
    proposal = survey.propose(seconds=10.0, host_id="host")
    assert [(entry["topic"], entry["messages"]) for entry in proposal.undecodable] == [("hall/oven", 30)]
    assert [machine["channels"] for machine in proposal.machines] == [["temp"]]
