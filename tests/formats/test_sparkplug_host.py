"""The host follows births, aliases, order and deaths of many nodes, and asks for births no more often than it may."""

import base64
import json
import math
import random
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.formats.sparkplug import sparkplug_b_pb2 as wire
from edge_agent.formats.sparkplug.edge_node import Stale
from edge_agent.formats.sparkplug.host import Host, HostMessage, HostOutput, HostSettings
from edge_agent.records import Delivery, Frame, Reject

GOLDEN = json.loads((Path(__file__).parent / "sparkplug_golden.json").read_text())
MS = 1_000_000
S = 1_000_000_000
START_MS = 1_700_000_000_000
DOUBLE, BOOLEAN, INT64, STRING = 10, 11, 4, 12
NODE = "spBv1.0/G/{}/N"
DEVICE = "spBv1.0/G/{}/N/D"
CHATTY = HostSettings("host-1", rebirth_jitter_s=0.0, rebirth_interval_s=0.0)


def build(
    seq: int | None, *metrics: tuple[Any, ...], bd_seq: int | None = None, time_ms: int = START_MS
) -> bytes:
    """A payload of (name or alias, value[, options]) metrics; options may hold alias, datatype and flags."""
    message = wire.Payload(timestamp=time_ms)
    if seq is not None:
        message.seq = seq
    if bd_seq is not None:
        message.metrics.add(name=b"bdSeq", datatype=INT64, long_value=bd_seq)
    for name, value, *rest in metrics:
        options = dict(rest[0]) if rest else {}
        metric = message.metrics.add(**options)
        if isinstance(name, int):
            metric.alias = name
        else:
            metric.name = name.encode()
        if isinstance(value, str):
            metric.string_value = value.encode()
        elif isinstance(value, bool):
            metric.boolean_value = value
        elif value is not None:
            metric.double_value = value
    return message.SerializeToString()


class Line:
    """A host and a clock; sends messages and gathers everything that comes out."""

    def __init__(self, settings: HostSettings = CHATTY, jitter: float = 0.0) -> None:
        self.host = Host(settings, jitter=lambda: jitter)
        self.now_ns = 0
        self.frames: list[Frame] = []
        self.stale: list[Stale] = []
        self.publishes: list[HostMessage] = []

    @property
    def wall_ns(self) -> int:
        return START_MS * MS + self.now_ns

    def keep(self, step: HostOutput) -> HostOutput:
        self.frames += step.frames
        self.stale += step.stale
        self.publishes += step.publishes
        return step

    def send(self, topic: str, payload: bytes) -> HostOutput:
        return self.keep(self.host.receive(Delivery(topic, payload, self.wall_ns), now_ns=self.now_ns))

    def wait(self, seconds: float) -> HostOutput:
        self.now_ns += round(seconds * S)
        return self.keep(self.host.tick(now_ns=self.now_ns, wall_ns=self.wall_ns))

    def birth(self, bd_seq: int = 0, alias: int = 1) -> None:
        """A node with one metric and a device with two."""
        self.send(
            NODE.format("NBIRTH"), build(0, ("load", 1.0, {"alias": 9, "datatype": DOUBLE}), bd_seq=bd_seq)
        )
        self.send(
            DEVICE.format("DBIRTH"),
            build(
                1,
                ("temp", 20.0, {"alias": alias, "datatype": DOUBLE}),
                ("Motor/rpm", 1500.0, {"alias": alias + 1, "datatype": DOUBLE}),
            ),
        )

    def data(self, seq: int, *metrics: tuple[Any, ...], time_ms: int = START_MS) -> HostOutput:
        return self.send(DEVICE.format("DDATA"), build(seq, *metrics, time_ms=time_ms))

    def values(self) -> list[dict[str, float]]:
        return [dict(zip(frame.channels, frame.rows[0], strict=True)) for frame in self.frames]


# -- what other implementations send ----------------------------------------------------------------------------------


