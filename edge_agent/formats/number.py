"""The `number` format: the payload is one bare number, its machine and channel stand in the topic."""

from edge_agent.formats.origin import Origin, number
from edge_agent.formats.wire_format import WireFormat
from edge_agent.records import Frame, Reject

_WORDS: dict[str, float] = {"true": 1.0, "false": 0.0}
_NOTHING = frozenset({"", "null", "none"})
_LONGEST_CHARS = 64
"""No number needs more; `float` would take quadratic time on long digits."""


def decode(payload: bytes, origin: Origin) -> Frame | Reject:
    """A frame of one row and one channel, stamped with its arrival.

    `true` and `false` count as 1 and 0; an empty payload or `null` says that there is no value.
    """
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        return Reject("not_utf8")
    if text.lower() in _NOTHING:
        return Reject("no_values")
    value = _WORDS.get(text.lower())
    if value is None:
        if len(text) > _LONGEST_CHARS or "_" in text:
            return Reject("not_a_number", text[:40])
        try:
            checked = number(float(text))
        except ValueError:
            return Reject("not_a_number", text[:40])
        if not isinstance(checked, float):
            return Reject(checked, text)
        value = checked
    assert origin.channel is not None, "the configuration demands {channel} in this format's topics"  # noqa: S101
    return Frame(
        machine=origin.machine,
        channels=(origin.channel,),
        times_ns=(origin.received_ns,),
        rows=((value,),),
        stamped=False,
        partial=True,
    )


FORMAT = WireFormat.plain("number", decode, channel_in_topic=True)
