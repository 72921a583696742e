"""What was sent: scripts of messages as files, and how those of the corpus were written. Knows nothing of the agent.

A script is a list of moments in MessagePack, compressed. `record.py` writes them once; the tests only read them.
"""

import base64
import json
import lzma
import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cbor2
import msgspec
import numpy as np

from tests.golden.stage import SECOND_NS, Moment, Sent

START_S = 1_700_000_000
_LATENCY_NS = 200_000_000
"""From a row's time to its arrival."""
LEARNT, FAULTY, WELL, END = 240, 300, 350, 400
"""Rows of most machines: learnt from the first, then calm, faulty, calm again."""
FORMATS = ("row", "arrival", "block", "path", "number", "cbor", "typed", "senml", "packed", "line", "device")
Values = dict[str, float]


def save(path: Path, moments: Iterable[Moment]) -> None:
    raw = msgspec.msgpack.encode([*moments])
    path.write_bytes(lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME))


def load(path: Path) -> list[Moment]:
    return msgspec.msgpack.decode(lzma.decompress(path.read_bytes()), type=list[Moment])


def at(second: float, *messages: Sent, network: str = "") -> Moment:
    """Messages that arrive just after this second of the script."""
    return Moment(round((START_S + second) * 1000) * 1_000_000 + _LATENCY_NS, messages, network)


def row_message(machine: str, second: float, values: Mapping[str, float]) -> Sent:
    """A row as most machines send it."""
    return Sent(f"sensors/{machine}", _json({"ts": START_S + second, "values": values}))


def command(name: str, **fields: Any) -> Sent:
    """An operator's command."""
    return Sent(f"agents/hall/cmd/{name}", _json(fields))


def machine_rows(seed: int, count: int) -> list[Values]:
    """Three channels that breathe together, each seed another machine of the kind."""
    noise = np.random.default_rng(seed).normal(size=(count, 3))
    return [
        {
            "pressure": round(5 + math.sin(row / 7) + 0.1 * float(one[0]), 4),
            "flow": round(40 - 4 * math.sin(row / 7) + 0.4 * float(one[1]), 4),
            "current": round(12 + 0.5 * math.sin(row / 7) + 0.05 * float(one[2]), 4),
        }
        for row, one in enumerate(noise)
    ]


def closing_valve(values: Values) -> Values:
    """A fault that nobody could miss."""
    return values | {"flow": round(values["flow"] - 6.0, 4), "pressure": round(values["pressure"] + 1.5, 4)}


def story(seed: int, *, end: int = END) -> list[Values]:
    """A machine that is calm, faulty and calm again."""
    rows = machine_rows(seed, end)
    return [closing_valve(row) if FAULTY <= number < WELL else row for number, row in enumerate(rows)]


# -- every format ------------------------------------------------------------------------------------------------


def formats() -> Iterator[Moment]:
    """One story in every format at once; then what is malformed, late, doubled, too much or of nobody."""
    stories = {name: story(seed) for seed, name in enumerate(FORMATS)}
    node = _Node()
    yield at(-1, *node.born(stories["device"][0], -1))
    for row in range(END):
        messages = [
            message
            for name in FORMATS[:-1]
            for message in encoded(name, row, stories[name][max(0, row - 9) : row + 1])
        ]
        yield at(row, *messages, *node.data(stories["device"][row], row), *odd(row, stories))
    yield at(END, *node.dead())
    yield at(END + 2, Sent("spBv1.0/plant/DDATA/node/m-device", node.last))


def encoded(name: str, row: int, rows: Sequence[Values]) -> list[Sent]:
    """The messages of a row, the last of those given; blocks are sent at every tenth row."""
    values, ts, topic = rows[-1], START_S + row, f"{name}/m-{name}"
    if name in ("block", "typed"):
        if row % 10 != 9:
            return []
        times = [ts - 9 + step for step in range(10)]
        columns = {key: [one[key] for one in rows] for key in values}
        if name == "block":
            return [Sent(topic, _json({"ts": times, "values": columns}))]
        typed: dict[str, Any] = {
            key: cbor2.CBORTag(85, struct.pack("<10f", *column)) for key, column in columns.items()
        }
        return [
            Sent(topic, cbor2.dumps({"ts": cbor2.CBORTag(82, struct.pack(">10d", *times)), "values": typed}))
        ]
    if name == "number":
        return [Sent(f"{topic}/{key}", repr(value).encode()) for key, value in values.items()]
    items = values.items()
    fields = ",".join(f"{key}={value}" for key, value in items)
    payloads: dict[str, Any] = {
        "row": lambda: _json({"ts": ts, "values": values}),
        "arrival": lambda: _json({"ts": ts - 3000, "values": values}),
        "path": lambda: _json({"header": {"t": ts * 1000}, "body": values}),
        "cbor": lambda: cbor2.dumps({"ts": ts, "values": values}),
        "senml": lambda: _json(
            [{"bn": f"urn:dev:m-{name}:", "bt": ts}, *({"n": key, "v": value} for key, value in items)]
        ),
        "packed": lambda: cbor2.dumps([{0: key, 2: value, 6: ts} for key, value in items]),
        "line": f"m-line {fields} {ts * SECOND_NS}".encode,
    }
    return [Sent(topic, payloads[name]())]


