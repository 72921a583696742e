"""What common gateways and devices send, as settings of a `[[source]]` by a name. Knows only forms of payloads.

A preset says what is the same for all who use such a gateway; topic, and where the topic names the machine, are the
plant's. Whatever a `[[source]]` says itself counts before its preset.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.formats.json_path import FORMAT


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings by a name.

    Attributes:
        about: what it reads, for people.
        table: as they would stand in `[[source]]`; beside `format`, `machine` and the like also the tables below it.
    """

    about: str
    table: Mapping[str, Any]


_MAPPED = FORMAT.name
"""The format of all that is JSON of a vendor's."""

PRESETS: Mapping[str, Preset] = {
    "opcua_pubsub": Preset(
        "OPC UA PubSub in JSON: messages with fields, each a number or {Value, SourceTimestamp, StatusCode}",
        {
            "format": _MAPPED,
            "quality": {"place": "StatusCode", "codes": "opc_ua"},
            "map": {
                "samples": ["/Messages", ""],
                "values": ["/Payload"],
                "time": "/Timestamp",
                "value_key": "Value",
                "time_key": "SourceTimestamp",
            },
        },
    ),
    "opcua_samples": Preset(
        "samples of an OPC UA publisher: a list of {DisplayName, Value: {Value, SourceTimestamp, StatusCode}}",
        {
            "format": _MAPPED,
            "quality": {"place": "/Value/StatusCode", "codes": "opc_ua"},
            "map": {
                "values": [""],
                "name_key": "DisplayName",
                "value_key": "/Value/Value",
                "time_key": "/Value/SourceTimestamp",
            },
        },
    ),
    "neuron": Preset(
        "Neuron's MQTT north app: {node, group, timestamp, values, errors}",
        {"format": _MAPPED, "map": {"values": ["/values"], "time": "/timestamp", "time_unit": "ms"}},
    ),
    "kepware": Preset(
        "an OPC server's IoT gateway: {timestamp, values: [{id, v, q, t}]}",
        {
            "format": _MAPPED,
            "quality": {"place": "q"},
            "map": {
                "values": ["/values"],
                "time": "/timestamp",
                "time_unit": "ms",
                "name_key": "id",
                "value_key": "v",
                "time_key": "t",
            },
        },
    ),
    "s7_connector": Preset(
        "a connector's time series: {records: [{ts, vals: [{id, val, qc}]}]} or {vals: [...]}, quality 3 is good",
        {
            "format": _MAPPED,
            "quality": {"place": "qc", "good": [3]},
            "map": {
                "samples": ["/records", ""],
                "values": ["/vals"],
                "time": "/ts",
                "name_key": "id",
                "value_key": "val",
                "time_key": "ts",
            },
        },
    ),
    "historian_points": Preset(
        "a historian's package: {Name, datapoints: [{Measurement, Quality_Code, Time}]}",
        {
            "format": _MAPPED,
            "channel": "{/Name}",
            "quality": {"place": "Quality_Code", "codes": "opc_da"},
            "map": {
                "values": ["/datapoints"],
                "name_key": "",
                "value_key": "Measurement",
                "time_key": "Time",
            },
        },
    ),
    "tag_per_topic": Preset(
        "a topic a tag: {value, timestamp, quality}, the tag's name in the topic as {channel}",
        {
            "format": _MAPPED,
            "quality": {"place": "quality", "bad": [0, "bad", "uncertain", False]},
            "map": {"values": ["/value"], "time": "/timestamp"},
        },
    ),
    "iolink_master": Preset(
        "an IO-Link master's events: {data: {payload: {path: {code, data}}}}; hex text by [[source.map.binary]]",
        {
            "format": _MAPPED,
            "map": {"values": ["/data/payload"], "name_key": "", "value_key": "data"},
            "quality": {"place": "code", "good": [200]},
            "value": {"text": False},
        },
    ),
    "tasmota": Preset(
        "Tasmota's tele/DEVICE/SENSOR: {Time, ENERGY: {...}}; its time has no zone, so the arrival counts",
        {
            "format": _MAPPED,
            "clock": "arrival",
            "map": {"values": [""], "skip": ["Time", "TempUnit", "ENERGY/TotalStartTime"]},
        },
    ),
    "shelly": Preset(
        "Shelly of the second generation, DEVICE/events/rpc: {params: {ts, switch:0: {...}}}",
        {
            "format": _MAPPED,
            "map": {"values": ["/params"], "time": "/params/ts", "skip": ["id", "source"]},
        },
    ),
    "zigbee2mqtt": Preset(
        "Zigbee2MQTT: one flat object a device; text that is no state is left out",
        {
            "format": _MAPPED,
            "map": {"values": [""], "skip": ["last_seen", "linkquality", "update_available", "update"]},
        },
    ),
    "chirpstack": Preset(
        "ChirpStack's application/…/event/up: the decoded object, the device's name as machine",
        {
            "format": _MAPPED,
            "machine": "{/deviceInfo/deviceName}",
            "map": {"values": ["/object"], "time": "/time"},
        },
    ),
    "things_stack": Preset(
        "The Things Stack's v3/…/up: the decoded payload, the device id as machine",
        {
            "format": _MAPPED,
            "machine": "{/end_device_ids/device_id}",
            "map": {"values": ["/uplink_message/decoded_payload"], "time": "/received_at"},
        },
    ),
    "telegraf": Preset(
        'Telegraf\'s JSON, one metric or a batch: {name, tags, fields, timestamp}; machine = "{/tags/…}" for a tag',
        {
            "format": _MAPPED,
            "channel": "{/name}.{name}",
            "map": {"samples": ["/metrics", ""], "values": ["/fields"], "time": "/timestamp"},
        },
    ),
}
