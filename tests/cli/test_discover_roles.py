"""What channels seem to be, and their units, are told as guesses from names, values and what stands beside them."""

import pytest

from edge_agent.cli.discover.roles import Role, role_of, unit_of, units_beside


@pytest.mark.parametrize(
    ("name", "values", "role"),
    [
        ("temp", [20.1, 20.4, 20.2] * 5, "measurement"),
        ("SpeedSetpoint", [100.0] * 15, "set point"),
        ("pressure_sp", [3.0, 3.1], "set point"),
        ("spindle", [3.25, 3.1], "measurement"),
        ("parts", [float(n) for n in range(15)], "counter"),
        ("running", [0.0, 1.0, 1.0] * 5, "state"),
        ("limit", [5.5] * 15, "constant"),
        ("few", [1.0, 1.0], "measurement"),
    ],
)
def test_a_role_by_name_and_values(name: str, values: list[float], role: Role) -> None:
    assert role_of(name, values) == role


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("temp_C", "°C"),
        ("oilTempC", "°C"),
        ("Druck [bar]", "bar"),
        ("vib mm/s", "mm/s"),
        ("speed_rpm", "1/min"),
        ("energy.kWh", "kWh"),
        ("flow", ""),
        ("MAC", ""),
        ("zone_a1", ""),
    ],
)
def test_a_unit_at_the_end_of_a_name(name: str, unit: str) -> None:
    assert unit_of(name) == unit


def test_units_stand_behind_or_beside_numbers() -> None:
    assert units_beside(["180,5 °C"]) == {"": "°C"}
    assert units_beside([{"oven": {"zone1": "180 °C"}, "at": "12:00", "day": "2026-11-30"}]) == {
        "oven/zone1": "°C"
    }
    assert units_beside([{"name": "flow", "value": 3.5, "unit": "m3/h"}]) == {"flow": "m3/h"}
    assert units_beside([[{"n": "p", "u": "bar", "v": 1.0}]]) == {"p": "bar"}
    assert units_beside([{"unit": "x" * 99, "value": 1}, {"unit": "a\nb", "value": 1}]) == {}
