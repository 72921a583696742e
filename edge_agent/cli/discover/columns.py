"""Which of a message's numbers are channels, what its time is, and why all else is left out. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from edge_agent.formats.mapping import times
from edge_agent.formats.mapping.pointer import ABSENT, escaped
from edge_agent.formats.mapping.values import ValueReader, ValueRule, hint

TIMES = (
    "ts", "timestamp", "time", "t", "datetime", "Timestamp", "Time", "SourceTimestamp", "sourceTimestamp",
    "timestamp_ms", "timestampMs", "received_at", "date", "TimeStamp", "_time", "Zeit", "zeit", "Zeitstempel",
    "zeitstempel", "Uhrzeit", "horodatage", "fecha",
    "TimeStampUtc", "timestampUtc", "dateTime", "DateTime", "timeCreated", "timecreated", "createdAt", "created_at",
    "eventTime", "event_time", "eventTimestamp", "measuredAt", "ReadTime", "readTime", "sampleTime",
    "ServerTimestamp", "serverTimestamp", "TIMESTAMP", "TIME",
)  # fmt: skip
ABOUT = frozenset({
    "fcnt", "f_cnt", "fport", "f_port", "dr", "frequency", "rssi", "snr", "linkquality", "seq", "sequence", "seqno",
    "counter", "messageid", "message_id", "msgid", "id", "cid", "code", "uptime", "uptimesec", "uptime_s", "heap",
    "loadavg", "sleep", "version", "installed_version", "latest_version", "minute_ts", "eventno", "mid", "signal",
    "ap", "channel", "linkcount", "adr", "confirmed", "bandwidth", "spreadingfactor", "port", "datasetwriterid",
    "sequencenumber", "groupversion",
})  # fmt: skip
"""Names of what speaks of the message or its way, not of the machine."""
_SENTINELS = frozenset({327.67, 3276.7, 32767.0, -32768.0, 65535.0, 6553.5, -127.0, -999.0, -9999.0, -999.9})
"""Numbers that stand for "not connected" in many devices."""
_MILLISECONDS = 1e12
"""Since 1970, in 2001: no measurement that moves with the clock is so large."""
_YEARS_NS = 10 * 365 * 86_400 * 10**9
_READER = ValueReader(ValueRule())
_RULES: tuple[dict[str, Any], ...] = (
    {"decimal": ","},
    {"decimal": "."},
    {"strip_unit": True},
    {"decimal": ",", "strip_unit": True},
    {"decimal": ".", "strip_unit": True},
    {"decimal": "auto"},
    {"decimal": "auto", "strip_unit": True},
)
"""From the narrowest to the widest."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What reads a topic's JSON.

    Attributes:
        settings: as in `[[source]]`, without topic and machine.
        machine: a pattern with places in the payload, "" where the topic is to say it.
        alone: whether a message holds one value that has no name of its own.
        left_out: (name, why), of what is no channel.
    """

    settings: Mapping[str, Any]
    machine: str = ""
    alone: bool = False
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Guess:
    """What was made out so far.

    Attributes:
        map, settings: of `[source.map]` and `[[source]]`. machine, alone, left_out: as of a `Shape`.
        named: patterns by which other topics' messages name their devices.
        nothing: numbers that stand for no value. rule, reader: how numbers are written.
    """

    map: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    machine: str = ""
    alone: bool = False
    left_out: dict[str, str] = field(default_factory=dict)
    named: Sequence[str] = ()
    nothing: set[float] = field(default_factory=set)
    rule: dict[str, Any] = field(default_factory=dict)
    reader: ValueReader = field(default_factory=lambda: ValueReader(ValueRule()))

    def shape(self, format_name: str) -> Shape:
        """The settings so far, of this format."""
        settings: dict[str, Any] = {"format": format_name, **self.settings}
        value = {**self.rule, **({"nothing": sorted(self.nothing)} if self.nothing else {})}
        if value:
            settings["value"] = value
        settings["map"] = self.map
        return Shape(settings, self.machine, self.alone, tuple(self.left_out.items()))


def value_rule(texts: Sequence[str]) -> dict[str, Any]:
    """What `[source.value]` must say so that text that looks like numbers is read; empty where it is as it stands."""
    hard = [text for text in dict.fromkeys(texts) if _READER.read_text(text) == "not_a_number" and hint(text)]
    if not hard:
        return {}
    for rule in _RULES:
        reader = ValueReader(ValueRule(**rule))
        if all(isinstance(reader.read(text), float) for text in hard):
            return rule
    return {}


def has_numbers(item: object) -> bool:
    """Whether something that is a number stands anywhere below."""
    return any(is_number(value) for _, value in leaves(item))


def is_number(value: object) -> bool:
    """Whether a value is a number, or looks like one."""
    found = _READER.read(value)
    return isinstance(found, float) or found == "not_a_number"


def leaves(item: object, *, path: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    """(path as the agent names it, value) of all below an object."""
    if isinstance(item, dict) and depth < 8:
        for key, inner in item.items():
            yield from leaves(inner, path=f"{path}/{key}" if path else str(key), depth=depth + 1)
    elif not isinstance(item, list):
        yield path, item


def time_place(guess: Guess, message: Mapping[str, Any], near_ns: int) -> str:
    """The place of a time in an object, or in one of the objects directly below it."""
    if key := time_key(guess, message, near_ns):
        return f"/{escaped(key)}"
    for outer, inner in message.items():
        if isinstance(inner, dict) and (key := time_key(guess, inner, near_ns)):
            return f"/{escaped(outer)}/{escaped(key)}"
    return ""


def time_key(guess: Guess, item: Mapping[str, Any], near_ns: int) -> str:
    """The key of a time that can be read; one that lacks its zone is named as left out."""
    for key in TIMES:
        stamp = item.get(key, ABSENT)
        if (
            isinstance(stamp, str)
            and times.text_ns(stamp, times.TimeRule(), near_ns=near_ns) is None
            and times.lacks_zone(stamp)
        ):
            said = 'a time without a zone, so the arrival counts; timezone = "…" and time = its place take it'
            guess.left_out[key] = said
        elif is_time(stamp, near_ns):
            if not isinstance(stamp, str):
                guess.map["time_unit"] = times.size_unit(stamp)
            return key
    return ""


def is_time(stamp: object, near_ns: int) -> bool:
    """Whether a value is a time within some years of `near_ns`."""
    if isinstance(stamp, bool):
        return False
    if isinstance(stamp, int | float):
        found = times.number_ns(stamp, "auto") if stamp > 3e8 else None
    elif isinstance(stamp, str):
        found = times.text_ns(stamp, times.TimeRule(), near_ns=near_ns)
    else:
        return False
    return found is not None and abs(found - near_ns) < _YEARS_NS


def weigh(
    guess: Guess, columns: Mapping[str, Sequence[object]], near_ns: int, *, words: bool = False
) -> None:
    """Leave out what is no channel, each with its reason; note numbers that stand for nothing."""
    for name, values in columns.items():
        told = [value for value in values if value is not None and value is not ABSENT]
        numbers = [number for value in told if isinstance(number := guess.reader.read(value), float)]
        last = name.split("/")[-1]
        if not told:
            guess.left_out.setdefault(name, "has no value")
        elif any(isinstance(value, list | dict) for value in told):
            guess.left_out.setdefault(name, "is a list or an object")
        elif not numbers:
            guess.left_out.setdefault(name, _why_not(told, near_ns))
        elif all(is_time(value, near_ns) for value in told) and (
            isinstance(told[0], str)
            or last.lower().endswith(("ts", "time", "at", "timestamp"))
            or min(numbers) >= _MILLISECONDS
        ):
            guess.left_out.setdefault(name, "is a time")
        elif not words and (about := _about(name, columns)):
            guess.left_out.setdefault(name, about)
        elif not words and _counts_messages(numbers):
            guess.left_out.setdefault(name, "counts messages: 1 more in each")
        elif set(numbers) <= _SENTINELS and len(told) > 1:
            guess.nothing.update(numbers)
            guess.left_out.setdefault(name, f'says {numbers[0]:g} all the time, as for "not connected"')
        elif numbers and set(numbers) & _SENTINELS:
            guess.nothing.update(set(numbers) & _SENTINELS)


def _about(name: str, columns: Mapping[str, Any]) -> str:
    """Why a name's numbers are no measurement; "" where they may be one."""
    last = name.rsplit("/", maxsplit=1)[-1]
    if last == "Type" and f"{name.removesuffix('Type')}Body" in columns:
        return "is the type of the value beside it"
    return "speaks of the message or the device, not of the machine" if last.lower() in ABOUT else ""


def _why_not(told: Sequence[object], near_ns: int) -> str:
    first = told[0]
    if all(is_time(value, near_ns) for value in told):
        return "is a time"
    if not isinstance(first, str):
        return "is no number"
    digits = first.removeprefix("0x")
    if len(digits) >= 4 and len(digits) % 2 == 0 and all(one in "0123456789abcdefABCDEF" for one in digits):
        return f"is hex text ({first[:16]}): [[source.map.binary]] reads numbers out of it"
    reason = _READER.read(first)
    if reason == "not_a_number":
        return hint(first) or "is no number"
    if times.lacks_zone(first):
        return 'a time without a zone, so the arrival counts; timezone = "…" and time = its place take it'
    return f"is text ({first[:24]!a}): [source.value] words give it numbers"


def _counts_messages(numbers: Sequence[float]) -> bool:
    steps = {later - earlier for earlier, later in pairwise(numbers)}
    return len(numbers) > 3 and steps == {1.0} and numbers[0].is_integer()
