"""What is proposed beside a configuration in use takes nothing from its own sources."""

import tomllib
from pathlib import Path

from edge_agent.cli.discover.additions import difference, heard_already, with_additions
from edge_agent.cli.discover.propose import written
from edge_agent.cli.discover.survey import Survey
from edge_agent.config.file import Config, load
from edge_agent.records import Delivery

NOW_NS = 1_796_040_005 * 10**9
OWN = """[agent]
name = "hall"

[[source]]
topic = "sensors/{machine}"
format = "json"

[window]
grid_s = 0.5
"""


def test_sources_are_added_for_what_none_of_the_own_hears(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(OWN)
    config = load(path)
    survey = Survey(beside=heard_already(config))
    for topic, payload in (
        ("sensors/m1", b'{"ts": 1796040000, "values": {"a": 1}}'),
        ("new/oven-1/temp", b"180,5"),
        ("new/oven-2/temp", b"179,5"),
    ):
        survey.take_message(Delivery(topic, payload, NOW_NS))
    proposal = survey.propose(seconds=4.0, host_id="hall")
    after = with_additions(OWN, written(config, proposal, seconds=4.0, dropped=0))
    merged = Config.model_validate(tomllib.loads(after))
    assert [source.topic for source in merged.source] == ["sensors/{machine}", "new/{machine}/{channel}"]
    assert merged.source[1].value.decimal == ","
    assert merged.window.grid_s == 0.5
    told = difference(OWN, after, name="agent.toml")
    assert '+topic = "new/{machine}/{channel}"' in told
    assert not any(line.startswith("-") and not line.startswith("---") for line in told.splitlines())
