"""One row of a machine as each common gateway would send it: the sources, and the messages, of every preset."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from edge_agent.config.presets import PRESETS

Values = Mapping[str, float]
Told = list[tuple[str, object]]
"""(end of the topic, message) of each message that one row takes."""
_GOOD_DA = 192
_SOURCES: Mapping[str, str] = {
    "chirpstack": 'topic = "chirpstack/+/event/up"',
    "historian_points": 'topic = "historian_points/{machine}/+"',
    "iolink_master": 'topic = "iolink_master/{machine}"',
    "tag_per_topic": 'topic = "tag_per_topic/{machine}/{channel}"',
    "things_stack": 'topic = "things_stack/+/up"',
    "telegraf": 'topic = "telegraf/+"\nmachine = "{/tags/machine}"',
}
"""Where the topic holds more, or less, than the machine's name."""


def sources() -> str:
    """A `[[source]]` of each preset, below a first level of the preset's name."""
    told = [
        f'[[source]]\npreset = "{name}"\n' + _SOURCES.get(name, f'topic = "{name}/{{machine}}"')
        for name in PRESETS
    ]
    return "\n".join(told) + "\n"


def messages(preset: str, machine: str, ts: float, values: Values) -> list[tuple[str, bytes]]:
    """(topic, payload) of each message that one row takes.

    Args:
        preset: its name.
        machine: the machine's.
        ts: seconds since 1970, of the row.
        values: by channel.
    """
    front = f"{preset}/{machine}"
    told = _FORMS[preset](machine, ts, values)
    return [(f"{front}{end}", json.dumps(message).encode()) for end, message in told]


def _ms(ts: float) -> int:
    return round(ts * 1000)


def _iso(ts: float) -> str:
    return datetime.fromtimestamp(ts, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _opcua_pubsub(_machine: str, ts: float, values: Values) -> Told:
    fields = {
        name: {"Value": value, "SourceTimestamp": _iso(ts), "StatusCode": 0} for name, value in values.items()
    }
    return [("", {"MessageId": "1", "Messages": [{"Timestamp": _iso(ts), "Payload": fields}]})]


def _opcua_samples(_machine: str, ts: float, values: Values) -> Told:
    return [
        ("", [
            {"DisplayName": name, "Value": {"Value": value, "SourceTimestamp": _iso(ts), "StatusCode": {"Code": 0}}}
            for name, value in values.items()
        ])
    ]  # fmt: skip


def _neuron(_machine: str, ts: float, values: Values) -> Told:
    return [
        (
            "",
            {
                "node": "modbus",
                "group": "g",
                "timestamp": _ms(ts),
                "values": values,
                "errors": {"spare": 2014},
            },
        )
    ]


def _kepware(_machine: str, ts: float, values: Values) -> Told:
    listed = [{"id": name, "v": value, "q": True, "t": _ms(ts)} for name, value in values.items()]
    return [("", {"timestamp": _ms(ts), "values": listed})]


def _s7_connector(_machine: str, ts: float, values: Values) -> Told:
    listed = [{"id": name, "val": value, "qc": 3} for name, value in values.items()]
    return [("", {"seq": 1, "records": [{"ts": _iso(ts), "vals": listed}]})]


def _historian_points(_machine: str, ts: float, values: Values) -> Told:
    return [
        (f"/{name}", {
            "Name": name,
            "datapoints": [{"Measurement": str(value), "Quality_Code": str(_GOOD_DA), "Time": _iso(ts)}],
        })
        for name, value in values.items()
    ]  # fmt: skip


def _tag_per_topic(_machine: str, ts: float, values: Values) -> Told:
    return [
        (f"/{name}", {"value": value, "timestamp": _ms(ts), "quality": _GOOD_DA})
        for name, value in values.items()
    ]


def _iolink_master(_machine: str, _ts: float, values: Values) -> Told:
    inner = {name: {"code": 200, "data": value} for name, value in values.items()}
    return [("", {"code": "event", "cid": 1, "data": {"payload": inner}})]


def _tasmota(_machine: str, ts: float, values: Values) -> Told:
    local = f"{datetime.fromtimestamp(ts, UTC):%Y-%m-%dT%H:%M:%S}"
    return [("", {"Time": local, **values, "TempUnit": "C"})]


def _shelly(_machine: str, ts: float, values: Values) -> Told:
    return [("", {"src": "shelly", "method": "NotifyStatus", "params": {"ts": ts, **values}})]


def _zigbee2mqtt(_machine: str, ts: float, values: Values) -> Told:
    return [("", {**values, "linkquality": 70, "last_seen": _iso(ts)})]


def _chirpstack(machine: str, ts: float, values: Values) -> Told:
    return [
        ("/event/up", {"time": _iso(ts), "fCnt": 7, "deviceInfo": {"deviceName": machine}, "object": values})
    ]


def _things_stack(machine: str, ts: float, values: Values) -> Told:
    uplink = {"f_cnt": 3, "decoded_payload": values}
    return [
        ("/up", {"end_device_ids": {"device_id": machine}, "received_at": _iso(ts), "uplink_message": uplink})
    ]


def _telegraf(machine: str, ts: float, values: Values) -> Told:
    metric = {"name": "m", "tags": {"host": "gw", "machine": machine}, "fields": values, "timestamp": _ms(ts)}
    return [("", {"metrics": [metric]})]


_FORMS: Mapping[str, Callable[[str, float, Values], Told]] = {
    "opcua_pubsub": _opcua_pubsub,
    "opcua_samples": _opcua_samples,
    "neuron": _neuron,
    "kepware": _kepware,
    "s7_connector": _s7_connector,
    "historian_points": _historian_points,
    "tag_per_topic": _tag_per_topic,
    "iolink_master": _iolink_master,
    "tasmota": _tasmota,
    "shelly": _shelly,
    "zigbee2mqtt": _zigbee2mqtt,
    "chirpstack": _chirpstack,
    "things_stack": _things_stack,
    "telegraf": _telegraf,
}