def test_a_life_as_another_implementation_tells_it() -> None:
    line = Line()
    for name in ("NBIRTH", "DBIRTH", "DDATA", "NDATA", "NDEATH_OLD", "DDEATH", "NDEATH"):
        kind = name.removesuffix("_OLD")
        line.now_ns += S
        line.send((DEVICE if name.startswith("D") else NODE).format(kind), base64.b64decode(GOLDEN[name]))
    assert [(frame.machine, frame.times_ns[0] // MS - START_MS) for frame in line.frames] == [
        ("G.N", 0), ("G.N.D", 0), ("G.N.D", 990), ("G.N", 2000),
    ]  # fmt: skip
    born, device, changed, node = line.values()
    assert born["int8"] == -5.0
    assert math.isnan(born["Motor.Temp"])
    assert device == {"Motor.Temp": 61.5, "Motor.Rpm": 1500.0}
    assert changed == {"Motor.Temp": 61.5, "Motor.Rpm": -1480.0}
    assert (node["float"], node["int8"], node["int16"]) == (9.5, -5.0, -300.0)
    assert math.isnan(node["double"])
    assert [(stale.machine, stale.cause) for stale in line.stale] == [("G.N.D", "ddeath"), ("G.N", "ndeath")]
    assert line.publishes == []
    assert {key: line.host.counts[key] for key in ("historical", "deaths_of_other_sessions", "ignored_text")} == {
        "historical": 1, "deaths_of_other_sessions": 1, "ignored_text": 1,
    }  # fmt: skip


# -- births and aliases -----------------------------------------------------------------------------------------------


def test_data_before_a_birth_is_counted_and_asks_for_the_birth() -> None:
    line = Line()
    step = line.send(NODE.format("NDATA"), build(5, (9, 2.0)))
    assert step.frames == ()
    (request,) = step.publishes
    assert (request.topic, request.qos, request.retain) == ("spBv1.0/G/NCMD/N", 0, False)
    command = wire.Payload.FromString(request.payload)
    assert [(metric.name, metric.boolean_value) for metric in command.metrics] == [
        (b"Node Control/Rebirth", True)
    ]
    assert command.timestamp == line.wall_ns // MS
    assert not command.HasField("seq")
    assert line.host.counts["before_birth"] == 1


def test_data_of_a_device_that_was_not_born_asks_for_births_too() -> None:
    line = Line()
    line.send(NODE.format("NBIRTH"), build(0, ("load", 1.0), bd_seq=0))
    assert len(line.data(1, (1, 5.0)).publishes) == 1
    assert len(line.frames) == 1


def test_an_unknown_alias_or_name_asks_for_births_and_the_known_metrics_are_kept() -> None:
    line = Line()
    line.birth()
    step = line.data(2, (1, 21.0), (77, 5.0), ("nobody", 6.0))
    assert len(step.publishes) == 1
    assert line.values()[-1] == {"temp": 21.0, "Motor.rpm": 1500.0}
    assert line.host.counts["unknown_metric"] == 2


def test_aliases_hold_from_the_last_birth_only() -> None:
    line = Line()
    line.birth(alias=1)
    line.birth(alias=2)  # now 2 is temp, and 1 nothing
    line.data(2, (2, 30.0))
    assert line.values()[-1]["temp"] == 30.0
    assert len(line.data(3, (1, 99.0)).publishes) == 1
    assert line.values()[-1]["temp"] == 30.0


def test_the_same_aliases_of_different_nodes_are_different_metrics() -> None:
    line = Line()
    for node, name in (("N1", "a"), ("N2", "b")):
        line.send(f"spBv1.0/G/NBIRTH/{node}", build(0, (name, 1.0, {"alias": 1}), bd_seq=0))
    line.send("spBv1.0/G/NDATA/N1", build(1, (1, 2.0)))
    line.send("spBv1.0/G/NDATA/N2", build(1, (1, 3.0)))
    assert [(frame.machine, frame.channels, frame.rows[0]) for frame in line.frames[2:]] == [
        ("G.N1", ("a",), (2.0,)), ("G.N2", ("b",), (3.0,)),
    ]  # fmt: skip


def test_after_a_rebirth_devices_must_be_born_again_but_nothing_has_ended() -> None:
    line = Line()
    line.birth(bd_seq=4)
    line.send(NODE.format("NBIRTH"), build(0, ("load", 1.0), bd_seq=4))
    assert line.stale == []
    assert len(line.data(1, (1, 5.0)).publishes) == 1


def test_a_new_session_without_a_death_ends_the_old_one() -> None:
    line = Line()
    line.birth(bd_seq=4)
    line.send(NODE.format("NBIRTH"), build(0, ("load", 1.0), bd_seq=5))
    assert {(stale.machine, stale.cause) for stale in line.stale} == {
        ("G.N", "new_session"), ("G.N.D", "new_session"),
    }  # fmt: skip


def test_controls_and_what_is_no_number_make_no_channel() -> None:
    line = Line()
    line.send(
        NODE.format("NBIRTH"),
        build(
            0,
            ("Node Control/Rebirth", False, {"datatype": BOOLEAN}),
            ("label", "text", {"datatype": STRING}),
            ("a/b", 1.0, {"datatype": DOUBLE}),
            ("a.b", 2.0, {"datatype": DOUBLE}),
            ("x#", 2.0, {"datatype": DOUBLE}),
            bd_seq=0,
        ),
    )
    assert line.values() == [{"a.b": 1.0}]
    assert (line.host.counts["ignored_text"], line.host.counts["bad_name"]) == (1, 2)
    line.send(NODE.format("NDATA"), build(1, ("label", "new"), ("a/b", 3.0)))
    assert line.values()[-1] == {"a.b": 3.0}
    assert line.publishes == []


def test_machines_are_named_by_the_chosen_parts_of_the_address() -> None:
    line = Line(HostSettings("h", machine_parts=("device",)))
    line.birth()
    assert [frame.machine for frame in line.frames] == ["N", "D"]


# -- rows -------------------------------------------------------------------------------------------------------------


def test_what_a_message_leaves_out_has_not_changed() -> None:
    line = Line()
    line.birth()
    line.data(2, (1, 21.0))
    line.data(3, (2, 1400.0))
    assert line.values()[1:] == [
        {"temp": 20.0, "Motor.rpm": 1500.0}, {"temp": 21.0, "Motor.rpm": 1500.0}, {"temp": 21.0, "Motor.rpm": 1400.0},
    ]  # fmt: skip


def test_null_and_bad_values_are_missing_until_the_next_good_one() -> None:
    line = Line()
    line.birth()
    line.data(2, (1, None, {"is_null": True}))
    line.data(3, (2, 1.0))
    line.data(4, (1, math.inf))
    line.data(5, (1, 5.0))
    temps = [row["temp"] for row in line.values()[2:]]
    assert [math.isnan(temp) for temp in temps] == [True, True, True, False]
    assert line.host.counts["value_not_finite"] == 1
    assert line.publishes == []


def test_a_metric_that_repeats_in_a_message_makes_rows_and_different_stamps_do_not() -> None:
    line = Line()
    line.birth()
    stamped = [
        (1, 1.0, START_MS + 1),
        (2, 10.0, START_MS + 3),
        (1, 2.0, START_MS + 11),
        (2, 20.0, START_MS + 13),
    ]
    line.data(2, *((alias, value, {"timestamp": at}) for alias, value, at in stamped))
    assert line.values()[2:] == [{"temp": 1.0, "Motor.rpm": 10.0}, {"temp": 2.0, "Motor.rpm": 20.0}]
    assert [frame.times_ns[0] // MS - START_MS for frame in line.frames[2:]] == [3, 13]


def test_historical_values_never_become_live_rows() -> None:
    line = Line()
    line.birth()
    assert line.data(2, (1, 99.0, {"is_historical": True, "timestamp": START_MS - 5000})).frames == ()
    line.data(3, (2, 1.0))
    assert line.values()[-1] == {"temp": 20.0, "Motor.rpm": 1.0}
    assert line.host.counts["historical"] == 1


@pytest.mark.parametrize(
    ("time_ms", "reason"), [(1000, "bad_timestamp"), (START_MS + 10**7, "future_timestamp")]
)
def test_times_are_checked_like_all_times(time_ms: int, reason: str) -> None:
    line = Line()
    line.birth()
    assert line.data(2, (1, 5.0), time_ms=time_ms).frames == ()
    assert line.host.counts[reason] == 1


# -- order ------------------------------------------------------------------------------------------------------------


def test_the_sequence_wraps_behind_255() -> None:
    line = Line()
    line.birth()
    for count in range(2, 600):
        line.data(count % 256, (1, float(count)))
    assert [row["temp"] for row in line.values()[2:]] == [float(count) for count in range(2, 600)]
    assert line.publishes == []


def test_a_missing_message_that_comes_in_time_is_put_in_its_place() -> None:
    line = Line()
    line.birth()
    assert line.data(4, (1, 4.0)).frames == ()
    line.wait(4.9)
    assert line.data(3, (1, 3.0)).frames == ()
    line.data(2, (1, 2.0))
    assert [row["temp"] for row in line.values()[2:]] == [2.0, 3.0, 4.0]
    line.wait(60)
    assert line.publishes == []
    assert line.host.counts["reorder_timeouts"] == 0


def test_a_missing_message_that_does_not_come_costs_a_rebirth_after_the_timeout() -> None:
    line = Line(HostSettings("h", reorder_timeout_s=2.0, rebirth_jitter_s=0.0))
    line.birth()
    line.data(3, (1, 3.0))
    assert line.wait(1.9).publishes == ()
    step = line.wait(0.2)
    assert [publish.topic for publish in step.publishes] == ["spBv1.0/G/NCMD/N"]
    assert [frame.rows[0][0] for frame in step.frames] == [3.0], "what was held back is taken"
    line.data(4, (1, 4.0))
    assert line.values()[-1]["temp"] == 4.0
    line.data(2, (1, 2.0))
    assert line.host.counts["late_or_repeated"] == 1
    assert line.values()[-1]["temp"] == 4.0


def test_the_timeout_counts_from_the_first_early_message() -> None:
    line = Line(HostSettings("h", reorder_timeout_s=2.0, rebirth_jitter_s=0.0))
    line.birth()
    for seq in range(3, 8):
        line.data(seq, (1, float(seq)))
        line.wait(0.5)
    assert line.host.counts["reorder_timeouts"] == 1
    assert line.values()[-1]["temp"] == 7.0


def test_repeated_messages_count_once() -> None:
    line = Line()
    line.birth()
    line.data(2, (1, 2.0))
    line.data(2, (1, 2.0))
    line.data(4, (1, 4.0))
    line.data(4, (1, 4.0))
    line.data(3, (1, 3.0))
    assert [row["temp"] for row in line.values()[2:]] == [2.0, 3.0, 4.0]
    assert line.host.counts["late_or_repeated"] == 2


@given(st.integers(0, 2**32), st.integers(5, 400))
def test_any_order_within_a_short_span_gives_the_rows_of_the_true_order(seed: int, length: int) -> None:
    rng = random.Random(seed)
    order = sorted(range(length), key=lambda index: index + rng.uniform(0, 12))
    line = Line()
    line.birth()
    for index in order:
        line.data((index + 2) % 256, (1, float(index)))
    assert [row["temp"] for row in line.values()[2:]] == [float(index) for index in range(length)]
    assert line.publishes == []


# -- deaths -----------------------------------------------------------------------------------------------------------


def test_a_death_of_the_node_ends_it_and_its_devices_by_the_host_s_clock() -> None:
    line = Line()
    line.birth(bd_seq=7)
    line.wait(3)
    line.send(NODE.format("NDEATH"), build(None, bd_seq=7, time_ms=1))
    assert {(stale.machine, stale.time_ns, stale.cause) for stale in line.stale} == {
        ("G.N", line.wall_ns, "ndeath"), ("G.N.D", line.wall_ns, "ndeath"),
    }  # fmt: skip
    assert line.data(2, (1, 5.0)).frames == ()
    assert line.host.counts["before_birth"] == 1


def test_a_late_death_of_an_earlier_session_ends_nothing() -> None:
    line = Line()
    line.birth(bd_seq=7)
    line.birth(bd_seq=8)
    before = list(line.stale)
    line.send(NODE.format("NDEATH"), build(None, bd_seq=7))
    assert line.stale == before
    assert len(line.data(2, (1, 5.0)).frames) == 1


def test_a_death_of_a_device_ends_that_device_by_the_message_s_clock() -> None:
    line = Line()
    line.birth()
    line.send(DEVICE.format("DDEATH"), build(2, time_ms=START_MS + 250))
    assert line.stale == [Stale("G.N.D", (START_MS + 250) * MS, "ddeath")]
    assert len(line.send(NODE.format("NDATA"), build(3, (9, 4.0))).frames) == 1
    assert line.data(4, (1, 1.0)).frames == ()


def test_no_value_of_before_a_death_is_repeated_after_it() -> None:
    line = Line()
    line.birth()
    line.send(DEVICE.format("DDEATH"), build(2))
    born = (
        ("temp", None, {"alias": 1, "datatype": DOUBLE, "is_null": True}),
        ("Motor/rpm", 5.0, {"datatype": DOUBLE}),
    )
    line.send(DEVICE.format("DBIRTH"), build(3, *born))
    assert math.isnan(line.values()[-1]["temp"])


def test_a_lost_connection_ends_everything_and_every_birth_must_be_heard_anew() -> None:
    line = Line()
    line.birth()
    line.keep(line.host.disconnected(line.wall_ns))
    assert {(stale.machine, stale.cause) for stale in line.stale} == {
        ("G.N", "disconnected"), ("G.N.D", "disconnected"),
    }  # fmt: skip
    assert len(line.data(100, (1, 5.0)).publishes) == 1, "at once: no sequence is continued"


# -- requests ---------------------------------------------------------------------------------------------------------


def test_what_was_born_lives_without_a_word_until_its_death_or_ours() -> None:
    line = Line()
    assert line.host.living() == frozenset()
    line.birth()
    line.wait(3600.0)
    assert line.host.living() == {"G.N", "G.N.D"}
    line.send(DEVICE.format("DDEATH"), build(2))
    assert line.host.living() == {"G.N"}
    line.birth()
    line.send(NODE.format("NDEATH"), build(None, bd_seq=0))
    assert line.host.living() == frozenset()
    line.birth(bd_seq=1)
    line.host.disconnected(line.wall_ns)
    assert line.host.living() == frozenset()


def test_after_a_rebirth_a_device_lives_once_it_is_born_again() -> None:
    line = Line()
    line.birth()
    line.send(NODE.format("NBIRTH"), build(0, ("load", 1.0), bd_seq=0))
    assert line.host.living() == {"G.N"}


@pytest.mark.parametrize(
    ("metric", "ahead_ms"),
    [((1, None, {"is_null": True}), 0), ((1, 21.0), 86_400_000)],
    ids=["no value is left", "its clock is wrong"],
)
def test_a_device_whose_latest_values_made_no_row_is_not_vouched_for(
    metric: tuple[Any, ...], ahead_ms: int
) -> None:
    line = Line()
    line.send(NODE.format("NBIRTH"), build(0, bd_seq=0))
    line.send(DEVICE.format("DBIRTH"), build(1, ("temp", 20.0, {"alias": 1, "datatype": DOUBLE})))
    assert line.host.living() == {"G.N.D"}, "a node without values of its own is no machine"
    line.data(2, metric, time_ms=START_MS + ahead_ms)
    assert line.host.living() == frozenset()
    line.data(3, (1, 22.0), time_ms=START_MS + 1)
    assert line.host.living() == {"G.N.D"}


def test_a_node_is_asked_at_most_once_in_the_interval() -> None:
    line = Line(HostSettings("h", rebirth_interval_s=30.0, rebirth_jitter_s=0.0))
    asked = []
    for second in range(100):
        line.send(NODE.format("NDATA"), build(second % 256, (9, 1.0)))
        if line.wait(1).publishes or line.publishes[len(asked) :]:
            asked.append(line.now_ns // S)
        del line.publishes[len(asked) :]
    assert len(asked) == 4
    assert all(later - earlier >= 29 for earlier, later in pairwise(asked))


def test_requests_are_put_off_by_the_jitter_and_dropped_when_the_birth_comes_by_itself() -> None:
    line = Line(HostSettings("h", rebirth_jitter_s=10.0), jitter=0.5)
    line.send(NODE.format("NDATA"), build(1, (9, 1.0)))
    line.wait(4.9)
    assert line.publishes == []
    line.wait(0.2)
    assert len(line.publishes) == 1
    busy = Line(HostSettings("h", rebirth_jitter_s=10.0), jitter=0.5)
    for second in range(7):
        busy.send(NODE.format("NDATA"), build(second, (9, 1.0)))
        busy.wait(1)
    assert len(busy.publishes) == 1, "further messages do not put it off further"
    other = Line(HostSettings("h", rebirth_jitter_s=10.0), jitter=0.5)
    other.send(NODE.format("NDATA"), build(1, (9, 1.0)))
    other.birth()
    other.wait(60)
    assert other.publishes == []


def test_a_host_that_may_not_command_asks_nobody() -> None:
    line = Line(HostSettings("h", may_request_rebirth=False))
    line.send(NODE.format("NDATA"), build(1, (9, 1.0)))
    line.wait(60)
    assert line.publishes == []
    assert line.host.counts["rebirths_withheld"] == 1


# -- the host's own state ---------------------------------------------------------------------------------------------


def test_a_session_has_a_will_subscriptions_and_a_birth_of_one_time() -> None:
    session = Host(CHATTY, jitter=lambda: 0.0).begin(START_MS * MS + 999)
    topic = "spBv1.0/STATE/host-1"
    assert session.subscriptions == (("spBv1.0/#", 1), (topic, 1))
    for publish, online in ((session.will, False), (session.birth, True)):
        assert (publish.topic, publish.qos, publish.retain) == (topic, 1, True)
        assert json.loads(publish.payload) == {"online": online, "timestamp": START_MS}


def test_whoever_calls_the_host_offline_is_contradicted_at_once() -> None:
    line = Line()
    session = line.host.begin(START_MS * MS)
    assert line.send(session.will.topic, session.will.payload).publishes == (session.birth,)
    assert line.send(session.will.topic, session.birth.payload).publishes == ()
    assert line.send("spBv1.0/STATE/other", session.will.payload).publishes == ()


def test_a_wanted_end_is_announced_with_its_time() -> None:
    host = Host(CHATTY, jitter=lambda: 0.0)
    host.begin(START_MS * MS)
    death = host.end((START_MS + 5) * MS)
    assert (death.topic, death.qos, death.retain) == ("spBv1.0/STATE/host-1", 1, True)
    assert json.loads(death.payload) == {"online": False, "timestamp": START_MS + 5}


# -- floods -----------------------------------------------------------------------------------------------------------


def test_floods_of_nodes_and_devices_are_bounded_and_do_not_stall_the_others() -> None:
    line = Line(HostSettings("h", nodes_limit=1, devices_limit=1, payload_limit_bytes=200))
    line.birth()
    line.send("spBv1.0/G/NBIRTH/other", build(0, bd_seq=0))
    line.send("spBv1.0/G/DBIRTH/N/second", build(2, ("a", 1.0)))
    assert len(line.data(3, (1, 5.0)).frames) == 1
    line.data(4, ("x" * 300, 5.0))
    assert {key: line.host.counts[key] for key in ("too_many_nodes", "too_many_devices", "too_large")} == {
        "too_many_nodes": 1, "too_many_devices": 1, "too_large": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("topic", "payload", "counted"),
    [
        ("spBv1.0/G/NCMD/N", b"", "commands"),
        ("spBv1.0/G/DCMD/N/D", b"", "commands"),
        ("spBv1.0/G/NBIRTH/N", b"\xff", "malformed"),
        ("spBv1.0/G/OTHER/N", b"", "bad_topic"),
        ("elsewhere", b"", "bad_topic"),
        ("spBv1.0/STATE/x", b"\xff", "states"),
    ],
)
def test_what_is_not_for_the_host_is_counted_and_passed_over(
    topic: str, payload: bytes, counted: str
) -> None:
    line = Line()
    step = line.send(topic, payload)
    assert (step.events, step.publishes) == ((), ())
    assert (step.outcome.reason if isinstance(step.outcome, Reject) else step.outcome) == (
        counted if counted in {"malformed", "bad_topic"} else None
    )
    assert line.host.counts == {counted: 1}


def test_the_page_on_conformance_names_tests_that_exist() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "sparkplug.md").read_text()
    named = set(re.findall(r"`(test_\w+)`(?: in `([\w/.]+)`)?", page))
    assert len(named) >= 13
    for name, file in named:
        text = (root / (file or "tests/formats/test_sparkplug_host.py")).read_text()
        assert f"def {name}(" in text, name


KINDS = ("NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH")
METRICS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "a/b", 1, 2, 3]),
        st.floats() | st.booleans() | st.text(max_size=3) | st.none(),
        st.fixed_dictionaries(
            {}, optional={"alias": st.integers(0, 3), "datatype": st.integers(0, 40), "is_null": st.booleans(),
                          "is_historical": st.booleans(), "timestamp": st.integers(0, 2**64 - 1)}
        ),
    ),
    max_size=4,
)  # fmt: skip
BD_SEQS = st.none() | st.integers(0, 3)
PAYLOADS = st.one_of(
    st.builds(build, st.none() | st.integers(0, 300), bd_seq=BD_SEQS, time_ms=st.integers(0, 2**64 - 1)),
    st.builds(lambda seq, bd, metrics: build(seq, *metrics, bd_seq=bd), st.integers(0, 20), BD_SEQS, METRICS),
    st.binary(max_size=40),
)
MESSAGES = st.tuples(st.sampled_from(KINDS), PAYLOADS)


@given(st.lists(MESSAGES, max_size=30))
def test_no_sequence_of_messages_raises_and_rows_are_always_whole(messages: list[tuple[str, bytes]]) -> None:
    line = Line()
    for kind, payload in messages:
        line.send((DEVICE if kind.startswith("D") else NODE).format(kind), payload)
        line.wait(1)
    for frame in line.frames:
        assert len(frame.rows[0]) == len(frame.channels) > 0
        assert any(abs(cell) < 3.5e38 for cell in frame.rows[0])