def odd(row: int, stories: Mapping[str, Sequence[Values]]) -> list[Sent]:
    """What no good source sends, spread over the calm rows after the learning."""
    step = row - LEARNT - 10
    if not 0 <= step < 40:
        return []
    values, ts = stories["row"][row], START_S + row
    good = {name: encoded(name, row, [stories[name][row]] * 10) for name in FORMATS[:-1]}
    each = [message for messages in good.values() for message in messages[:1]]
    turns: dict[int, list[Sent]] = {
        0: [Sent(one.topic, one.payload[:-4]) for one in each],
        2: [Sent(one.topic, b"\xff\xfe") for one in each],
        4: [Sent(one.topic, b"") for one in each],
        6: [Sent(one.topic, b" " * 20_001) for one in each[:3]],
        8: each,  # the same times again: duplicates
        10: [Sent("row/m-row", _json({"ts": ts - 60, "values": values}))] * 2,  # late
        12: [Sent("row/m-row", _json({"ts": ts + 4000, "values": values}))],
        13: [Sent("row/m-row", _json({"ts": 5.0, "values": values}))],
        14: [Sent("row/m-row", b'{"ts": 1e999, "values": {"flow": 1}}')],
        15: [Sent("row/m-row", b'{"values": {"flow": NaN, "pressure": 5.0, "current": "x"}}')],
        16: [Sent("row/m-row", _json({"ts": ts + 0.5, "values": {"flow": 40.0, "who": 1.0}}))],
        17: [Sent("row/m-row", _json({"ts": ts + 0.5, "values": {"who": 1.0}}))],
        18: [Sent("row/m-row", _json({"ts": ts + 0.5, "values": {}})), Sent("row/m-row", b"[1, 2]")],
        19: [Sent("nobody/m-row", b"1"), Sent("row/m-row/deep/er", b"1")],
        20: [
            Sent("row/" + "x" * 300, _json({"values": values})),
            Sent("row/\x01", _json({"values": values})),
        ],
        22: [
            Sent("number/m-number/flow", word)
            for word in (b"abc", b"1e999", b"[1]", b"9" * 99, b"null", b"true")
        ],
        24: [Sent("senml/m-senml", _json([{"n": "flow", "v": 1, "must_": 1}]))],
        25: [Sent("senml/m-senml", _json([{"bver": 99, "n": "flow", "v": 1}, 5]))],
        26: [Sent("packed/m-packed", cbor2.dumps([{0: "flow", 2: cbor2.CBORTag(35, "("), 6: -5}]))],
        28: [Sent("line/m-line", b'm-line flow=1,pressure="x",current=nan 5\nbroken line\nm-line flow=40i')],
        30: [Sent("path/m-path", _json({"header": {}, "body": values}))],
        31: [Sent("path/m-path", _json({"header": {"t": ts * 1000}, "body": {"flow": {"a": [1]}}}))],
        32: [Sent("row/m-flood", _json({"values": {f"c{number}": 1.0 for number in range(70)}}))],
        33: [Sent(f"row/m-more-{number}", _json({"values": {"a": 1.0}})) for number in range(6)],
        34: [Sent("spBv1.0/plant/DDATA/stranger/m-x", b"\x08\x01\x18\x01")],
        35: [Sent("spBv1.0/plant/DDATA/node/m-device", b"\xff\xff"), Sent("spBv1.0/plant/WHAT/node", b"")],
        38: [Sent("number/m-number/flow", b"40.0")] * 8,  # more often than the grid asks for
        36: [
            Sent("row/m-row", _json({"ts": ts + 0.25, "values": values}), again=again)
            for again in (False, True)
        ],
    }
    return turns.get(step, [])


