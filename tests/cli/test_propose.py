"""What the network says ends up in a proposed configuration as text, whatever its characters are."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cli.discover.propose import written
from edge_agent.cli.discover.survey import Proposal
from edge_agent.config.file import defaults

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
