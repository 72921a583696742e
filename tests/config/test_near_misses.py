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
