"""Throws generated and mutated payloads at every decoder: none may raise, warn or keep memory. Not a test of meaning.

    python -m benchmarks.reliability.fuzz_formats --count 1000000 --seed 1 --report benchmarks/results/fuzz_formats.json

Each payload is a seed of its format with bytes changed, cut, doubled or spliced with another seed; or, one in three
where the format has structure, a well-formed message with parts exchanged for odd ones; one in sixteen is random bytes.
An exception ends the run with the payload in hexadecimal. Memory is what the process holds (VmRSS) at ten points of a
decoder's run; flat means that the last lies at most 8 MiB above the third, when caches are warm.
"""

import argparse
import base64
import gzip
import json
import math
import platform
import random
import struct
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import cbor2

from benchmarks import RESULTS, ROOT
from edge_agent.formats import cbor_row, json_row, line_protocol, number, senml
from edge_agent.formats.json_path import mapped
from edge_agent.formats.mapping.binary import BinaryField
from edge_agent.formats.mapping.names import parse_template
from edge_agent.formats.mapping.payload_map import PayloadMap
from edge_agent.formats.mapping.quality import QualityReader, QualityRule
from edge_agent.formats.mapping.reading import Reading
from edge_agent.formats.mapping.times import TimeRule
from edge_agent.formats.mapping.values import ValueReader, ValueRule
from edge_agent.formats.origin import Origin
from edge_agent.formats.routing import Route, delivery_decoder
from edge_agent.formats.sparkplug import payload as sparkplug
from edge_agent.formats.sparkplug import sparkplug_b_pb2 as wire
from edge_agent.formats.sparkplug.host import Host, HostSettings
from edge_agent.formats.waveform import WaveformSettings, blocks
from edge_agent.records import Decoded, Delivery, Reject
from edge_agent.signals.vibration import Bearing
from edge_agent.topics import parse, parse_name

NOW_NS = 1_700_000_000_000_000_000
ORIGIN = Origin(machine="pump-1", channel="flow", received_ns=NOW_NS, future_tolerance_ns=60_000_000_000)
LONGEST_BYTES = 4096
POINTS = 10
GROWTH_LIMIT_KIB = 8192
# fmt: off
PIECES = [
    b"\x00", b"\xff", b"\x7f", b"\x80", b"-", b".", b"e9", b'"', b"\\", b"[", b"{", b"}", b",", b"=", b"\n", b" ",
    b"null", b"NaN", b"1e999", b"9" * 30, b"\xed\xa0\x80", b"\xc3", b"\x9f", b"\xbf", b"\xd8\x1c", b"\xf9\x7e\x00",
    b"\x81" * 40, b"[" * 40, b"\x0b" * 8, b"\xff" * 9,
]
ODD: list[object] = [
    None, True, -1, 0, 2**63, -(2**64), 10**400, 1e39, -0.0, 5e-324, math.nan, math.inf, "", "ts", "x" * 200,
    "2023-11-14T22:13:20Z", [], {}, [None], [[1]], {"name": 1}, {"value": "x"}, {"values": {}},
]
ODD_CBOR: list[object] = [
    *ODD, b"", b"abc", {1: 2}, cbor2.undefined, cbor2.CBORSimpleValue(40), cbor2.CBORTag(4, [400, 7]),
    cbor2.CBORTag(5, [9, 9]), cbor2.CBORTag(35, "("), cbor2.CBORTag(64, b"ab"), cbor2.CBORTag(86, b"x"),
    cbor2.CBORTag(1, math.nan), cbor2.CBORTag(2, b"\xff" * 99), cbor2.CBORTag(28, []),
]
# fmt: on

Target = Callable[[bytes], str]
Writer = Callable[[random.Random], bytes]


def encoded(*messages: object) -> list[bytes]:
    """Messages as JSON."""
    return [json.dumps(message).encode() for message in messages]


ROW = {"ts": 1.6e9, "values": {"a": 1.5, "b": None, "c": True}}
BLOCK = {"ts": [1600000000, 1600000001], "values": {"a": [1, 2.5], "b": [None, 3]}}
PACK = [
    {"bn": "urn:dev:pump-1:", "bt": 1.6e9, "bu": "A", "n": "current", "v": 1.2},
    {"n": "on", "t": -5, "vb": True},
]
CBOR_PACK = [{-2: "urn:dev:pump-1:", -3: 1.6e9, 0: "current", 2: 1.2}, {0: "on", 6: -5, 4: True}]
VENDOR = {
    "t": 1600000000000,
    "rows": [{"t": 1600000000001, "x": [{"name": "a", "value": 1}], "y": {"b": {"c": 2}}}],
}
TYPED = {"ts": cbor2.CBORTag(82, struct.pack(">2d", 1.6e9, 1.6e9 + 1)),
         "values": {"a": cbor2.CBORTag(85, struct.pack("<2f", 1, 2)), "b": cbor2.CBORTag(4, [-1, 5])}}  # fmt: skip
