r"""The `line` format: InfluxDB line protocol, `measurement,tag=text field=number,... timestamp`, a row each line.

A channel is `measurement.field`, with the values of chosen tags in between; where the measurement is the machine's
own name, `field` alone. Lines that differ in other tags are other quantities: within a message the first of a channel
keeps it. A line that cannot be read is turned away alone. Text counts where it is a number or a word for one. Where
the source takes a machine's or a channel's name out of the payload, a line is `{"name", "tags", "fields"}`.

A backslash takes comma, space and equals sign (in text also the quote) for what they are; before anything else it
stands for itself. Text may hold line breaks.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from edge_agent.formats.origin import Origin
from edge_agent.formats.samples import MachineSamples, Samples, channel_name, stamp_ns
from edge_agent.formats.wire_format import WireFormat
from edge_agent.records import Decoded, FrameSet, Reject

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
_NANOSECONDS_FROM = 10**17
"""1973; smaller numbers are seconds, milli- or microseconds."""
_NOT_FINITE = frozenset({"nan", "inf", "infinity"})


@dataclass(frozen=True, slots=True)
class _Line:
    measurement: str
    tags: Mapping[str, str]
    fields: Sequence[tuple[str, str]]
    time: str | None


def decode(payload: bytes, origin: Origin) -> Decoded:
    """The rows of a message, of one machine or of those that its lines name.

    Times are nanoseconds, as the protocol has it, or of another unit where their size, or the source, says so.
    """
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return Reject("not_utf8")
    machines = MachineSamples(origin) if origin.reading.machine is not None else None
    samples = Samples(origin)
    for count, line in enumerate(_lines(text), start=1):
        if line is None:
            samples.refuse(f"line {count}", "malformed", f"line {count} is not line protocol")
        elif machines is None:
            _add(samples, line, machine=origin.machine, origin=origin)
        else:
            name = _machine(line, origin)
            if name is None:
                machines.unnamed(f"line {count} lacks what names its machine")
            else:
                _add(machines.of(name), line, machine=name, origin=origin)
    if machines is None or samples.refused:
        return samples.frame() if machines is None else _with_refused(machines.frames(), samples)
    return machines.frames()


def _with_refused(found: Decoded, samples: Samples) -> Decoded:
    """Of many machines' lines also those that could not be read."""
    if isinstance(found, Reject):
        return found
    first, *rest = found.frames if isinstance(found, FrameSet) else (found,)
    first = replace(first, bad_values=(*first.bad_values, *samples.refused))
    return FrameSet((first, *rest)) if rest else first


def _machine(line: _Line, origin: Origin) -> str | None:
    template = origin.reading.machine
    assert template is not None, "only then is it asked"  # noqa: S101
    return template.fill(origin.levels, (_document(line),))


def _document(line: _Line) -> Mapping[str, object]:
    return {"name": line.measurement, "tags": dict(line.tags), "fields": dict(line.fields)}


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


def _add(samples: Samples, line: _Line, *, machine: str, origin: Origin) -> None:
    time = None if line.time is None else _time(int(line.time), origin)
    front = [] if line.measurement == machine else [line.measurement]
    series = (line.measurement, *sorted(line.tags.items()))
    document = _document(line) if origin.reading.channel is not None else None
    for field, raw in line.fields:
        name = ".".join([*front, field]) if origin.reading.channel is None else field
        if origin.channel is not None or document is not None:
            name = origin.reading.channel_name(
                name,
                topic_channel=origin.channel,
                words=origin.levels,
                documents=(document,),
                alone=len(line.fields) == 1,
            )
        channel = channel_name(name)
        if raw.lower().lstrip("+-") in _NOT_FINITE:
            samples.refuse(channel, "not_finite")
        elif raw.startswith('"'):
            samples.add(channel, raw[1:-1], time=time, series=series)
        elif raw in _TRUTHS:
            samples.add(channel, _TRUTHS[raw], time=time, series=series)
        elif _NUMBER.fullmatch(raw):
            samples.add(channel, float(raw.rstrip("iu")), time=time, series=series)
        else:
            samples.refuse(channel, "not_a_number", f"{raw[:40]!r} is no number")


def _time(stamp: int, origin: Origin) -> int | Reject:
    """Of a unit that nobody said nanoseconds, unless the clock counts and the number is too small for them."""
    known = origin.trusted and abs(stamp) < _NANOSECONDS_FROM
    return stamp_ns(stamp, origin, "auto" if known or origin.reading.time.unit != "auto" else "ns")


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


FORMAT = WireFormat.plain("line", decode, names_itself=True)
