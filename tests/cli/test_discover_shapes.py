"""What plants say is proposed as it is: devices apart, times and quality read, what is left out is named."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.cli.discover.propose import written
from edge_agent.cli.discover.survey import Proposal, Survey
from edge_agent.config.file import Config
from edge_agent.records import Delivery

NOW_NS = 1_796_040_005 * 10**9
MS = 1_796_040_000_000
STAMP = "2026-11-30T12:00:0{}Z"


def proposed(messages: Sequence[tuple[str, Any]], *, retain: bool = False) -> Proposal:
    survey = Survey()
    for at, (topic, payload) in enumerate(messages):
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        survey.take_message(Delivery(topic, raw, NOW_NS + at * 10**7, retain))
    proposal = survey.propose(seconds=10.0, host_id="host")
    if proposal.sources:
        Config.model_validate(tomllib.loads(written(Config(), proposal, seconds=10.0, dropped=0)))
    return proposal


def machines(proposal: Proposal) -> dict[str, list[str]]:
    return {str(item["machine"]): list(item["channels"]) for item in proposal.machines}


def sources(proposal: Proposal) -> dict[str, Mapping[str, Any]]:
    return {str(source["topic"]): source for source in proposal.sources}


def test_two_devices_that_end_in_one_level_are_two_machines_and_their_states_are_theirs() -> None:
    said: list[tuple[str, Any]] = []
    for device in ("press_1", "press_2"):
        said.append(
            (f"tele/{device}/SENSOR", {"Time": "2026-11-30T12:00:00", "ENERGY": {"Power": 5.5, "Volt": 229}})
        )
        said.append((f"tele/{device}/STATE", {"POWER1": "ON", "Wifi": {"RSSI": 60}}))
        said.append((f"tele/{device}/LWT", b"Online"))
    found = proposed(said)
    assert machines(found) == {
        name: ["ENERGY.Power", "ENERGY.Volt", "POWER1"] for name in ("press_1", "press_2")
    }
    assert set(sources(found)) == {"tele/{machine}/SENSOR", "tele/{machine}/STATE", "tele/{machine}/LWT"}
    assert sources(found)["tele/{machine}/LWT"]["format"] == "will"
    left_out = {name: why for _, name, why in found.left_out}
    assert "without a zone" in left_out["Time"]
    assert "Wifi/RSSI" in left_out
    assert not found.undecodable


def test_machines_of_one_name_in_two_lines_stay_two() -> None:
    said = [(f"plant/line{line}/press/{tag}", b"1.5") for line in (1, 2) for tag in (f"a{line}", f"b{line}")]
    names = machines(proposed(said))
    assert sorted(names) == ["line1.press", "line2.press"], names


def test_the_reason_is_that_of_the_decoder_that_fits_best() -> None:
    found = proposed(
        [("hall/oven/note", b"warm"), ("hall/blob", b"\x00\xff\x01"), ("hall/json", {"state": "hot"})]
    )
    reasons = {str(item["topic"]): str(item["reason"]) for item in found.undecodable}
    assert "not_a_number" in reasons["hall/oven/note"]
    assert "malformed" in reasons["hall/blob"]
    assert reasons["hall/json"]


def test_decimal_commas_and_units_are_read_by_what_is_proposed() -> None:
    comma = proposed([("h/o1/t", b"180,5"), ("h/o2/t", b"179,1")])
    assert comma.sources[0]["value"] == {"decimal": ","}
    units = proposed([("h/o1/t", b"180.5 \xc2\xb0C"), ("h/o1/p", b"3.02bar")])
    assert units.sources[0]["value"] == {"strip_unit": True}
    mixed = proposed([("h/o1/t", b"180,5"), ("h/o1/p", b"3.02bar"), ("h/o2/q", b"1,016.76")])
    assert mixed.sources[0]["value"] == {"decimal": "auto", "strip_unit": True}
    assert machines(mixed) == {"o1": ["p", "t"], "o2": ["q"]}


def test_a_time_that_can_be_read_is_read_and_quality_is_obeyed() -> None:
    item = {"id": "Flow", "v": 14.1, "q": True, "t": MS}
    found = proposed([("kep/line1", {"timestamp": MS, "values": [item, {**item, "id": "T", "q": False}]})])
    (source,) = found.sources
    assert source["quality"] == {"place": "q"}
    assert source["map"]["time_key"] == "t"
    neuron = proposed([("n/a/up", {"node": "m", "timestamp": MS, "values": {"t1": 1.5}})])
    assert (neuron.sources[0]["map"]["time"], neuron.sources[0]["map"]["time_unit"]) == ("/timestamp", "ms")


def test_devices_in_the_payload_are_named_by_it() -> None:
    keys = proposed([("gw/up", {f"Dev {n}": [{"ts": MS, "values": {"temp": 20.5 + n}}] for n in range(3)})])
    assert machines(keys) == {f"Dev {n}": ["temp"] for n in range(3)}
    tags = proposed([("tg/gw", b"motor,machine=a temp=1 1796040000\nmotor,machine=b temp=2 1796040000")])
    assert machines(tags) == {"a": ["motor.temp"], "b": ["motor.temp"]}
    rows = proposed([("list/all", [{"device": f"d{n}", "ts": MS, "temp": n + 0.5} for n in range(2)])])
    assert machines(rows) == {"d0": ["temp"], "d1": ["temp"]}


def test_counters_and_the_envelope_are_left_out_by_name() -> None:
    said = [
        (
            "app/7/device/24e124136c511111/event/up",
            {
                "time": STAMP.format(n),
                "deviceInfo": {"deviceName": "motor-1"},
                "fCnt": 1200 + n,
                "object": {"rms": 2.1 + n / 10},
                "txInfo": {"frequency": 868100000},
            },
        )
        for n in range(5)
    ]
    found = proposed(said)
    assert machines(found) == {"motor-1": ["rms"]}
    assert {"fCnt", "txInfo/frequency"} <= {name for _, name, _ in found.left_out}
    flat = proposed([("p/m1", {"n": 7 + at, "power": 1.5 * at, "kind": "x"}) for at in range(6)])
    assert machines(flat) == {"m1": ["power"]}


def test_a_tag_a_topic_is_one_source() -> None:
    said = [
        (f"ent/site/{machine}/{tag}", {"Value": 80.5, "Timestamp": STAMP.format(1), "Quality": 192})
        for machine in ("press-4", "press-5")
        for tag in ("Temp", "Flow")
    ]
    found = proposed(said)
    assert machines(found) == {name: ["Flow", "Temp"] for name in ("press-4", "press-5")}
    assert found.sources[0]["topic"] == "ent/site/{machine}/{channel}"
    assert found.sources[0]["quality"] == {"place": "Quality", "codes": "opc_da"}


def test_what_only_the_broker_kept_is_no_machine() -> None:
    found = proposed([("sensors/dead-1/temp", b"99.9")], retain=True)
    assert not found.sources
    assert "retained" in str(found.undecodable[0]["reason"])


def test_few_topics_of_another_form_keep_their_source_before_the_template_of_many() -> None:
    said: list[tuple[str, Any]] = [(f"plc/m{n}", {"ts": MS / 1000, "values": {"a": 1.5}}) for n in range(5)]
    said.append(("plc/odd", b"3.5"))
    said.append(("plc/list", [{"t": MS, "p": 3.04}]))
    found = proposed(said)
    topics = [source["topic"] for source in found.sources]
    assert topics[-1] == "plc/{machine}", topics
    assert set(machines(found)) >= {f"m{n}" for n in range(5)}


def test_a_wide_machine_is_proposed_with_the_limit_that_it_needs() -> None:
    wide = proposed([("w/w1", {"ts": MS / 1000, "values": {f"tag_{n:03}": n + 0.5 for n in range(500)}})])
    assert "[limits]\nchannels = 500" in written(Config(), wide, seconds=1.0, dropped=0)


def test_a_will_below_the_values_topic_is_one_and_one_of_nobody_is_named() -> None:
    said: list[tuple[str, Any]] = []
    for at in range(4):
        for device in ("saw", "drill"):
            said.append((f"zigbee2mqtt/{device}", {"temperature": 20.5 + at, "linkquality": 90}))
            said.append((f"zigbee2mqtt/{device}/availability", {"state": "online"}))
    said.append(("zigbee2mqtt/bridge/x/state", b"online"))
    found = proposed(said)
    will = sources(found)["zigbee2mqtt/{machine}/availability"]
    assert (will["format"], will["will"], will["machine"]) == ("will", {"place": "/state"}, "{machine}")
    assert [item["topic"] for item in found.undecodable] == ["zigbee2mqtt/bridge/x/state"]


def test_a_topic_that_holds_no_channel_says_why_of_each_thing() -> None:
    said = [("gw/status", {"uptime": 12 + at, "rssi": -60, "firmware": "v1.2 beta"}) for at in range(5)]
    (lost,) = proposed(said).undecodable
    for words in ("uptime speaks of the message", "rssi speaks", "firmware is text"):
        assert words in lost["reason"]