LINES = (
    b'm,axis=x,host=a\\ b rms=1.5,n=3i,u=4u,ok=t,label="a \\"b\\"" 1600000000000000000\n# comment\nm2 v=-1e-3'
)


SHAFT = struct.pack("<96f", *(math.sin(number) for number in range(96)))
WAVE = {"ts": 1.6e9, "rate_hz": 8000, "rpm": 1797, "samples": {"de": base64.b64encode(SHAFT).decode()}}
WAVE_CBOR = [WAVE | {"samples": {"de": samples}} for samples in (SHAFT, cbor2.CBORTag(85, SHAFT))]
WAV = (
    b"RIFF"
    + struct.pack("<I", 36 + len(SHAFT))
    + b"WAVEfmt "
    + struct.pack("<IHHIIHH", 16, 3, 1, 8000, 32000, 4, 32)
)
WAV += b"data" + struct.pack("<I", len(SHAFT)) + SHAFT


def twisted(item: object, odd: list[object], rng: random.Random) -> object:
    """The item with about one part in eight exchanged, dropped or renamed."""
    if rng.random() < 1 / 8:
        return rng.choice(odd)
    if isinstance(item, dict):
        pairs = [
            (key if rng.random() > 1 / 16 else "x_", twisted(value, odd, rng)) for key, value in item.items()
        ]
        return dict(pair for pair in pairs if rng.random() > 1 / 16)
    if isinstance(item, list):
        return [twisted(value, odd, rng) for value in item] * rng.choice((1, 1, 1, 2))
    return item


def json_writer(*messages: object) -> Writer:
    """Well-formed JSON with odd parts."""
    return lambda rng: json.dumps(twisted(rng.choice(messages), ODD, rng)).encode()


def cbor_writer(*messages: object) -> Writer:
    """Well-formed CBOR with odd parts."""
    return lambda rng: cbor2.dumps(twisted(rng.choice(messages), ODD_CBOR, rng))


