"""What a channel seems to be: its role by its name and values, its unit by its name or by what stands beside it. Pure.

A guess to be read, not a setting: what a channel is counts once its machine has been learnt (`[[channel]] kind`
overrules that). Units are told to people only.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

from edge_agent.cli.discover.columns import leaves

Role = Literal["measurement", "state", "counter", "set point", "constant"]

_SET = re.compile(r"(?:^|[^a-z])(?:set|sp|setpoint|target|soll|demand|ref|reference|command|cmd)(?:$|[^a-z])")
_UNITS: Mapping[str, str] = {
    "c": "°C", "degc": "°C", "celsius": "°C", "°c": "°C", "f": "°F", "degf": "°F", "k": "K", "bar": "bar",
    "mbar": "mbar", "pa": "Pa", "kpa": "kPa", "mpa": "MPa", "psi": "psi", "rpm": "1/min", "hz": "Hz", "khz": "kHz",
    "a": "A", "amp": "A", "amps": "A", "ma": "mA", "v": "V", "volt": "V", "volts": "V", "mv": "mV", "kv": "kV",
    "w": "W", "kw": "kW", "kwh": "kWh", "wh": "Wh", "nm": "Nm", "kn": "kN", "mm": "mm", "um": "µm", "µm": "µm",
    "cm": "cm", "m3h": "m³/h", "lmin": "l/min", "lpm": "l/min", "kg": "kg", "kgh": "kg/h", "mms": "mm/s",
    "percent": "%", "pct": "%", "%": "%", "ppm": "ppm", "db": "dB",
}  # fmt: skip
"""How units are written at the end of names, in lower case and without marks."""
_EDGE = re.compile(r"[_\s.\-\[(]+|(?<=[a-z])(?=[A-Z])")
"""Where the last word of a name may begin: behind a mark, or with a capital."""
_BEHIND = re.compile(r"^[+-]?[\d.,\s]*\d\s*([^\d\s.,:+-][^\d\s:]{0,9})$")
_UNIT_KEYS = ("unit", "units", "uom", "engineeringUnits", "eu", "Unit", "u")
_FEW, _STATES = 12, 4
_UNIT_CHARS = 20


def role_of(name: str, values: Sequence[float]) -> Role:
    """What a channel of this name and these values seems to be."""
    if _SET.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()):
        return "set point"
    whole = all(float(value).is_integer() for value in values)
    distinct = set(values)
    if len(values) >= _FEW and len(distinct) == 1:
        return "constant"
    rises = all(later >= earlier for earlier, later in pairwise(values))
    if len(values) >= _FEW and rises and whole and len(distinct) > _STATES:
        return "counter"
    return "state" if whole and len(values) >= _FEW and len(distinct) <= _STATES else "measurement"


def unit_of(name: str) -> str:
    """The unit at the end of a name; "" where none is."""
    for edge in _EDGE.finditer(name):
        word = "".join(one for one in name[edge.end() :].lower() if one not in "/³² ])")
        if word in _UNITS:
            return _UNITS[word]
    return ""


def units_beside(messages: Sequence[Any]) -> dict[str, str]:
    """Units in messages, behind a number ("180 °C") or beside it ({"value", "unit"}), by the name they go with."""
    found: dict[str, str] = {}
    for message in messages:
        for item in message if isinstance(message, list) else [message]:
            for path, value in leaves(item):
                if isinstance(value, str) and (behind := _BEHIND.match(value.strip())):
                    found.setdefault(path, behind.group(1))
            for name, unit in _beside(item, ""):
                found.setdefault(name, unit)
    return {name: unit for name, unit in found.items() if unit.isprintable() and len(unit) <= _UNIT_CHARS}


def _beside(item: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(item, dict):
        unit = next((item[key] for key in _UNIT_KEYS if isinstance(item.get(key), str)), "")
        own = next(
            (
                item[key]
                for key in ("name", "id", "tag", "n", "DisplayName")
                if isinstance(item.get(key), str)
            ),
            name,
        )
        if unit and any(isinstance(value, int | float) for value in item.values()):
            yield own, unit
        for key, inner in item.items():
            yield from _beside(inner, f"{name}/{key}" if name else str(key))
    elif isinstance(item, list):
        for inner in item:
            yield from _beside(inner, name)
