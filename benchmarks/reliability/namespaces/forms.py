"""Plants that call their things in different ways: what they say at an instant, and which machines that makes.

Every plant is made up here. `says` gives (topic, payload) of one instant; `machines` what is right: each machine's
channels. A plant with `node` speaks Sparkplug, too; the runner does that.
"""

import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

Message = tuple[str, bytes]
Says = Callable[[int, float], Iterator[Message]]


@dataclass(frozen=True, slots=True)
class Plant:
    """One namespace.

    Attributes:
        about: in words. says: the messages of instant `at`, whose time is `ts` in Unix seconds.
        machines: channels by machine. period_s: between instants.
        node: channels of a Sparkplug device `D` of node `N` in group `G` that speaks beside.
    """

    about: str
    says: Says
    machines: Mapping[str, frozenset[str]]
    period_s: float = 0.1
    node: tuple[str, ...] = ()


def value(who: str, at: int) -> float:
    """A channel's value at an instant: a level of its own, a slow wave, noise."""
    seed = zlib.crc32(who.encode())
    level = 5 + seed % 90
    noise = float(np.random.default_rng((seed, at)).normal())
    return round(level + 0.05 * level * math.sin(at / 9 + seed % 7) + 0.01 * level * noise, 4)


def _row(machine: str, names: tuple[str, ...], at: int) -> dict[str, float]:
    return {name: value(f"{machine}/{name}", at) for name in names}


def _json(item: object) -> bytes:
    return json.dumps(item).encode()


def _iso(ts: float) -> str:
    return datetime.fromtimestamp(ts, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_PRESS = ("pressure", "flow", "current")


def _uniform(at: int, ts: float) -> Iterator[Message]:
    for hall in range(1, 5):
        for number in range(1, 11):
            name = f"press-{number:02d}"
            yield (
                f"plant/hall-{hall}/{name}/data",
                _json({"ts": ts, "values": _row(f"{hall}{name}", _PRESS, at)}),
            )


def _tags(at: int, ts: float) -> Iterator[Message]:
    for machine in ("filler 1", "filler 2", "labeller.3"):
        for name in ("Speed", "Torque", "Temp_°C"):
            good = (at + len(name)) % 37 != 0
            told = value(f"{machine}{name}", at) if good else 0.0
            yield (
                f"scada/line 7/{machine}/{name}",
                _json({"value": told, "timestamp": round(ts * 1000), "quality": "GOOD" if good else "BAD"}),
            )


def _mixed(at: int, ts: float) -> Iterator[Message]:
    for name in ("press1", "press2"):
        yield (
            f"werk/{name}/telemetry",
            _json({"time": _iso(ts), "force": value(f"w{name}f", at), "stroke": value(f"w{name}s", at)}),
        )
    for name in ("oven1", "oven2"):
        for channel in ("zone1", "zone2"):
            yield (
                f"werk/{name}/{channel}",
                f"{value(name + channel, at):.2f}".replace(".", ",").encode() + b" \xc2\xb0C",
            )
    yield "werk/agv/status", b"idle"
    for name in ("press1", "press2"):
        yield (
            f"plant-b/{name}/telemetry",
            _json({"header": {"t": round(ts * 1000)}, "body": _row(f"b{name}", ("force", "stroke"), at)}),
        )


def _keys(at: int, ts: float) -> Iterator[Message]:
    row = {
        device: [{"ts": round(ts * 1000), "values": _row(device, ("temp", "rms"), at)}]
        for device in ("Pump A", "Pump B", "Fan 3")
    }
    yield "v1/gateway/telemetry", _json(row)


def _two_nodes(at: int, ts: float) -> Iterator[Message]:
    for node in ("mill-1", "mill-2"):
        yield (
            "neuron/mqtt/upload",
            _json(
                {
                    "node": node,
                    "group": "g",
                    "timestamp": round(ts * 1000),
                    "values": _row(node, ("speed", "load", "temp"), at),
                    "errors": {"spare": 2000},
                }
            ),
        )


def _opcua(at: int, ts: float) -> Iterator[Message]:
    for number, writer in enumerate(("Extruder1", "Extruder2"), start=1):
        fields = {
            name: {"Value": told, "SourceTimestamp": _iso(ts), "StatusCode": {"Code": 0}}
            for name, told in _row(writer, ("Melt", "Screw", "Power"), at).items()
        }
        yield (
            f"opcua/json/data/site/{writer}",
            _json(
                {
                    "MessageId": f"m{at}-{number}",
                    "MessageType": "ua-data",
                    "PublisherId": "site",
                    "Messages": [
                        {
                            "DataSetWriterId": number,
                            "SequenceNumber": at,
                            "Timestamp": _iso(ts),
                            "Payload": fields,
                        }
                    ],
                }
            ),
        )


def _beside_sparkplug(at: int, ts: float) -> Iterator[Message]:
    for name in ("saw-1", "saw-2"):
        yield f"wood/{name}", _json({"ts": ts, "values": _row(name, ("feed", "amps"), at)})


def _bare(at: int, _ts: float) -> Iterator[Message]:
    for line in range(10):
        for machine in range(10):
            for tag in range(30):
                yield (
                    f"factory/l{line}/m{machine}/tag{tag:02d}",
                    f"{value(f'{line}.{machine}.{tag}', at):.3f}".encode(),
                )


def _names(machines: list[str], channels: tuple[str, ...]) -> dict[str, frozenset[str]]:
    return dict.fromkeys(machines, frozenset(channels))


PLANTS: Mapping[str, Plant] = {
    "uniform": Plant(
        "40 machines of one form, JSON of the agent's own",
        _uniform,
        _names([f"hall-{h}.press-{n:02d}" for h in range(1, 5) for n in range(1, 11)], _PRESS),
        0.25,
    ),
    "tag a topic": Plant(
        "a topic a tag: value, timestamp, quality",
        _tags,
        _names(["filler 1", "filler 2", "labeller.3"], ("Speed", "Torque", "Temp_°C")),
    ),
    "mixed": Plant(
        "JSON, numbers with units and text under one root, beside another plant with the same names",
        _mixed,
        {
            **_names(["werk.press1", "werk.press2"], ("force", "stroke")),
            **_names(["oven1", "oven2"], ("zone1", "zone2")),
            **_names(["plant-b.press1", "plant-b.press2"], ("force", "stroke")),
        },
    ),
    "devices as keys": Plant(
        "one topic, devices as keys of the message",
        _keys,
        _names(["Pump A", "Pump B", "Fan 3"], ("temp", "rms")),
    ),
    "two nodes": Plant(
        "two nodes of a gateway on one topic",
        _two_nodes,
        _names(["mill-1", "mill-2"], ("speed", "load", "temp")),
    ),
    "OPC UA PubSub": Plant(
        "OPC UA PubSub in JSON, a writer a topic",
        _opcua,
        _names(["Extruder1", "Extruder2"], ("Melt", "Screw", "Power")),
    ),
    "Sparkplug beside JSON": Plant(
        "a Sparkplug device beside JSON",
        _beside_sparkplug,
        {**_names(["saw-1", "saw-2"], ("feed", "amps")), "G.N.D": frozenset(("flow", "head"))},
        node=("flow", "head"),
    ),
    "3,000 bare numbers": Plant(
        "3,000 topics of bare numbers",
        _bare,
        _names(
            [f"l{line}.m{m}" for line in range(10) for m in range(10)],
            tuple(f"tag{tag:02d}" for tag in range(30)),
        ),
        1.0,
    ),
}
"""By the name that the table shows."""
