"""Devices in one message: keys and list items that name machines are told from the parts of one machine."""

import pytest

from edge_agent.cli.discover.devices import (
    different_in_each,
    keys_of_devices,
    machine_tag,
    numbered_alike,
)
from edge_agent.cli.discover.qualities import quality_key, quality_rule

FIELDS = {"temp": 1.0, "flow": 2.0}


@pytest.mark.parametrize(
    ("keys", "are"),
    [
        (("press_1", "press_2"), True),
        (("Device A", "Device B"), True),
        (("Pumpe 1", "Pumpe 12"), True),
        (("motor-01", "motor-02"), True),
        (("phase_a", "phase_b"), False),
        (("L1", "L2", "L3"), False),
        (("x", "y"), False),
        (("channel_1", "channel_2"), False),
        (("switch:0", "switch:1"), False),
        (("motor", "gearbox"), False),
        (("press_1",), False),
    ],
)
def test_keys_name_devices_where_they_number_one_kind(keys: tuple[str, ...], *, are: bool) -> None:
    assert numbered_alike(dict.fromkeys(keys, FIELDS)) == (keys if are else ())


def test_keys_of_different_fields_name_no_devices() -> None:
    assert numbered_alike({"press_1": FIELDS, "press_2": {"temp": 1.0, "speed": 2.0}}) == ()
    assert numbered_alike({"temp_1": {"value": 1.0}, "temp_2": {"value": 2.0}}) == ()


def item(name: str, **more: object) -> dict[str, object]:
    return {"id": name, "kind": "oven", "temp": 1.5, **more}


def test_the_text_that_differs_in_every_list_names_the_device() -> None:
    assert different_in_each([[item("o1"), item("o2")], [item("o1"), item("o2")]]) == "id"
    assert different_in_each([[item("o1")], [item("o2")]]) == "", "one object a message tells nothing"
    assert different_in_each([[item("o1"), item("o1")]]) == "", "twice the same name"
    assert different_in_each([[item("1.5"), item("2.5")]]) == "", "measurements name nobody"
    other = {"id": "o2", "kind": "oven", "speed": 2.0}
    assert different_in_each([[item("o1"), other]]) == "", "quantities of their own: parts of one machine"


def test_a_tag_names_the_machine_where_it_tells_like_lines_apart() -> None:
    two = "motor,host=gw,motor=m1 rms=1,temp=2 1\nmotor,host=gw,motor=m2 rms=1,temp=2 1"
    assert machine_tag([two, two]) == "motor"
    assert machine_tag(["motor,host=gw rms=1 1\npump,host=gw rms=1 1"]) == "", (
        "two measurements of one machine"
    )
    assert machine_tag(["a,machine=m1 v=1 1"]) == "machine", "a tag of that name alone"
    assert machine_tag(["cpu,cpu=cpu0 v=1 1", "cpu,cpu=cpu1 v=1 1"]) == "", "a line a message tells nothing"


def keys(holder: dict[str, object], front: str = "") -> tuple[str, ...]:
    return keys_of_devices(front, holder, values=("value", "v"), names=("name", "n"))


def test_keys_name_devices_below_such_a_word_or_where_each_has_its_time() -> None:
    kinds: dict[str, object] = {"mixer": dict(FIELDS), "filler": dict(FIELDS)}
    assert keys(kinds) == (), "parts of one machine, for all that is known"
    assert keys(kinds, "devices") == ("mixer", "filler")
    assert keys({name: {"ts": 1, **FIELDS} for name in kinds}) == ("mixer", "filler")
    assert keys({name: {"ts": 1, "min": 1, "max": 2} for name in kinds}) == (), (
        "channels of whose values much is said"
    )
    assert keys({name: {"ts": 1, "value": 1, "x": 2} for name in kinds}, "devices") == (), "values in values"


def test_keys_of_lists_name_devices_where_all_say_the_same_quantities() -> None:
    said = [{"n": "t", "v": 1.0}, {"n": "p", "v": 2.0}]
    assert keys({"oven1": said, "oven2": said}) == ("oven1", "oven2")
    assert keys({"oven1": said, "oven2": said[:1]}) == ()
    assert keys({"oven1": said, "notes": [{"text": "x"}]}) == ()


@pytest.mark.parametrize(
    ("items", "key", "rule"),
    [
        ([{"q": 192}, {"q": 24}], "q", {"place": "q", "codes": "opc_da"}),
        ([{"q": "0x00000000"}, {"q": "0x80340000"}], "q", {"place": "q", "codes": "opc_ua"}),
        ([{"qc": 3}, {"qc": 0}], "qc", {"place": "qc", "good": [3]}),
        ([{"StatusCode": {"Code": 0}}], "StatusCode", {"place": "StatusCode", "codes": "opc_ua"}),
        ([{"status": "Good"}, {"status": "BadNoCommunication"}], "status", {"place": "status"}),
        ([{"valid": True}, {"valid": False}], "valid", {"place": "valid"}),
        ([{"status": "running"}], "", {}),
        ([{"status": 3.5}], "", {}),
        ([{"value": 1.5}], "", {}),
    ],
)
def test_what_says_the_quality_is_found_by_its_name_or_its_words(
    items: list[dict[str, object]], key: str, rule: dict[str, object]
) -> None:
    assert quality_key(items) == key
    if key:
        assert quality_rule(key, key, [item.get(key) for item in items]) == rule
