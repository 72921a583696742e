"""The `number` format: the payload is one bare number, its machine and channel stand in the topic."""

from edge_agent.formats.origin import Origin, told
from edge_agent.formats.wire_format import WireFormat
from edge_agent.records import Frame, Reject
from edge_agent.topics import is_name


def decode(payload: bytes, origin: Origin) -> Frame | Reject:
    """A frame of one row and one channel, stamped with its arrival.

    Words such as `true`, `ON` and `closed` count as 1 and 0; an empty payload or `null` says that there is no value.
    """
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        return Reject("not_utf8")
    value = origin.reading.values.read_text(text)
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


FORMAT = WireFormat.plain("number", decode, channel_in_topic=True)
