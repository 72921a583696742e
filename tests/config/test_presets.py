"""Each preset reads a payload of its form: the machines, channels and values that stand in it, and nothing bad."""

import json
from typing import Any

import pytest

from edge_agent.config.presets import PRESETS
from edge_agent.config.sources import SourceSection
from edge_agent.formats.routing import delivery_decoder
from edge_agent.records import Delivery, Frame, Reject

NOW_NS = 1_796_040_005_000_000_000
STAMP = "2026-11-30T12:00:00.000Z"
MS = 1_796_040_000_000
IO_LINK = "/iolinkmaster/port[1]/iolinkdevice/pdin"
CASES: dict[str, tuple[dict[str, Any], str, Any, dict[str, dict[str, float]]]] = {
    "opcua_pubsub": (
        {"topic": "ua/{machine}"},
        "ua/press",
        {
            "MessageId": "1",
            "Messages": [
                {
                    "Timestamp": STAMP,
                    "Payload": {
                        "Temp": {"Value": 41.5, "SourceTimestamp": STAMP},
                        "Flow": {"Value": 3, "StatusCode": {"Code": 2147483648}},
                    },
                }
            ],
        },
        {"press": {"Temp": 41.5}},
    ),
    "opcua_samples": (
        {"topic": "iot/{machine}/messages"},
        "iot/press/messages",
        [{"DisplayName": "Temp", "Value": {"Value": 37.1, "SourceTimestamp": STAMP}}],
        {"press": {"Temp": 37.1}},
    ),
    "neuron": (
        {"topic": "neuron/{machine}/upload"},
        "neuron/north/upload",
        {"node": "m", "group": "g", "timestamp": MS, "values": {"t1": 122.2}, "errors": {"t3": 2014}},
        {"north": {"t1": 122.2}},
    ),
    "kepware": (
        {"topic": "kep/{machine}"},
        "kep/line1",
        {
            "timestamp": MS,
            "values": [{"id": "T", "v": 0, "q": False, "t": MS}, {"id": "F", "v": 14, "q": True, "t": MS}],
        },
        {"line1": {"F": 14.0}},
    ),
    "s7_connector": (
        {"topic": "s7/{machine}/r"},
        "s7/plc1/r",
        {
            "seq": 4,
            "records": [
                {"ts": STAMP, "vals": [{"id": "101", "val": 5.5, "qc": 3}, {"id": "102", "val": 0, "qc": 0}]}
            ],
        },
        {"plc1": {"101": 5.5}},
    ),
    "historian_points": (
        {"topic": "factory/{machine}/+"},
        "factory/motors/A1",
        {"Name": "A1", "datapoints": [{"Measurement": "15151", "Quality_Code": "192", "Time": STAMP}]},
        {"motors": {"A1": 15151.0}},
    ),
    "tag_per_topic": (
        {"topic": "ent/{machine}/{channel}"},
        "ent/press-4/Temp",
        {"value": 80.13, "timestamp": MS, "quality": 192},
        {"press-4": {"Temp": 80.13}},
    ),
    "iolink_master": (
        {
            "topic": "iolm/{machine}/data",
            "map": {
                "rename": {"/processdatamaster/temperature": "temperature"},
                "skip": [IO_LINK],
                "binary": [
                    {
                        "place": "/data/payload/" + IO_LINK.replace("/", "~1") + "/data",
                        "name": "distance",
                        "bits": 16,
                    }
                ],
            },
        },
        "iolm/AL1/data",
        {
            "code": "event",
            "data": {
                "payload": {
                    IO_LINK: {"code": 200, "data": "04B0FF01"},
                    "/processdatamaster/temperature": {"code": 200, "data": 41},
                }
            },
        },
        {"AL1": {"distance": 1200.0, "temperature": 41.0}},
    ),
    "tasmota": (
        {"topic": "tele/{machine}/SENSOR"},
        "tele/press_1/SENSOR",
        {
            "Time": "2026-11-30T12:00:00",
            "ENERGY": {"TotalStartTime": "2026-01-01", "Power": 124.7},
            "TempUnit": "C",
        },
        {"press_1": {"ENERGY.Power": 124.7}},
    ),
    "shelly": (
        {"topic": "{machine}/events/rpc"},
        "pump/events/rpc",
        {
            "src": "s",
            "method": "NotifyStatus",
            "params": {"ts": MS / 1000, "switch:0": {"id": 0, "apower": 31.5}},
        },
        {"pump": {"switch:0.apower": 31.5, "switch:0.id": 0.0}},
    ),
    "zigbee2mqtt": (
        {"topic": "zigbee2mqtt/{machine}"},
        "zigbee2mqtt/motor",
        {"temperature": 21.5, "linkquality": 70, "state": "ON", "last_seen": STAMP},
        {"motor": {"temperature": 21.5, "state": 1.0}},
    ),
    "chirpstack": (
        {"topic": "application/+/device/+/event/up"},
        "application/7/device/24e1/event/up",
        {"time": STAMP, "fCnt": 7, "deviceInfo": {"deviceName": "motor-1"}, "object": {"rms": 2.2}},
        {"motor-1": {"rms": 2.2}},
    ),
    "things_stack": (
        {"topic": "v3/+/devices/+/up"},
        "v3/app/devices/d/up",
        {
            "end_device_ids": {"device_id": "motor-2"},
            "received_at": STAMP,
            "uplink_message": {"f_cnt": 3, "decoded_payload": {"rms": 2.1}},
        },
        {"motor-2": {"rms": 2.1}},
    ),
    "telegraf": (
        {"topic": "telegraf/+", "machine": "{/tags/machine}"},
        "telegraf/gw",
        {
            "metrics": [
                {
                    "name": "motor",
                    "fields": {"temp": 88.9},
                    "tags": {"machine": "a"},
                    "timestamp": MS // 1000,
                },
                {
                    "name": "motor",
                    "fields": {"temp": 89.9},
                    "tags": {"machine": "b"},
                    "timestamp": MS // 1000,
                },
            ]
        },
        {"a": {"motor.temp": 88.9}, "b": {"motor.temp": 89.9}},
    ),
}


def decoded(settings: dict[str, Any], topic: str, message: Any) -> dict[str, dict[str, float]]:
    source = SourceSection.model_validate(settings)
    decode = delivery_decoder([source.route], payload_limit_bytes=65_536, future_tolerance_s=300)
    found = decode(Delivery(topic, json.dumps(message).encode(), NOW_NS))
    assert not isinstance(found, Reject), found
    frames = (found,) if isinstance(found, Frame) else found.frames
    return {frame.machine: dict(zip(frame.channels, frame.rows[-1], strict=True)) for frame in frames}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_reads_its_form(name: str) -> None:
    settings, topic, message, expected = CASES[name]
    assert decoded({"preset": name, **settings}, topic, message) == expected


def test_one_metric_of_telegraf_is_read_as_a_batch_is() -> None:
    message = {"name": "motor", "fields": {"temp": 1.5}, "tags": {}, "timestamp": MS // 1000}
    assert decoded({"preset": "telegraf", "topic": "t/{machine}"}, "t/m", message) == {
        "m": {"motor.temp": 1.5}
    }


def test_what_the_source_says_itself_counts_before_its_preset() -> None:
    settings = {"preset": "neuron", "topic": "n/{machine}", "map": {"values": ["/other"]}}
    message = {"timestamp": MS, "values": {"a": 1}, "other": {"b": 2}}
    assert decoded(settings, "n/m", message) == {"m": {"b": 2.0}}
