"""A recording over commands: whole or nothing, in any order of its parts, and bounded."""

import base64
import json
import zlib
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_agent.alarms.management.uploads import packed
from edge_agent.alarms.outcomes import MachineOutcome
from edge_agent.records import Frame
from tests.support.hall import NOW_NS, SECOND, Office

ROWS = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
FRAME = Frame("fan", ("flow", "heat"), list(range(10, 50)), ROWS)


def wire(channels: list[str], times: list[int], values: np.ndarray) -> str:
    packed = {
        "channels": channels,
        "times": np.array(times, "<i8").tobytes(),
        "values": values.astype("<f4").tobytes(),
    }
    return base64.b64encode(zlib.compress(msgspec.msgpack.encode(packed))).decode()


def send(
    office: Office, number: int, data: str, *, parts: int, upload: str = "u", now_ns: int = NOW_NS
) -> Any:
    fields = {"upload": upload, "part": number, "parts": parts, "data": data, "machine": "fan"}
    handled = office.ask("learn", request=f"{upload}-{number}", now_ns=now_ns, **fields)
    return json.loads(handled.entry.reply)


def halves() -> list[str]:
    raw = base64.b64decode(packed(FRAME)[0])
    return [base64.b64encode(part).decode() for part in (raw[:90], raw[90:])]


def test_rows_arrive_whole_in_any_order_and_the_audit_log_has_one_entry() -> None:
    office = Office()
    first, second = halves()
    assert send(office, 2, second, parts=2)["result"] == "unchanged"
    assert send(office, 2, second, parts=2)["detail"] == "part 2 of 2 is here"
    assert office.hall.asked == []
    assert send(office, 1, first, parts=2)["result"] == "done"
    assert office.hall.asked == [("learn", "fan", "anna", "flow,heat", "40")]
    assert [(entry.command, entry.target) for entry in office.handler.audit.done] == [("learn", "fan")]


def test_a_second_recording_waits_until_the_first_is_whole_or_given_up() -> None:
    office = Office()
    first, _ = halves()
    send(office, 1, first, parts=2)
    whole = packed(FRAME)[0]
    assert send(office, 1, whole, parts=1, upload="v")["reason"] == "busy"
    assert send(office, 1, whole, parts=1, upload="w", now_ns=NOW_NS + 61 * SECOND)["result"] == "done"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("no base64!", "malformed"),
        (base64.b64encode(b"no zlib").decode(), "malformed"),
        (wire(["a"], [1, 2], np.zeros(3)), "malformed"),
        (wire(["a"], [2, 1], np.zeros(2)), "malformed"),
        (wire(["a", "a"], [1], np.zeros(2)), "malformed"),
        (wire(["a/b"], [1], np.zeros(1)), "malformed"),
        (wire([], [], np.zeros(0)), "malformed"),
        (wire(["a"], list(range(20_000)), np.zeros(20_000)), "too_large"),
        (base64.b64encode(zlib.compress(bytes(300_000_000), 9)).decode()[:69_000], "malformed"),
    ],
)
def test_what_is_no_recording_is_refused(data: str, reason: str) -> None:
    office = Office()
    assert send(office, 1, data, parts=1)["reason"] == reason
    assert office.hall.asked == []


def test_learning_must_be_allowed_and_refusals_are_told() -> None:
    assert send(Office("ack"), 1, packed(FRAME)[0], parts=1)["reason"] == "not_allowed"
    office = Office()
    office.hall.managed = MachineOutcome("busy", "fan is being learnt right now")
    assert send(office, 1, packed(FRAME)[0], parts=1)["reason"] == "busy"
    assert send(office, 3, "", parts=2, upload="v")["reason"] == "malformed"
