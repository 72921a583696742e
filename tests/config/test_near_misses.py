"""A setting that is nearly right is told with its line and the one that was meant; one name of two sources is said."""

from pathlib import Path

import pytest

from edge_agent.config.file import load, summary
from edge_agent.errors import ConfigError

TWO = """
[[source]]
topic = "tele/press_1/SENSOR"
machine = "SENSOR"
[[source]]
topic = "tele/press_2/SENSOR"
machine = "SENSOR"
"""


def test_what_is_nearly_a_setting_of_a_table_below_a_source_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("""
[[source]]
topic = "a/{machine}"
format = "json_path"
tiemzone = "UTC"
[source.map]
valeus = ["/v"]
[source.value]
decimals = ","
""")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert set(caught.value.findings) == {
        ("source.1.tiemzone (line 5)", "is no setting; did you mean 'timezone'?"),
        ("source.1.map.valeus (line 7)", "is no setting; did you mean 'values'?"),
        ("source.1.value.decimals (line 9)", "is no setting; did you mean 'decimal'?"),
    }


def test_one_name_of_two_sources_is_said(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(TWO)
    (line,) = summary(load(path))["joined"]
    assert line.startswith("SENSOR: tele/press_1/SENSOR and tele/press_2/SENSOR")
    path.write_text(TWO.replace('"SENSOR"', '"p1"', 1))
    assert "joined" not in summary(load(path))


def test_all_that_is_wrong_with_one_source_is_said_in_one_round(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("""
[[source]]
topic = "a/#/b"
format = "json_path"
tiemzone = "UTC"
time_format = "%H"
timezone = "Europe/Berln"
channel = "{tag}.{/id"
[source.map]
valeus = ["/v"]
time = "ts"
values = ["v"]
[source.quality]
place = ""
[[source]]
topic = "c/{line}"
quality = {place = "q"}
clock = "never"
[source.will]
[[source]]
topic = "d/{machine}"
machine = "{machine}/x"
preset = "tasmotta"
""")
    with pytest.raises(ConfigError) as caught:
        load(path)
    told = dict(caught.value.findings)
    assert set(told) == {
        "source.1.tiemzone (line 5)",
        "source.1.topic (line 3)",
        "source.1.time_format (line 6)",
        "source.1.timezone (line 7)",
        "source.1.channel (line 8)",
        "source.1.map.valeus (line 10)",
        "source.1.map (line 9)",
        "source.1.quality (line 13)",
        "source.2.topic (line 16)",
        "source.2.quality (line 17)",
        "source.2.clock (line 18)",
        "source.2.will (line 19)",
        "source.3.machine (line 22)",
        "source.3.preset (line 23)",
    }
    assert told["source.1.map (line 9)"].count("is no JSON pointer") == 2
    assert told["source.3.preset (line 23)"].endswith("did you mean 'tasmota'?")


def test_what_depends_on_a_setting_that_is_wrong_is_not_said(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("""
[[source]]
topic = "a/{machine}"
format = "jsn_path"
[source.map]
time = "/ts"
""")
    with pytest.raises(ConfigError) as caught:
        load(path)
    ((place, what),) = caught.value.findings  # and not that JSON takes no map
    assert place == "source.1.format (line 4)"
    assert what.endswith("did you mean 'json_path'?")
