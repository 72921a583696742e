"""What a wire format is to the rest of the house: a name and, for each source, a decoder. Decodes nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

from edge_agent.formats.origin import Origin
from edge_agent.records import Decoded


class Decoder(Protocol):
    """Reads one payload. Whatever the bytes are, it gives a frame or a reason and never raises."""

    def __call__(self, payload: bytes, origin: Origin, /) -> Decoded:
        """The payload's rows, of one machine or of several, or why there are none."""


@dataclass(frozen=True, slots=True)
class WireFormat:
    """One way of writing sensor data down, as its file declares it for `table.FORMATS`.

    Attributes:
        name: what `format` of a `[[source]]` says.
        decoder: makes the decoder of a source; it is given the settings of the source's options, None without.
        options: the table below `[[source]]` that the format needs and no other takes; "" for none.
        channel_in_topic: whether the payload does not name its channel, so that the topic must.
        names_itself: whether the decoder obeys what the source's `Reading` says of names; else `routing` does.
        document: reads a payload as the items in which names may stand; None where there are none.
    """

    name: str
    decoder: Callable[[Any], Decoder]
    options: str = ""
    channel_in_topic: bool = False
    names_itself: bool = False
    document: Callable[[bytes], Any] | None = None

    @classmethod
    def plain(
        cls,
        name: str,
        decode: Decoder,
        *,
        channel_in_topic: bool = False,
        names_itself: bool = False,
        document: Callable[[bytes], Any] | None = None,
    ) -> Self:
        """A format that is the same for all its sources."""
        return cls(
            name,
            lambda _options: decode,
            channel_in_topic=channel_in_topic,
            names_itself=names_itself,
            document=document,
        )
