"""The `number` format: the payload is one bare number, its machine and channel stand in the topic."""

from edge_agent.formats.mapping.values import LARGEST, hint
from edge_agent.formats.origin import Origin, told
from edge_agent.formats.wire_format import WireFormat
from edge_agent.records import Frame, Reject, RejectReason
from edge_agent.topics import is_name

_PLAIN_CHARS = 40


def decode(payload: bytes, origin: Origin) -> Frame | Reject:
    """A frame of one row and one channel, stamped with its arrival.

    Words such as `true`, `ON` and `closed` count as 1 and 0; an empty payload or `null` says that there is no value.
    """
    reader = origin.reading.values
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        text = payload.decode("latin-1").strip()  # many small devices write their degree sign so
        if not (isinstance(reader.read_text(text), float) or hint(text)):
            return Reject("not_utf8")
    value: float | RejectReason | None = _plain(text) if reader.as_python else None
    if value is None:
        value = reader.read_text(text)
    if value is None:
        return Reject("no_values")
    if not isinstance(value, float):
        return Reject(value, f"{text[:40]!r} {told(text, value)}".rstrip())
    channel = origin.channel or ""
    if origin.reading.channel is not None:
        channel = origin.reading.channel_name("", topic_channel=origin.channel, words=origin.levels)
    if not is_name(channel):
        return Reject("unknown_channel", "neither the topic nor the source names the channel")
    return Frame(
        machine=origin.machine,
        channels=(channel,),
        times_ns=(origin.received_ns,),
        rows=((value,),),
        stamped=False,
        partial=True,
    )


def _plain(text: str) -> float | None:
    """The number of a text in which all is well, with less work; None where anything is not."""
    if len(text) > _PLAIN_CHARS or "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) <= LARGEST else None


FORMAT = WireFormat.plain("number", decode, channel_in_topic=True)
