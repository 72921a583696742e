"""Templates agree with what an MQTT broker would do with their filter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from edge_agent.topics import NAME_LIMIT_CHARS, is_name, parse, parse_name

HOLES = frozenset({"machine", "channel"})
MACHINE = frozenset({"machine"})
NAMES = st.text(st.characters(exclude_characters="+#/"), min_size=1, max_size=20).filter(is_name)


def test_names_come_out_of_the_topic() -> None:
    template = parse("plant/{machine}/data/{channel}", allowed=HOLES, required=MACHINE)
    assert template.subscription == "plant/+/data/+"
    assert template.match("plant/pump-1/data/flow") == {"machine": "pump-1", "channel": "flow"}
    assert template.match("plant/pump-1/data") is None
    assert template.match("plant/pump-1/other/flow") is None
    assert template.match("plant/pump-1/data/flow/more") is None


@given(st.lists(st.sampled_from(["a", "b", "plant", "x y", "é"]), min_size=1, max_size=4))
def test_a_topic_matches_when_the_brokers_filter_does(levels: list[str]) -> None:
    template = parse("a/{machine}/b", allowed=HOLES, required=MACHINE)
    topic = "/".join(levels)
    assert (template.match(topic) is not None) == topic_matches_sub(template.subscription, topic)


@given(
    st.lists(st.sampled_from(["a", "+", "{machine}", "b"]), min_size=1, max_size=4).filter(
        lambda levels: levels.count("{machine}") < 2
    ),
    st.sampled_from([[], ["#"]]),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5),
)
def test_wildcards_match_as_the_broker_matches(levels: list[str], many: list[str], topic: list[str]) -> None:
    text = "/".join([*levels, *many])
    template = parse(text, allowed=None, required=frozenset(), wildcards=True)
    assert template.subscription == text.replace("{machine}", "+")
    found = template.match("/".join(topic))
    assert (found is not None) == topic_matches_sub(template.subscription, "/".join(topic))


@pytest.mark.parametrize("text", ["/{machine}/t", "{machine}/t/", "a//{machine}"])
def test_what_is_heard_may_have_empty_levels(text: str) -> None:
    template = parse(text, allowed=None, required=MACHINE, wildcards=True)
    topic = text.replace("{machine}", "m1")
    assert template.match(topic) == {"machine": "m1"}
    assert template.match(f"{topic}/more") is None
    assert template.subscription == text.replace("{machine}", "+")
    with pytest.raises(ValueError, match="empty level"):
        parse(text, allowed=HOLES, required=MACHINE)


@pytest.mark.parametrize("text", ["a/#/b", "a+", "a#", "{a}b/{machine}", "#", "/", "//"])
def test_wildcards_fill_whole_levels_and_only_the_last_may_be_many(text: str) -> None:
    with pytest.raises(ValueError, match=r"level|empty"):
        parse(text, allowed=None, required=frozenset(), wildcards=True)


def test_a_name_is_put_together_from_placeholders() -> None:
    pattern = parse_name("{site}.{machine}")
    assert pattern.placeholders == {"site", "machine"}
    assert pattern.fill({"site": "{machine}", "machine": "m", "other": "x"}) == "{machine}.m"
    assert parse_name("press-4").fill({}) == "press-4"


@pytest.mark.parametrize("text", ["", "a/{machine}", "{machine", "+{machine}", "{Machine}", "x\n"])
def test_a_pattern_that_gives_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="gives no name"):
        parse_name(text)


@given(NAMES, NAMES)
def test_filling_a_template_undoes_matching(machine: str, channel: str) -> None:
    template = parse("s/{machine}/{channel}", allowed=HOLES, required=MACHINE)
    assert template.match(template.fill(machine=machine, channel=channel)) == {
        "machine": machine,
        "channel": channel,
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sensors/#", "wildcards"),
        ("sensors/+", "wildcards"),
        ("sensors/m-{machine}", "whole level"),
        ("sensors/{machine}/{machine}", "twice"),
        ("sensors/{engine}", "unknown placeholder"),
        ("sensors/{channel}", "lacks {machine}"),
        ("sensors//{machine}", "empty level"),
        ("$SYS/{machine}", "starts with"),
        ("", "empty"),
    ],
)
def test_a_template_that_makes_no_sense_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse(text, allowed=HOLES, required=MACHINE)


@pytest.mark.parametrize(
    "text", ["", "a/b", "a+", "#", "a\0", "a\nb", "\udcff", "\x1b[31m", "x" * (NAME_LIMIT_CHARS + 1)]
)
def test_names_that_would_break_a_topic_a_log_line_or_a_label_are_refused(text: str) -> None:
    assert not is_name(text)