class _Node:
    """A Sparkplug edge node with one device; its payloads are written by hand, field by field."""

    def __init__(self) -> None:
        self._seq = 0
        self.last = b""

    def born(self, values: Values, second: float) -> list[Sent]:
        self._seq = 0
        known = [
            _field(1, key.encode()) + _field(2, alias) + _field(4, 10) + _double(13, value)
            for alias, (key, value) in enumerate(values.items())
        ]
        birth = self._payload(second, [_field(1, b"bdSeq") + _field(4, 4) + _field(11, 0)])
        return [
            Sent("spBv1.0/plant/NBIRTH/node", birth),
            Sent("spBv1.0/plant/DBIRTH/node/m-device", self._payload(second, known)),
        ]

    def data(self, values: Values, second: float) -> list[Sent]:
        metrics = [_field(2, alias) + _double(13, value) for alias, value in enumerate(values.values())]
        self.last = self._payload(second, metrics)
        messages = [Sent("spBv1.0/plant/DDATA/node/m-device", self.last)]
        if second == LEARNT + 20:  # lost, and asked for again
            return []
        if second == LEARNT + 22:
            return [*messages, *self.born(values, second + 0.1)]
        if second == LEARNT + 24:
            return messages * 2
        return messages

    def dead(self) -> list[Sent]:
        death = _field(2, _field(1, b"bdSeq") + _field(4, 4) + _field(11, 0))
        return [Sent("spBv1.0/plant/NDEATH/node", death)]

    def _payload(self, second: float, metrics: Iterable[bytes]) -> bytes:
        stamp = _field(1, round((START_S + second) * 1000))
        raw = stamp + b"".join(_field(2, metric) for metric in metrics) + _field(3, self._seq)
        self._seq = (self._seq + 1) % 256
        return raw


