"""The `senml` and `senml_cbor` formats: sensor measurement lists, RFC 8428, one pack to rows of one machine.

A record's channel is its resolved name behind the machine's name where that stands in it as a whole segment
(`urn:dev:pump-1:motor/temp` of machine `pump-1` is `motor.temp`), else its last segment behind `:` or `/`. Two
names, or one name in two units, never share a channel. Sums are totals of what values say already and are not read;
nor are strings and data, which no measurement is made of.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.formats.items import read_cbor, read_json
from edge_agent.formats.origin import Origin
from edge_agent.formats.samples import SECOND_NS, Samples, channel_name, stamp_ns
from edge_agent.formats.wire_format import WireFormat
from edge_agent.records import Frame, Reject

_VERSION = 10
"""Highest version of the format that is known, RFC 8428 section 4.4."""
_RELATIVE_BELOW_S = 2**28
"""Times below it are relative to the arrival, RFC 8428 section 4.5.3."""
_LABELS: Mapping[int, str] = {
    -1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs",
    0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd",
}  # fmt: skip
"""CBOR's labels, RFC 8428 section 6."""
_KNOWN = frozenset(_LABELS.values())
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*")
"""What a resolved name may consist of, RFC 8428 section 4.5.1."""
_SEPARATORS = tuple(":./_-")
_CONTENT = frozenset({"v", "vb", "vs", "vd", "s"})


@dataclass(slots=True)
class _Base:
    """What later records inherit."""

    name: str = ""
    unit: str = ""
    time: float = 0
    value: float = 0


def decode(payload: bytes, origin: Origin) -> Frame | Reject:
    """A frame of a pack in JSON; each distinct time is a row."""
    pack = read_json(payload)
    return pack if isinstance(pack, Reject) else _frame(pack, origin, lambda label: label)


def decode_cbor(payload: bytes, origin: Origin) -> Frame | Reject:
    """The same of a pack in CBOR, whose labels are numbers."""
    pack = read_cbor(payload, text_keys=False)
    return pack if isinstance(pack, Reject) else _frame(pack, origin, _label)


def _label(label: object) -> object:
    return _LABELS.get(label, label) if isinstance(label, int) and not isinstance(label, bool) else label


def _frame(pack: object, origin: Origin, name_of: Callable[[object], object]) -> Frame | Reject:
    if not isinstance(pack, Sequence) or isinstance(pack, str | bytes):
        return Reject("wrong_type", f"a list of records was expected, not {type(pack).__name__}")
    base = _Base()
    samples = Samples(origin)
    for raw in pack:
        if not isinstance(raw, Mapping):
            return Reject("wrong_type", f"a record is an object, not {type(raw).__name__}")
        record = {name_of(label): value for label, value in raw.items()}
        fault = _unknown(record) or _inherit(base, record)
        if fault is not None:
            return fault
        _add(samples, base, record, origin)
    return samples.frame()


def _unknown(record: Mapping[object, Any]) -> Reject | None:
    """Labels that end in `_` must be understood; all others may be ignored. So must the version."""
    for label in record:
        if isinstance(label, str) and label.endswith("_") and label not in _KNOWN:
            return Reject("unsupported", f"label {label[:40]!r} must be understood and is not")
    version = record.get("bver", _VERSION)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        return Reject("wrong_type", "'bver' is a whole number from 1")
    if version > _VERSION:
        return Reject("unsupported", f"version {min(version, 10**9)} of SenML; {_VERSION} is known")
    return None


def _inherit(base: _Base, record: Mapping[object, Any]) -> Reject | None:
    """Take over the base fields; they count from this record on."""
    for label in ("bn", "bu"):
        if not isinstance(record.get(label, ""), str):
            return Reject("wrong_type", f"'{label}' is text")
    for label in ("bt", "bv", "bs"):
        value = record.get(label, 0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return Reject("wrong_type", f"'{label}' is a number")
    base.name = record.get("bn", base.name)
    base.unit = record.get("bu", base.unit)
    base.time = record.get("bt", base.time)
    base.value = record.get("bv", base.value)
    return None


def _add(samples: Samples, base: _Base, record: Mapping[object, Any], origin: Origin) -> None:
    """The record's sample; a record that carries base fields alone has none."""
    if _CONTENT.isdisjoint(record):
        return
    own, unit = record.get("n", ""), record.get("u", base.unit)
    name = base.name + own if isinstance(own, str) else ""
    if _NAME.fullmatch(name) is None or not isinstance(unit, str):
        samples.refuse(name, "unknown_channel", f"{name[:40]!r} is no SenML name, or its unit no text")
        return
    value: object = "text, data or a sum"
    if "v" in record:
        value = _sum(base.value, record["v"])
    elif isinstance(record.get("vb"), bool):
        value = record["vb"]
    time = _time(base.time, record.get("t", 0), origin)
    samples.add(_channel(name, origin.machine), value, time=time, series=(name, unit))


def _channel(name: str, machine: str) -> str:
    at = name.rfind(machine)
    end = at + len(machine)
    whole = at >= 0 and (at == 0 or name[at - 1] in _SEPARATORS) and name[end : end + 1] in _SEPARATORS
    rest = name[end + 1 :] if whole else ""
    return channel_name(rest or re.split("[:/]", name)[-1])


def _sum(base: float, own: object) -> object:
    """Base plus value; what is no number stays what it is and is turned away by its type."""
    if isinstance(own, bool) or not isinstance(own, int | float):
        return "not a number" if own is not None else None
    try:
        return base + own
    except OverflowError:
        return float("inf")


def _time(base: float, own: object, origin: Origin) -> int | Reject | None:
    resolved = _sum(base, own)
    if not isinstance(resolved, int | float):
        return Reject("bad_timestamp", f"a {type(own).__name__} is no time")
    if resolved == 0:
        return None
    if not resolved < _RELATIVE_BELOW_S:
        return stamp_ns(resolved, origin)
    arrival_s = origin.received_ns / SECOND_NS
    return stamp_ns(arrival_s + max(resolved, -arrival_s), origin, "s")


def _cbor_document(payload: bytes) -> object:
    """A pack in CBOR with the labels that JSON has."""
    pack = read_cbor(payload, text_keys=False)
    if not isinstance(pack, list):
        return pack
    return [
        {_label(label): value for label, value in record.items()} if isinstance(record, Mapping) else record
        for record in pack
    ]


FORMAT = WireFormat.plain("senml", decode, document=read_json)
CBOR_FORMAT = WireFormat.plain("senml_cbor", decode_cbor, document=_cbor_document)