def sparkplug_writer(rng: random.Random) -> bytes:
    """A well-formed payload of odd metrics; names, aliases and types are sometimes those of the births."""
    message = wire.Payload(timestamp=rng.choice((NOW_NS // 10**6, 0, 2**64 - 1)), seq=rng.randrange(256))
    for _ in range(rng.randrange(5)):
        metric = message.metrics.add(timestamp=rng.choice((NOW_NS // 10**6, 1, 2**63)))
        if rng.random() < 1 / 2:
            metric.alias = rng.randrange(25)
        else:
            metric.name = rng.choice(
                (b"Motor/Temp", b"Motor/Rpm", b"double", b"bdSeq", b"\xff", b"", b"x" * 200)
            )
        if rng.random() < 1 / 3:
            metric.datatype = rng.randrange(40)
        metric.is_null, metric.is_historical = rng.random() < 1 / 8, rng.random() < 1 / 8
        match rng.randrange(5):
            case 0:
                metric.double_value = rng.choice((1.5, math.nan, -math.inf, 1e300))
            case 1:
                metric.long_value = rng.randrange(2**64)
            case 2:
                metric.int_value = rng.randrange(2**32)
            case 3:
                metric.boolean_value = True
            case _:
                metric.dataset_value = rng.randbytes(3)
    return message.SerializeToString()


def plain(decode: Callable[[bytes, Origin], Decoded], origin: Origin = ORIGIN) -> Target:
    """The outcome of a decoder as a word."""

    def run(payload: bytes) -> str:
        result = decode(payload, origin)
        return result.reason if isinstance(result, Reject) else "frame"

    return run


READING = Reading(
    values=ValueReader(
        ValueRule(decimal="auto", strip_unit=True, words={"auto": 1.0}, nothing=(327.67, "---"))
    ),
    time=TimeRule(timezone="Europe/Berlin"),
    quality=QualityReader(QualityRule("q", codes="opc_da")),
    machine=parse_template("{machine}.{/device}"),
    channel=parse_template("{/line}.{name}"),
)
"""All that a source may say of its names, numbers, times and quality, at once."""
ROUTED = ORIGIN._replace(machine="", channel=None, reading=READING, levels={"site": "x"})
MAPPED = {
    "device": "d1",
    "line": "l1",
    "press": [
        {"t": "2023-11-14 22:13:20", "q": 192, "x": "1,5 bar", "y": {"name": "a", "v": "ON"}, "h": "00ff10"}
    ],
    "oven": [{"t": "14.11.2023 22:13", "q": "24", "x": [{"name": "b", "v": "1.016,7 °C"}], "h": "0xabcd"}],
}
PLACES = PayloadMap(
    samples="/{machine}",
    values=("/x", "/y"),
    time="/t",
    value_key="v",
    binary=(
        BinaryField("/h", "low", bits=12, bit=4, signed=True),
        BinaryField("/h", "swapped", little=True, scale=0.1),
    ),
)


def packed(payload: bytes, rng: random.Random) -> bytes:
    """The payload in a wrapping, or with marks around it."""
    wraps: tuple[Callable[[bytes], bytes], ...] = (
        lambda raw: gzip.compress(raw, 1),
        lambda raw: zlib.compress(raw, 1),
        lambda raw: gzip.compress(gzip.compress(raw, 1), 1),
        lambda raw: b"\xef\xbb\xbf" + raw,
        lambda raw: b"\xff\xfe" + raw.decode("utf-8", "ignore").encode("utf-16-le"),
        lambda raw: raw + b"\0" * 3,
    )
    return rng.choice(wraps)(payload)


def packed_writer(rng: random.Random) -> bytes:
    """A row in a wrapping, odd parts and all."""
    return packed(json_writer(ROW, BLOCK)(rng), rng)


def routed() -> Target:
    """A message on its whole way: topic, wrapping, decoder, arrival."""
    route = Route(
        parse("s/{machine}", allowed=None, required=frozenset()), json_row.decode, parse_name("{machine}")
    )
    decode = delivery_decoder([route], payload_limit_bytes=LONGEST_BYTES, future_tolerance_s=60.0)

    def run(payload: bytes) -> str:
        result = decode(Delivery("s/pump-1", payload, NOW_NS))
        return result.reason if isinstance(result, Reject) else "frame"

    return run


def sparkplug_payload(payload: bytes) -> str:
    """Payload decoding with every metric read."""
    result = sparkplug.decode(payload)
    if isinstance(result, Reject):
        return result.reason
    for metric in result.metrics:
        sparkplug.reading(metric, metric.datatype)
    return "payload"


class HostTarget:
    """A host that hears all message types of three nodes in turn with a tick after each."""

    def __init__(self, births: list[tuple[str, bytes]]) -> None:
        settings = HostSettings("h", rebirth_jitter_s=0.0, rebirth_interval_s=1.0, reorder_timeout_s=0.2)
        self.host = Host(settings, jitter=lambda: 0.5)
        self.births = births
        self.count = 0

    def __call__(self, payload: bytes) -> str:
        """Hear one message; every thirtieth time the nodes are born properly before it."""
        if self.count % 30 == 0:
            for topic, birth in self.births:
                self.host.receive(Delivery(topic, birth, NOW_NS), now_ns=self.count * 20_000_000)
        kind = ("NBIRTH", "DBIRTH", "NDATA", "DDATA", "DDATA", "DDATA", "NDEATH", "DDEATH")[
            self.count * 7 % 37 % 8
        ]
        device = f"/D{self.count % 3}" if kind.startswith("D") else ""
        topic = f"spBv1.0/G/{kind}/N{self.count % 3}{device}"
        self.count += 1
        now_ns = self.count * 20_000_000
        step = self.host.receive(Delivery(topic, payload, NOW_NS), now_ns=now_ns)
        ticked = self.host.tick(now_ns=now_ns, wall_ns=NOW_NS)
        return "frames" if step.frames or ticked.frames else "nothing"


def targets() -> Iterator[tuple[str, Target, list[bytes], Writer | None]]:
    """Name, function, seeds and writer of each decoder."""
    golden = json.loads((ROOT / "tests/formats/sparkplug_golden.json").read_text())
    metrics = [base64.b64decode(raw) for name, raw in golden.items() if name != "note"]
    births = [(f"spBv1.0/G/NBIRTH/N{node}", base64.b64decode(golden["NBIRTH"])) for node in range(3)]
    births += [(f"spBv1.0/G/DBIRTH/N{node}/D{node}", base64.b64decode(golden["DBIRTH"])) for node in range(3)]
    places = PayloadMap(values=("/x", "/y"), time="/t", time_unit="ms", samples="/rows")
    cbor_rows = (ROW, BLOCK, TYPED)
    yield "json", plain(json_row.decode), encoded(ROW, BLOCK), json_writer(ROW, BLOCK)
    yield "number", plain(number.decode), [b"1.5", b"-3e5", b"true", b"null"], None
    yield "cbor", plain(cbor_row.decode), [cbor2.dumps(row) for row in cbor_rows], cbor_writer(*cbor_rows)
    yield "senml", plain(senml.decode), encoded(PACK), json_writer(PACK)
    yield "senml_cbor", plain(senml.decode_cbor), [cbor2.dumps(CBOR_PACK)], cbor_writer(CBOR_PACK)
    yield "line", plain(line_protocol.decode), [LINES], None
    yield "mapped", plain(mapped(places)), encoded(VENDOR), json_writer(VENDOR)
    yield "mapping", plain(mapped(PLACES), ROUTED), encoded(MAPPED), json_writer(MAPPED)
    rng = random.Random(0)
    wrapped = [packed(raw, rng) for raw in encoded(ROW, BLOCK) for _ in range(12)]
    yield "packed", routed(), wrapped, packed_writer
    words = [b"1,5 bar", b"ON", b"closed", b"1.016,7 \xb0C", "21.5 °C".encode(), b"unavailable", b"327.67"]
    yield "words", plain(number.decode, ORIGIN._replace(reading=Reading(values=READING.values))), words, None
    shaft = WaveformSettings(rate_hz=8000.0, frame_samples=32, bearing=Bearing(9, 0.3126, 1.537))
    waves = [*encoded(WAVE), *(cbor2.dumps(wave) for wave in WAVE_CBOR), WAV]
    yield "waveform", plain(blocks(shaft)), waves, cbor_writer(WAVE, *WAVE_CBOR)
    yield "sparkplug", sparkplug_payload, metrics, sparkplug_writer
    yield "sparkplug_host", HostTarget(births), metrics, sparkplug_writer


def generated(seeds: list[bytes], write: Writer | None, rng: random.Random) -> bytes:
    """A payload near its format, or far from it."""
    draw = rng.random()
    if draw < 1 / 16:
        return rng.randbytes(rng.randrange(64))
    return write(rng) if write is not None and draw < 1 / 16 + 1 / 3 else mutated(seeds, rng)


def mutated(seeds: list[bytes], rng: random.Random) -> bytes:
    """A seed after up to four accidents."""
    raw = bytearray(rng.choice(seeds))
    for _ in range(rng.randrange(5)):
        at = rng.randrange(len(raw) + 1)
        match rng.randrange(6):
            case 0:
                raw[at : at + 1] = rng.randbytes(1)
            case 1:
                raw[at:at] = rng.choice(PIECES)
            case 2:
                del raw[at : at + rng.randrange(1, 9)]
            case 3:
                raw[at:] = b""
            case 4:
                raw[at:at] = raw[at : at + rng.randrange(1, 40)]
            case _:
                other = rng.choice(seeds)
                raw[at:] = other[rng.randrange(len(other)) :]
    return bytes(raw[:LONGEST_BYTES])


def resident_kib() -> int:
    """Memory that the process holds."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def fuzz(
    run: Target, seeds: list[bytes], write: Writer | None, *, count: int, rng: random.Random
) -> dict[str, object]:
    """One decoder's part of the report; an exception passes through, its payload printed."""
    outcomes: Counter[str] = Counter()
    memory: list[int] = []
    slowest_s = 0.0
    started_s = time.perf_counter()
    for index in range(count):
        payload = generated(seeds, write, rng)
        before_s = time.perf_counter()
        try:
            outcomes[run(payload)] += 1
        except BaseException:
            print(f"payload {index}: {payload.hex()}")
            raise
        slowest_s = max(slowest_s, time.perf_counter() - before_s)
        if (index + 1) % max(1, count // POINTS) == 0:
            memory.append(resident_kib())
    growth_kib = memory[-1] - memory[min(2, len(memory) - 1)]
    return {
        "payloads": count,
        "exceptions": 0,
        "outcomes": dict(outcomes.most_common()),
        "resident_kib": memory,
        "growth_kib": growth_kib,
        "flat": growth_kib <= GROWTH_LIMIT_KIB,
        "slowest_ms": round(slowest_s * 1000, 2),
        "duration_s": round(time.perf_counter() - started_s, 1),
    }


def main() -> None:
    """Fuzz every decoder, write the report, fail where memory grew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000_000, help="payloads for each decoder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="names of decoders")
    parser.add_argument("--report", type=Path, default=RESULTS / "fuzz_formats.json")
    options = parser.parse_args()
    report: dict[str, object] = {
        "seed": options.seed,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    warnings.simplefilter("error")  # an overflow that numpy only mentions is a wrong number
    for name, run, seeds, write in targets():
        if options.only and name not in options.only:
            continue
        rng = random.Random(f"{options.seed} {name}")
        found = report[name] = fuzz(run, seeds, write, count=options.count, rng=rng)
        print(name, found, flush=True)
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(json.dumps(report, indent=2) + "\n")
        if not found["flat"]:
            raise SystemExit(f"{name}: memory grew by {found['growth_kib']} KiB")


if __name__ == "__main__":
    main()
