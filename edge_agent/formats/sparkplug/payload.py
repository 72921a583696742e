"""The Sparkplug B payload: bytes to metrics and back. Keeps no state: births and aliases are the host's.

Specification: Eclipse Sparkplug 3.0.0, chapters 4 (topics) and 6 (payloads).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from google.protobuf.message import DecodeError

from edge_agent.formats.origin import number
from edge_agent.formats.packing import inflate
from edge_agent.formats.sparkplug import sparkplug_b_pb2 as wire
from edge_agent.records import Reject
from edge_agent.topics import is_name

NAMESPACE = "spBv1.0"
BD_SEQ = "bdSeq"
REBIRTH = "Node Control/Rebirth"
MILLISECOND_NS = 1_000_000
MetricKind = Literal[
    "number",
    "null",
    "not_finite",
    "wrong_type",
    "text",
    "time",
    "dataset",
    "template",
    "bytes",
    "array",
    "unknown",
]
"""What a metric holds: a number, nothing, a number that is none, or something of which no measurement is made."""
_SIGNED_BITS: Mapping[int, int] = {1: 8, 2: 16, 3: 32, 4: 64}
_UNSIGNED_BITS: Mapping[int, int] = {5: 8, 6: 16, 7: 32, 8: 64}
_REAL_TYPES = frozenset({9, 10})
_BOOLEAN_TYPE = 11
_OTHER_KINDS: Mapping[int, MetricKind] = {
    12: "text", 13: "time", 14: "text", 15: "text", 16: "dataset", 17: "bytes", 18: "bytes", 19: "template",
    **dict.fromkeys(range(22, 35), "array"),
}  # fmt: skip
_KIND_OF_FIELD: Mapping[str, MetricKind] = {
    "string_value": "text",
    "bytes_value": "bytes",
    "dataset_value": "dataset",
    "template_value": "template",
}
_COMPRESSED = b"SPBV1.0_COMPRESSED"
_UNPACKED_BYTES = 1_048_576
_QUALITY_KEY = b"Quality"
_QUALITY_GOOD = 192
_MESSAGE_TYPES = frozenset({"NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH", "NCMD", "DCMD"})
MessageType = Literal["NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH", "NCMD", "DCMD"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message comes from.

    Attributes:
        device: None in messages of the node itself.
    """

    kind: MessageType
    group: str
    node: str
    device: str | None


@dataclass(frozen=True, slots=True)
class SparkplugMetric:
    """One metric as it was sent; what its raw value means, `reading` says.

    Attributes:
        name: None where an alias stands for it. alias: None where there is none.
        datatype: 0 where it was not sent, as is usual in data.
        time_ns: when it was acquired; None where that was not sent.
        raw: the value as it stands in `field`; None where there is none, or where it is null or of bad quality.
    """

    name: str | None
    alias: int | None
    datatype: int
    time_ns: int | None
    historical: bool
    field: str
    raw: int | float | bool | None


@dataclass(frozen=True, slots=True)
class SparkplugPayload:
    """A message's content.

    Attributes:
        seq: 0 to 255; a payload without one counts as 0, as encoders leave zeros out.
    """

    seq: int
    time_ns: int | None
    metrics: tuple[SparkplugMetric, ...]

    def number_of(self, name: str) -> int | None:
        """The whole number that the metric of this name holds."""
        found = (metric.raw for metric in self.metrics if metric.name == name)
        value = next(found, None)
        return value if isinstance(value, int) else None


def read_address(topic: str) -> Address | Reject:
    """Take a topic apart: `spBv1.0/group/type/node` with a device behind it in messages of devices."""
    parts = topic.split("/")
    if len(parts) not in (4, 5) or parts[0] != NAMESPACE or parts[2] not in _MESSAGE_TYPES:
        return Reject("bad_topic", ascii(topic[:120]))
    kind = parts[2]
    device = parts[4] if len(parts) == 5 else None
    if (device is None) != kind.startswith("N") or not all(is_name(part) for part in parts):
        return Reject("bad_topic", ascii(topic[:120]))
    return Address(kind=kind, group=parts[1], node=parts[3], device=device)  # type: ignore[arg-type]


def decode(payload: bytes, *, limit_bytes: int = _UNPACKED_BYTES) -> SparkplugPayload | Reject:
    """A payload's metrics. Names that are not UTF-8 become none, so that only their metric is lost.

    Args:
        payload: as it came; a compressed one (Sparkplug's `SPBV1.0_COMPRESSED`) is unpacked.
        limit_bytes: what it may have unpacked.
    """
    try:
        message = wire.Payload.FromString(payload)
        if message.uuid == _COMPRESSED:
            inner = _unpacked(message, limit_bytes=limit_bytes)
            if isinstance(inner, Reject):
                return inner
            message = wire.Payload.FromString(inner)
    except DecodeError as error:
        return Reject("malformed", f"Sparkplug: {error}"[:100])
    if message.seq > 255:
        return Reject("malformed", f"Sparkplug: sequence number {message.seq}")
    return SparkplugPayload(
        seq=message.seq,
        time_ns=message.timestamp * MILLISECOND_NS if message.timestamp else None,
        metrics=tuple(_metric(metric) for metric in message.metrics),
    )


