"""What the network says ends up in a proposed configuration as text, whatever its characters are."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cli.discover.propose import _expressible, written
from edge_agent.cli.discover.survey import Proposal, Survey
from edge_agent.config.file import defaults
from edge_agent.records import Delivery

_TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.sampled_from(
    ['\x7f"\\', "\x1b[2J\u202e", "pump \U0001f600", "a\r\nb", "\x9b31m"]
)


@given(_TEXTS, _TEXTS)
def test_any_text_of_the_network_comes_back_out_of_the_configuration(topic: str, machine: str) -> None:
    source = {"topic": topic, "format": "json", "machine": machine}
    lost = {"topic": f"{topic}\ud800", "messages": 1, "reason": "not_json"}
    known = {"machine": machine, "format": "json", "per_s": 1, "channels": [topic]}
    text = written(defaults(), Proposal([source], [known], [lost]), seconds=1.0, dropped=0)
    assert tomllib.loads(text)["source"] == [source]
    assert all(one.isprintable() or one == "\n" for one in text)


def test_a_source_that_no_configuration_can_hold_costs_no_other() -> None:
    good = {"topic": "sensors/{machine}", "format": "json", "machine": "{machine}"}
    odd = {"topic": "plant/{machine}x/y", "format": "json", "machine": "y"}
    proposal = _expressible(defaults(), Proposal([odd, good], [], []))
    assert proposal.sources == [good]
    assert [entry["topic"] for entry in proposal.undecodable] == ["plant/{machine}x/y"]


def test_topics_with_braces_are_named_and_the_others_proposed() -> None:
    survey = Survey()
    for topic in ("sensors/m1", "sensors/m2", "plant/{machine}/x", "a{b}/m2", "{machine}"):
        survey.take_message(Delivery(topic, b'{"values": {"p": 1.0}}', 0))
    proposal = survey.propose(seconds=1.0, host_id="host")
    assert [source["topic"] for source in proposal.sources] == ["sensors/{machine}"]
    assert {entry["topic"] for entry in proposal.undecodable} == {"plant/{machine}/x", "a{b}/m2", "{machine}"}
