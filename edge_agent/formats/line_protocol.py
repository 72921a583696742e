r"""The `line` format: InfluxDB line protocol, `measurement,tag=text field=number,... timestamp`, a row each line.

A channel is `measurement.field`, with the values of chosen tags in between; where the measurement is the machine's
own name, `field` alone. Lines that differ in other tags are other quantities: within a message the first of a channel
keeps it. A line that cannot be read is turned away alone. Strings are no measurements.

A backslash takes comma, space and equals sign (in text also the quote) for what they are; before anything else it
stands for itself. Text may hold line breaks.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edge_agent.formats.origin import Origin
from edge_agent.formats.samples import Samples, channel_name, stamp_ns
from edge_agent.formats.wire_format import WireFormat
from edge_agent.records import Frame, Reject

Precision = Literal["ns", "us", "ms", "s"]
_UNITS_NS: Mapping[Precision, int] = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}

# Every repetition is possessive: no payload makes the matcher try twice.
_TEXT = r'"(?:\\[\s\S]|[^"\\])*+"'
_LINE = re.compile(
    rf"(?P<series>(?:\\.|[^ \r\n])++)[ ]++"
    rf"(?P<fields>(?:\\.|{_TEXT}|[^ \"\r\n])++)"
    rf"(?:[ ]++(?P<time>-?[0-9]{{1,32}}))?+[ \t\r]*+(?:\n|\Z)"
)
_PART = re.compile(r"(?:\\.|[^,])++")
_TAG = re.compile(r"((?:\\.|[^=])++)=((?:\\.|[^=])++)")
_FIELD = re.compile(rf"((?:\\.|[^,=])++)=({_TEXT}|[^,\"]++)(?:,|\Z)")
_BLANK = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_ESCAPED = re.compile(r"\\([,= ])")
_NUMBER = re.compile(
    r"[+-]?(?:\d{1,40}\.?\d{0,40}|\.\d{1,40})(?:[eE][+-]?\d{1,5})?|[+-]?\d{1,40}[iu]", re.ASCII
)
_TRUTHS: Mapping[str, bool] = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}
_NOT_FINITE = frozenset({"nan", "inf", "infinity"})


@dataclass(frozen=True, slots=True)
class _Line:
    measurement: str
    tags: Mapping[str, str]
    fields: Sequence[tuple[str, str]]
    time: str | None


def line_protocol(
    *, precision: Precision = "ns", tags: Sequence[str] = ()
) -> Callable[[bytes, Origin], Frame | Reject]:
    """A decoder of line protocol.

    Args:
        precision: the unit of the timestamps.
        tags: tags whose values become part of the channel's name, in this order.
    """
    unit_ns = _UNITS_NS[precision]

    def decode_lines(payload: bytes, origin: Origin) -> Frame | Reject:
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            return Reject("not_utf8")
        samples = Samples(origin)
        for count, line in enumerate(_lines(text), start=1):
            if line is None:
                samples.refuse(f"line {count}", "malformed", f"line {count} is not line protocol")
            else:
                _add(samples, line, tags=tags, unit_ns=unit_ns, origin=origin)
        return samples.frame()

    return decode_lines


decode = line_protocol()


def _lines(text: str) -> Iterator[_Line | None]:
    """The lines of a message; None for one that cannot be read."""
    at = _next_line(text, 0)
    while at < len(text):
        found = _LINE.match(text, at)
        if found is None:
            yield None
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        else:
            yield _line(found)
            at = found.end()
        at = _next_line(text, at)


def _next_line(text: str, at: int) -> int:
    """Behind blank lines and comments."""
    blank = _BLANK.match(text, at)
    return at if blank is None else blank.end()


def _line(found: re.Match[str]) -> _Line | None:
    if found["series"].startswith(","):
        return None
    measurement, *tags = _PART.findall(found["series"])
    pairs = [_TAG.fullmatch(tag) for tag in tags]
    fields: list[tuple[str, str]] = []
    at, text = 0, found["fields"]
    while at < len(text):
        field = _FIELD.match(text, at)
        if field is None:
            return None
        fields.append((_plain(field[1]), field[2]))
        at = field.end()
    if None in pairs:
        return None
    return _Line(
        measurement=_plain(measurement),
        tags={_plain(pair[1]): _plain(pair[2]) for pair in pairs if pair is not None},
        fields=fields,
        time=found["time"],
    )


def _add(samples: Samples, line: _Line, *, tags: Sequence[str], unit_ns: int, origin: Origin) -> None:
    time = None if line.time is None else stamp_ns(int(line.time), unit_ns, origin)
    front = [] if line.measurement == origin.machine else [line.measurement]
    front += [line.tags[tag] for tag in tags if tag in line.tags]
    series = (line.measurement, *sorted(line.tags.items()))
    for field, raw in line.fields:
        channel = channel_name(".".join([*front, field]))
        if raw.lower().lstrip("+-") in _NOT_FINITE:
            samples.refuse(channel, "not_finite")
        elif raw.startswith('"'):
            samples.refuse(channel, "wrong_type", "text is no measurement")
        elif raw in _TRUTHS:
            samples.add(channel, _TRUTHS[raw], time=time, series=series)
        elif _NUMBER.fullmatch(raw):
            samples.add(channel, float(raw.rstrip("iu")), time=time, series=series)
        else:
            samples.refuse(channel, "not_a_number", f"{raw[:40]!r} is no number")


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


FORMAT = WireFormat.plain("line", decode)
