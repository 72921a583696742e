"""Numbers packed in hex or base64 text: bits of a big-endian run of bytes, as IO-Link process data are. Pure."""

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from edge_agent.formats.mapping.pointer import parse_place
from edge_agent.topics import is_name

_LONGEST_CHARS = 4096


@dataclass(frozen=True, slots=True)
class BinaryField:
    """One number of a packed text: an entry of `[[source.map.binary]]`.

    Attributes:
        place: of the text, in each sample. name: of the channel.
        bit, bits: where the number begins, counted from the first byte's highest bit, and how long it is.
        signed: two's complement. little: the bytes of the number stand in the reverse order.
        scale, offset: what one unit is worth, and what is added.
    """

    place: str
    name: str
    bits: Annotated[int, Interval(ge=1, le=64)] = 16
    bit: Annotated[int, Interval(ge=0, le=16_384)] = 0
    encoding: Literal["hex", "base64"] = "hex"
    signed: bool = False
    little: bool = False
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no place or no name.

        Raises:
            ValueError: says which.
        """
        parse_place(self.place)
        if not is_name(self.name):
            raise ValueError(f"'{self.name}' is no channel name: printable, without / + #")
        if self.little and (self.bits % 8 or self.bit % 8):
            raise ValueError("little: only numbers of whole bytes have their bytes reversed")

    def read(self, text: object) -> float | None:
        """The number; None where the text is too short, or no such text."""
        raw = _bytes(text, self.encoding)
        if raw is None or self.bit + self.bits > 8 * len(raw):
            return None
        whole = int.from_bytes(raw) >> (8 * len(raw) - self.bit - self.bits) & ((1 << self.bits) - 1)
        if self.little:
            whole = int.from_bytes(whole.to_bytes(self.bits // 8), "little")
        if self.signed and whole >> (self.bits - 1):
            whole -= 1 << self.bits
        return whole * self.scale + self.offset


def _bytes(text: object, encoding: str) -> bytes | None:
    if not isinstance(text, str) or len(text) > _LONGEST_CHARS:
        return None
    try:
        if encoding == "hex":
            return bytes.fromhex(text.removeprefix("0x"))
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
