"""What is proposed beside a configuration in use takes nothing from its own sources."""

import json
import tomllib
from pathlib import Path

import pytest

from edge_agent.cli.discover.additions import difference, heard_already, with_additions
from edge_agent.cli.discover.propose import needed_limits, written
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


@pytest.mark.parametrize(
    ("own", "limits"),
    [
        (OWN, 500),
        (OWN + '[limits]\nmachines = 7\n[log]\nlevel = "info"\n', 500),
        (OWN + "[limits] # of all\nchannels = 12\n", 500),
        (OWN + "[limits]\n", 500),
    ],
)
def test_the_limit_that_a_machine_needs_is_set_where_the_file_has_its_place(own: str, limits: int) -> None:
    survey = Survey()
    wide = json.dumps({"ts": 1796040000, "values": {f"t{at}": at for at in range(limits)}}).encode()
    survey.take_message(Delivery("new/wide", wide, NOW_NS))
    config = Config.model_validate(tomllib.loads(own))
    proposal = survey.propose(seconds=4.0, host_id="hall")
    after = with_additions(
        own, written(config, proposal, seconds=4.0, dropped=0), limits=needed_limits(config, proposal)
    )
    merged = Config.model_validate(tomllib.loads(after))
    assert merged.limits.channels == limits
    assert merged.limits.machines == config.limits.machines
    assert merged.log == config.log


def test_units_go_with_the_sources() -> None:
    survey = Survey()
    for at in range(6):
        survey.take_message(Delivery("new/oven/zone1", f"{180 + at},5 °C".encode(), NOW_NS + at * 10**9))
        survey.take_message(Delivery("new/oven/flow_lpm", f"{at}.5".encode(), NOW_NS + at * 10**9))
    config = Config.model_validate(tomllib.loads(OWN))
    proposal = survey.propose(seconds=4.0, host_id="hall")
    merged = Config.model_validate(
        tomllib.loads(with_additions(OWN, written(config, proposal, seconds=4.0, dropped=0)))
    )
    assert merged.machine[0].units == {"zone1": "°C", "flow_lpm": "l/min"}