def _field(number: int, value: int | bytes) -> bytes:
    """A varint or bytes field of protocol buffers."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | 1) + struct.pack("<d", value)


def _varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


# -- waveforms ---------------------------------------------------------------------------------------------------

_RATE_HZ, _FRAME = 512, 256


def waveforms() -> Iterator[Moment]:
    """Vibration in blocks: JSON, CBOR and WAV; the bearing is struck from row 300 on. Two rows a message."""
    rng = np.random.default_rng(11)
    for row in range(0, 380, 2):
        wave = np.sin(np.arange(2 * _FRAME) * 2 * np.pi * 25 / _RATE_HZ) * 20 + rng.normal(0, 8, 2 * _FRAME)
        if row >= 300:
            wave[:: _RATE_HZ // 90] += 60
        raw = np.clip(np.rint(wave), -127, 127).astype("<i2")
        ts = START_S + row / 2
        coded = {"ts": ts, "rate_hz": _RATE_HZ, "rpm": 1500, "type": "int16"}
        text = _json(coded | {"samples": {"de": base64.b64encode(raw.tobytes()).decode()}})
        packed = cbor2.dumps(
            coded | {"samples": {"de": raw.tobytes(), "nde": cbor2.CBORTag(77, raw.tobytes())}}
        )
        messages = [Sent("wave/m-text", text), Sent("wave/m-bytes", packed), Sent("wav/m-file", _wav(raw))]
        yield at(row / 2 + 1, *messages, *_odd_blocks(row, coded, raw))


def _odd_blocks(row: int, coded: Mapping[str, Any], raw: Any) -> list[Sent]:
    bad: dict[int, Sequence[bytes]] = {
        262: [
            _json(coded | {"rate_hz": 900, "samples": {"de": ""}}),
            _json(coded | {"type": "int7", "samples": {}}),
        ],
        264: [_json(coded | {"samples": {"de": "!!"}}), _json(coded | {"samples": [1]}), b"RIFF1234WAVE"],
        266: [cbor2.dumps(coded | {"samples": {"de": raw.tobytes()[:101]}}), _wav(raw)[:90]],
        268: [_json({"rate_hz": _RATE_HZ, "samples": {f"c{number}": "" for number in range(20)}})],
    }
    return [Sent("wave/m-text", payload) for payload in bad.get(row, ())]


def _wav(raw: Any) -> bytes:
    body = raw.tobytes()
    head = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 36 + len(body), b"WAVE", b"fmt ", 16, 1, 1, _RATE_HZ, 0, 2, 16
    )
    return head + struct.pack("<4sI", b"data", len(body)) + body


# -- sensors and grids -------------------------------------------------------------------------------------------


def sensors() -> Iterator[Moment]:
    """A machine whose sensors break, one after another, then itself; one with a wrong clock; one that falls silent."""
    rows, other, third = machine_rows(21, 760), machine_rows(22, 760), machine_rows(23, 760)
    held: Values = {}
    for number, values in enumerate(rows):
        if number in (300, 460):
            held = values
        if 300 <= number < 350:
            values |= {"flow": held["flow"]}
        elif 370 <= number < 420:
            del values["pressure"]
        elif 440 <= number < 460:
            values |= {"current": 999.0}
        elif 480 <= number < 540:
            values |= {"pressure": round(values["pressure"] * 14.5038, 3)}
        elif 560 <= number < 620:
            values |= {"current": round(12 + 0.5 * math.sin(number / 7), 4)}
        elif 640 <= number < 700:
            values |= {"flow": held["flow"], "pressure": round(values["pressure"] + 1.5, 4)}
        messages = [row_message("press", number, values)]
        if number < 500 or number >= 600:
            messages.append(row_message("silent", number, other[number]))
        messages.append(row_message("skewed", number + (200 if 400 <= number < 520 else 0), third[number]))
        yield at(number, *messages)


def grid() -> Iterator[Moment]:
    """Channels of four rates with losses, out of order and late, brought onto a grid of a second."""
    rng = np.random.default_rng(31)
    rows = story(32, end=420)
    waiting: list[tuple[float, Sent]] = []
    for tick in range(4 * 420):
        second, row = tick / 4, rows[tick // 4]
        found: Values = {"pressure": row["pressure"]}
        if tick % 2 == 0:
            found["current"] = row["current"]
        if tick % 4 == 0:
            found["flow"] = row["flow"]
        found["parts"] = 1.0
        for name, value in found.items():
            if rng.random() > 0.05:
                delay_s = float(rng.choice([0.0, 0.3, 0.9, 4.0], p=[0.8, 0.12, 0.06, 0.02]))
                waiting.append((second + delay_s, row_message("mixed", second, {name: value})))
        due = sorted((one for one in waiting if one[0] <= second), key=lambda one: one[0])
        waiting = [one for one in waiting if one[0] > second]
        yield at(second, *(message for _, message in due))


# -- operators ---------------------------------------------------------------------------------------------------


def operators() -> Iterator[Moment]:
    """Two pumps and a fan with faults that come again, and people who label, acknowledge, shelve and err."""
    spells = {"pump-1": (300, 360), "pump-2": (330, 400), "fan": (345, 380)}
    again = {"pump-1": (480, 540), "pump-2": (520, 560), "fan": (530, 545)}
    rows = {name: machine_rows(seed, 640) for seed, name in enumerate(spells, start=41)}
    orders = _orders()
    for number in range(640):
        messages = []
        for name, values in rows.items():
            faulty = any(first <= number < last for first, last in (spells[name], again[name]))
            messages.append(
                row_message(name, number, closing_valve(values[number]) if faulty else values[number])
            )
        if number % 15 == 5:
            messages += [_receipt(name) for name in rows]
        yield at(
            number, *messages, *orders.get(number, ()), network={440: "lost", 446: "back"}.get(number, "")
        )


def _receipt(machine: str) -> Sent:
    """A subscriber has the latest alert of a machine."""
    said = f'{{"id": "$alarm:{machine}", "revision": $revision:{machine}}}'
    return Sent("agents/hall/receipt", said.encode())


def _orders() -> dict[int, list[Sent]]:
    """What people send, by second."""
    anna, ben = {"by": "anna"}, {"by": "ben"}
    return {
        320: [command("ack", id="a1", alarm="$alarm:pump-1", comment="seen", **anna)],
        322: [command("ack", id="a1", alarm="$alarm:pump-1", comment="seen", **anna)],
        324: [command("ack", id="a1", alarm="$alarm:pump-1", **ben)],
        342: [command("shelve", id="s1", alarm="$alarm:pump-2", for_s=120, **ben)],
        350: [
            command("shelve", id="s2", machine="fan", once=True, **ben),
            command("nonsense", id="n1", **ben),
        ],
        352: [
            Sent("agents/hall/cmd/ack", b"{"),
            Sent("agents/hall/cmd/ack", _json({"id": "r1"}), retain=True),
        ],
        354: [
            command("shelve", id="s3", machine="fan", for_s=10**7, **ben),
            command("shelve", id="s4", **ben),
        ],
        390: [command("label", id="l1", alarm="$alarm:pump-1", fault="valve closed", **anna)],
        395: [command("label", id="l2", alarm="$alarm:pump-2", fault="Valve closed", **anna)],
        410: [command("label", id="l3", alarm="$alarm:fan", fault="normal", **anna)],
        420: [command("unshelve", id="u1", machine="pump-2", **ben)],
        425: [command("suppress", id="p1", machine="fan", for_s=130, **anna)],
        430: [command("recommission", id="c1", machine="pump-1", **anna)],
        450: [command("ack", id="a2", alarm="$alarm:pump-2", sent="2023-11-14T22:00:00Z", **anna)],
        500: [command("label", id="l4", alarm="$alarm:pump-1", fault="valve closed", **anna)],
        570: [
            command("unsuppress", id="p2", machine="fan", **anna),
            command("ack", id="a3", alarm="nobody", **ben),
        ],
        600: [command("recommission", id="c2", machine="fan", force=True, **anna)],
    }


# -- a trained bundle ---------------------------------------------------------------------------------------------

TRAINED = ("speed", "pressure", "heat")


def trained_rows(rng: np.random.Generator, *, rows: int, fault: int) -> list[Values]:
    """Pressure follows speed; fault 1 breaks that, fault 2 lifts the heat."""
    speed = np.sin(np.arange(rows) * 0.2 + rng.uniform(0, 6)) + 0.1 * rng.standard_normal(rows)
    pressure = (-speed if fault == 1 else speed) + 0.1 * rng.standard_normal(rows)
    heat = 20.0 + (6.0 if fault == 2 else 0.0) + rng.standard_normal(rows)
    cells = np.stack([speed, pressure, heat], axis=1)
    return [dict(zip(TRAINED, (round(float(cell), 5) for cell in row), strict=True)) for row in cells]


def trained() -> Iterator[Moment]:
    """A machine of the kind that the bundle was fitted to: calm, slipping, calm, hot, calm."""
    rng = np.random.default_rng(61)
    rows = [row for fault in (0, 1, 0, 2, 0) for row in trained_rows(rng, rows=90, fault=fault)]
    other = machine_rows(62, len(rows))
    for number, values in enumerate(rows):
        yield at(number, row_message("mill", number, values), row_message("stranger", number, other[number]))


# -- a state directory -------------------------------------------------------------------------------------------

ACKNOWLEDGED_AT, TAKEN_AT = 440, 470
"""Row after which the state directory was copied from the running agent."""


def before_the_copy() -> Iterator[Moment]:
    """What the agent heard that wrote the state directory.

    A closed alarm that was labelled, one that is open and acknowledged, one that is open on a shelved machine, a
    finding about a sensor, a machine that is still being learnt, and an alarm that the broker never heard of.
    """
    orders = before_the_copy_orders()
    for number in range(TAKEN_AT):
        network = "mute" if number == 450 else ""
        yield at(number, *_hall(number), *orders.get(number, ()), network=network)


def before_the_copy_orders() -> dict[int, list[Sent]]:
    """What people sent to the agent that wrote the state directory, by second."""
    return {
        330: [command("label", id="l1", alarm="$alarm:press-1", fault="valve closed", by="anna")],
        ACKNOWLEDGED_AT: [command("ack", id="a1", alarm="$alarm:press-2", by="ben", comment="on my way")],
        442: [command("shelve", id="s1", machine="press-3", for_s=3600, by="ben", comment="known")],
        444: [command("suppress", id="p1", machine="late-one", by="anna")],
    }


def after_the_copy() -> Iterator[Moment]:
    """How it goes on: the open alarms end, the labelled fault comes again, the newcomer is learnt."""
    for number in range(TAKEN_AT, TAKEN_AT + 200):
        yield at(number, *_hall(number))


def _hall(number: int) -> list[Sent]:
    """The machines of the state directory, a row of each."""
    spells = {
        "press-1": ((250, 300), (560, 600)),
        "press-2": ((420, 520),),
        "press-3": ((430, 500),),
        "press-4": ((452, 540),),
        "late-one": (),
    }
    messages = []
    for seed, (name, faulty) in enumerate(spells.items(), start=51):
        first = 400 if name == "late-one" else 0
        if number < first:
            continue
        values = _hall_rows(seed)[number]
        if any(begin <= number < end for begin, end in faulty):
            values = closing_valve(values)
        if name == "press-1" and 400 <= number < 520:
            values = values | {"current": 12.3456}
        messages.append(row_message(name, number, values))
    return messages


_HALL: dict[int, list[Values]] = {}


def _hall_rows(seed: int) -> list[Values]:
    if seed not in _HALL:
        _HALL[seed] = machine_rows(seed, TAKEN_AT + 200)
    return _HALL[seed]


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
