"""Devices in one message: keys and list items that name machines are told from the parts of one machine."""

import pytest

from edge_agent.cli.discover.devices import different_in_each, machine_tag, numbered_alike

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
