"""What a wire format is to the rest of the house: a name and, for each source, a decoder. Decodes nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

from edge_agent.formats.origin import Origin
from edge_agent.records import Frame, Reject


class Decoder(Protocol):
    """Reads one payload. Whatever the bytes are, it gives a frame or a reason and never raises."""

    def __call__(self, payload: bytes, origin: Origin, /) -> Frame | Reject:
        """The payload's rows, or why there are none."""


@dataclass(frozen=True, slots=True)
class WireFormat:
    """One way of writing sensor data down, as its file declares it for `table.FORMATS`.

    Attributes:
        name: what `format` of a `[[source]]` says.
        decoder: makes the decoder of a source; it is given the settings of the source's options, None without.
        options: the table below `[[source]]` that the format needs and no other takes; "" for none.
        channel_in_topic: whether the payload does not name its channel, so that the topic must.
    """

    name: str
    decoder: Callable[[Any], Decoder]
    options: str = ""
    channel_in_topic: bool = False

    @classmethod
    def plain(cls, name: str, decode: Decoder, *, channel_in_topic: bool = False) -> Self:
        """A format that is the same for all its sources."""
        return cls(name, lambda _options: decode, channel_in_topic=channel_in_topic)
