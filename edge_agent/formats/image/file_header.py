"""Width and height that a JPEG, PNG or WebP file claims, by its first bytes. Decodes no pixel, asks for no memory.

Pillow reads headers, too; but of WebP it makes the whole canvas ready before it tells its size.
"""

from typing import Literal, NamedTuple

Kind = Literal["jpeg", "png", "webp"]

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of frames, which tell the size: SOF0 to SOF15, without DHT, JPG and DAC between them."""
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""


class Claim(NamedTuple):
    """What a file says of itself, in pixels before any turning."""

    kind: Kind
    width: int
    height: int


def kind_of(file: bytes) -> Kind | None:
    """What a file is by its first bytes, whatever it is called; None where it is no picture that is read here."""
    if file[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if file[:8] == _PNG:
        return "png"
    return "webp" if file[:4] == b"RIFF" and file[8:12] == b"WEBP" else None


def claim(file: bytes) -> Claim | None:
    """Kind and size; None where the header is torn or is none."""
    kind = kind_of(file)
    if kind is None:
        return None
    size = {"jpeg": _jpeg, "png": _png, "webp": _webp}[kind](file)
    return None if size is None or 0 in size else Claim(kind, *size)


def _png(file: bytes) -> tuple[int, int] | None:
    if file[12:16] != b"IHDR" or len(file) < 24:
        return None
    return int.from_bytes(file[16:20], "big"), int.from_bytes(file[20:24], "big")


def _jpeg(file: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(file):
        if file[at] != 0xFF:
            return None
        marker = file[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker in _JPEG_BARE:
            at += 2
        elif marker in _JPEG_SIZES:
            return int.from_bytes(file[at + 7 : at + 9], "big"), int.from_bytes(file[at + 5 : at + 7], "big")
        else:
            at += 2 + max(2, int.from_bytes(file[at + 2 : at + 4], "big"))
    return None


def _webp(file: bytes) -> tuple[int, int] | None:
    kind, body = file[12:16], file[20:30]
    if len(body) < 10:
        return None
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    return None
