"""A camera's payload to a frame of gauges with the picture beside it; the file alone, or in a map of JSON or CBOR.

A file is a JPEG, PNG or WebP, told by its first bytes and timed by its arrival. A map is `{"ts": time, "image":
"<base64>", "part": "A-1733"}`, where CBOR has the file as bytes; `ts` and `part` may be left out.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Interval, MaxLen
from numpy.typing import NDArray

from edge_agent.formats.image.file_header import claim, kind_of
from edge_agent.formats.image.gauges import NAMES, gauges
from edge_agent.formats.image.pixels import Box, decode
from edge_agent.formats.items import read_cbor, read_json
from edge_agent.formats.origin import Origin, event_time_ns
from edge_agent.formats.wire_format import WireFormat
from edge_agent.records import Frame, Picture, Reject, Subject
from edge_agent.topics import is_name

_LEAST_PIXELS = 16
"""Of each side: less is no picture of anything."""
_PART_CHARACTERS = 200
_IGNORED_LIMIT = 50
_ALL: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """How a source's pictures are read: the section `[source.image]`, with its defaults and bounds.

    Attributes:
        subject: "scene": the same place again and again; "part": each picture is another part.
        size: S, pixels of each side that a picture is brought to.
        crop: what of the picture counts: x, y, width, height as shares of it.
        ignore: rectangles of the same kind that do not, such as a clock or a lamp.
        every_s: pictures that follow faster are passed over and counted.
        suspects: share of good parts that may be called suspect; of parts alone.
        max_pixels: a file that claims more is turned away by its header.
    """

    subject: Subject = "scene"
    size: Literal[128, 256, 384] = 256
    crop: Box = _ALL
    ignore: Annotated[tuple[Box, ...], MaxLen(_IGNORED_LIMIT)] = ()
    every_s: Annotated[float, Interval(ge=0, le=86_400)] = 1.0
    suspects: Annotated[float, Interval(ge=0.001, le=0.2)] = 0.01
    max_pixels: Annotated[int, Interval(ge=256, le=200_000_000)] = 25_000_000

    def __post_init__(self) -> None:
        """Refuse rectangles that lie outside the picture.

        Raises:
            ValueError: says which.
        """
        for name, box in (("crop", self.crop), *(("ignore", box) for box in self.ignore)):
            x, y, width, height = box
            inside = min(box) >= 0 and x + width <= 1 + 1e-9 and y + height <= 1 + 1e-9
            if not (inside and width > 0 and height > 0):
                raise ValueError(f"{name}: {list(box)} is no x, y, width, height within 0 to 1")
        if min(self.crop[2:]) < 0.01:
            raise ValueError("crop: a hundredth of each side is the least")

    @property
    def counted(self) -> NDArray[np.bool_] | None:
        """[S, S] pixels that count, of the cropped picture; None: all."""
        if not self.ignore:
            return None
        counted = np.ones((self.size, self.size), np.bool_)
        for x, y, width, height in self.ignore:
            left, top = (x - self.crop[0]) / self.crop[2], (y - self.crop[1]) / self.crop[3]
            right, bottom = left + width / self.crop[2], top + height / self.crop[3]
            edges = (np.clip([left, top, right, bottom], 0.0, 1.0) * self.size).round().astype(int)
            counted[edges[1] : edges[3], edges[0] : edges[2]] = False
        return counted


def pictures(settings: ImageSettings | None) -> Callable[[bytes, Origin], Frame | Reject]:
    """The decoder for such payloads; it never raises."""
    settings = settings or ImageSettings()
    counted = settings.counted

    def decode_picture(payload: bytes, origin: Origin) -> Frame | Reject:
        found = _PictureFile(payload) if kind_of(payload) else _mapped(payload)
        if isinstance(found, Reject):
            return found
        return _frame(found, settings, origin, counted=counted)

    return decode_picture


@dataclass(frozen=True, slots=True)
class _PictureFile:
    """A picture's file, and what came with it."""

    raw: bytes
    stamp: object = None
    part: str = ""


def _mapped(payload: bytes) -> _PictureFile | Reject:
    json = payload.lstrip()[:1] == b"{"
    message = read_json(payload) if json else read_cbor(payload, text_keys=True)
    if isinstance(message, Reject):
        return message if json else Reject("malformed", "neither JPEG, PNG, WebP, JSON nor CBOR")
    if not isinstance(message, Mapping):
        return Reject("wrong_type", f"a map was expected, not {type(message).__name__}")
    coded, part = message.get("image"), message.get("part", "")
    if coded is None:
        return Reject("no_values", "no 'image'")
    if isinstance(coded, str):
        try:  # a browser's form of it has a head
            coded = base64.b64decode(
                coded[coded.find(",") + 1 :] if coded[:5] == "data:" else coded, validate=True
            )
        except (binascii.Error, ValueError):
            return Reject("malformed", "'image' is no base64")
    if not isinstance(coded, bytes):
        return Reject("wrong_type", f"'image' is a {type(coded).__name__}")
    if isinstance(part, int) and not isinstance(part, bool):
        part = str(part)
    if not isinstance(part, str) or len(part) > _PART_CHARACTERS:
        return Reject("wrong_type", f"'part' is no text of up to {_PART_CHARACTERS} characters")
    return _PictureFile(coded, message.get("ts"), part)


def _frame(
    found: _PictureFile, settings: ImageSettings, origin: Origin, *, counted: NDArray[np.bool_] | None
) -> Frame | Reject:
    camera = origin.channel or ""
    if origin.reading.channel is not None:
        camera = origin.reading.channel_name("", topic_channel=origin.channel, words=origin.levels)
    names = tuple(f"{camera}.{gauge}" for gauge in NAMES)
    if not camera or not all(map(is_name, names)):
        return Reject("unknown_channel", "neither the topic nor the source names the camera")
    claimed = claim(found.raw)
    if claimed is None:
        return Reject("malformed", "no whole JPEG, PNG or WebP")
    size = f"{claimed.width} x {claimed.height} pixels"
    if claimed.width * claimed.height > settings.max_pixels:
        return Reject("too_large", f"{size}, image.max_pixels is {settings.max_pixels}")
    if min(claimed.width, claimed.height) < _LEAST_PIXELS:
        return Reject("unsupported", f"{size}: {_LEAST_PIXELS} each way are the least")
    time_ns = origin.received_ns if found.stamp is None else event_time_ns(found.stamp, origin)
    if isinstance(time_ns, Reject):
        return time_ns
    decoded = decode(found.raw, claimed, size=settings.size, crop=settings.crop)
    if isinstance(decoded, Reject):
        return decoded
    pixels, width, height = decoded
    picture = Picture(
        camera=camera,
        pixels=pixels,
        width=width,
        height=height,
        file=found.raw,
        kind=claimed.kind,
        part=found.part,
        crop=settings.crop,
        counted=counted,
        every_ns=round(settings.every_s * 1e9),
        subject=settings.subject,
        suspects=settings.suspects,
    )
    return Frame(
        machine=origin.machine,
        channels=names,
        times_ns=(time_ns,),
        rows=(gauges(pixels, counted),),
        stamped=found.stamp is not None,
        partial=True,
        picture=picture,
    )


FORMAT = WireFormat("image", pictures, options="image", channel_in_topic=True)