def _unpacked(message: wire.Payload, *, limit_bytes: int) -> bytes | Reject:
    """The body of a compressed payload, whose metric `algorithm` says how it was packed."""
    named = [metric.string_value for metric in message.metrics if metric.name == b"algorithm"]
    algorithm = (named or [b"GZIP"])[0].decode("ascii", "replace").upper()
    if algorithm not in ("GZIP", "DEFLATE"):
        return Reject("unsupported", f"Sparkplug: compression {algorithm[:20]!r}; known: GZIP, DEFLATE")
    found = inflate(message.body, limit_bytes=limit_bytes)
    if isinstance(found, Reject) and found.reason == "malformed" and algorithm == "DEFLATE":
        return inflate(message.body, limit_bytes=limit_bytes, form="raw")
    return found


def _metric(metric: wire.Metric) -> SparkplugMetric:
    field = metric.WhichOneof("value") or ""
    known = field in {"int_value", "long_value", "float_value", "double_value", "boolean_value"}
    null = metric.is_null or not known or not _is_good(metric)
    try:
        name = metric.name.decode() or None
    except UnicodeDecodeError:
        name = None
    return SparkplugMetric(
        name=name,
        alias=metric.alias if metric.HasField("alias") else None,
        datatype=metric.datatype,
        time_ns=metric.timestamp * MILLISECOND_NS if metric.timestamp else None,
        historical=metric.is_historical,
        field="" if metric.is_null else field,
        raw=None if null else getattr(metric, field),
    )


def _is_good(metric: wire.Metric) -> bool:
    """Whether no property says that the value is bad (0) or stale (500)."""
    if not metric.properties.keys:
        return True
    pairs = zip(metric.properties.keys, metric.properties.values, strict=False)
    return all(value.int_value == _QUALITY_GOOD for key, value in pairs if key == _QUALITY_KEY)


def reading(metric: SparkplugMetric, datatype: int) -> tuple[MetricKind, float | None]:
    """What a metric says: its kind, and its value where that is a number.

    Args:
        metric: as it was sent.
        datatype: as its birth declared it; 0 where nobody did.

    Signed integers are stored as two's complement, by some encoders of their own width and by some of the field's:
    both are read.
    """
    kind = _OTHER_KINDS.get(datatype) or _KIND_OF_FIELD.get(metric.field)
    if kind is not None:
        return kind, None
    if metric.raw is None:
        return "null", None
    value = _number(metric.raw, datatype)
    if value is None:
        return ("unknown" if datatype > _BOOLEAN_TYPE else "wrong_type"), None
    checked = number(value)
    return ("number", checked) if isinstance(checked, float) else ("not_finite", None)


def _number(raw: float, datatype: int) -> float | None:
    """The raw value as its type means it; None where the two do not fit."""
    whole = int(raw) if isinstance(raw, int) else None  # a truth value is whole too
    if datatype == 0 or datatype in _REAL_TYPES:
        return float(raw) if whole is None else whole
    if whole is None:
        return None
    if datatype == _BOOLEAN_TYPE:
        return float(whole != 0)
    if (bits := _SIGNED_BITS.get(datatype)) is not None:
        low = whole & ((1 << bits) - 1)
        return low - (1 << bits) if low >> (bits - 1) else low
    bits = _UNSIGNED_BITS.get(datatype, 0)
    return whole & ((1 << bits) - 1) if bits else None


# -- what a host says ---------------------------------------------------------------------------------------------


def rebirth_command(time_ms: int) -> bytes:
    """The payload of the NCMD that asks a node for its births; by name, never by alias."""
    metric = wire.Metric(name=REBIRTH.encode(), timestamp=time_ms, datatype=_BOOLEAN_TYPE, boolean_value=True)
    return wire.Payload(timestamp=time_ms, metrics=[metric]).SerializeToString()


def state_payload(*, online: bool, time_ms: int) -> bytes:
    """The payload of a host's STATE message."""
    return json.dumps({"online": online, "timestamp": time_ms}, separators=(",", ":")).encode()


def says_offline(payload: bytes) -> bool:
    """Whether a STATE payload says that its host is offline."""
    try:
        state = json.loads(payload)
    except (ValueError, RecursionError):
        return False
    return isinstance(state, dict) and state.get("online") is False
