"""What an agent says never comes back as sensor data: compared once, by MQTT's own rules of filters."""

from itertools import product
from pathlib import Path

import pytest

from edge_agent.config.file import Config, defaults, load
from edge_agent.config.own_topics import own_words
from edge_agent.errors import ConfigError
from edge_agent.topics import filter_covers, filters_overlap

LEVELS = ("a", "b", "+")
FILTERS = [
    "/".join((*levels, *end))
    for depth in range(3)
    for levels in product(LEVELS, repeat=depth)
    for end in ((), ("#",))
    if levels or end
]
TOPICS = ["/".join(levels) for depth in range(1, 5) for levels in product("abc", repeat=depth)]


def taken(pattern: str) -> frozenset[str]:
    """The topics that a broker gives a subscriber of the filter; MQTT 3.1.1, section 4.7."""

    def matches(levels: list[str], topic: list[str]) -> bool:
        if levels and levels[0] == "#":
            return True
        if not levels or not topic:
            return levels in ([], ["#"]) and not topic
        return levels[0] in ("+", topic[0]) and matches(levels[1:], topic[1:])

    return frozenset(topic for topic in TOPICS if matches(pattern.split("/"), topic.split("/")))


def test_filters_are_compared_as_a_broker_would() -> None:
    for one, other in product(FILTERS, repeat=2):
        assert filters_overlap(one, other) == bool(taken(one) & taken(other)), (one, other)
        assert filter_covers(one, other) == (taken(one) >= taken(other)), (one, other)


def config(text: str, folder: Path) -> Config:
    file = folder / "agent.toml"
    file.write_text(text)
    return load(file)


WIDE = '[[source]]\ntopic = "{machine}/#"\nformat = "json"\n'


@pytest.mark.parametrize(
    "topic",
    [
        "agents/hall/status",
        "agents/another/status",
        "agents/hall/cmd/ack",
        "agents/hall/reply/7",
        "agents/hall/flood",
        "agents/hall/echo",
        "agents/hall/doctor",
        "agents/line/members/hall",
        "alerts/pump-1",
        "alerts/pump-1/0123",
    ],
)
def test_a_source_of_a_whole_broker_leaves_out_what_agents_say(topic: str, tmp_path: Path) -> None:
    is_own = config(WIDE, tmp_path).is_own
    assert is_own(topic)
    assert not is_own(f"plant/{topic}")
    assert not is_own("pump-1/temperature")


def test_topics_that_were_moved_are_left_out_where_they_are(tmp_path: Path) -> None:
    is_own = config(f'{WIDE}[alerts]\ntopic = "plant/{{machine}}/alarm"\n', tmp_path).is_own
    assert is_own("plant/pump-1/alarm/7")
    assert not is_own("alerts/pump-1")


def test_nothing_is_compared_where_the_topics_lie_apart() -> None:
    assert not defaults().is_own("agents/edge-agent/status")  # no source takes it in


@pytest.mark.parametrize(
    "topic",
    ["alerts/{machine}", "alerts/{machine}/#", "agents/{machine}/status", "agents/{x}/reply/{machine}"],
)
def test_a_source_of_nothing_but_own_words_is_refused(topic: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        config(f'[[source]]\ntopic = "sensors/{{machine}}"\n[[source]]\ntopic = "{topic}"\n', tmp_path)
    ((where, what),) = caught.value.findings
    assert where == "source.2.topic (line 4)"
    assert "nothing but the agent's own topics" in what


def test_a_survey_of_a_whole_broker_knows_them_all() -> None:
    assert own_words(defaults().own_filters, ["#"])("agents/hall/status")
