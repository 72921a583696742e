"""A picture's file to pixels: the only file that imports Pillow, an optional library, and only where a picture comes.

Of a JPEG no more is decoded than the wanted size needs (`draft`). EXIF's turning is obeyed; of what moves the first
picture counts; 16 bits become 8, and palettes, grey, CMYK and alpha become RGB.
"""

from importlib.util import find_spec
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.formats.image.file_header import Claim
from edge_agent.records import Reject

INSTALL = (
    "pictures need Pillow: install edge-agent[camera], or Debian's python3-pil beside a pip installation"
)

Box = tuple[float, float, float, float]
"""x, y, width, height as shares of the picture."""


def missing() -> str:
    """What to install before any picture can be read; empty where nothing is missing."""
    return INSTALL if find_spec("PIL") is None else ""


def decode(file: bytes, claim: Claim, *, size: int, crop: Box) -> tuple[NDArray[np.uint8], int, int] | Reject:
    """(pixels [S, S, 3], the turned picture's width and height), or why there are none.

    Args:
        file: whose header was read and found small enough.
        claim: what that header said.
        size: S.
        crop: what of the turned picture counts.
    """
    try:
        from PIL import Image, ImageOps  # noqa: PLC0415 - optional, and 6 MB that only cameras need
    except ImportError:
        return Reject("unsupported", INSTALL)
    Image.MAX_IMAGE_PIXELS = None  # the limit is ours, by the header; Pillow's would warn of what we allow
    try:
        with Image.open(BytesIO(file), formats=(claim.kind.upper(),)) as opened:
            if opened.size != (claim.width, claim.height):
                return Reject("malformed", "two headers of one file tell two sizes")
            least = round(size / min(crop[2], crop[3]))
            opened.draft("RGB", (least, least))
            turned = ImageOps.exif_transpose(_eight_bits(opened))
            wide, high = turned.size
            left, top = crop[0] * wide, crop[1] * high
            box = (left, top, left + crop[2] * wide, top + crop[3] * high)
            small = turned.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, box=box)
            pixels = np.asarray(small, np.uint8)
    except Exception as error:  # noqa: BLE001 - Pillow's readers raise a dozen kinds of what is torn or forged
        return Reject("malformed", f"{claim.kind}: {error!r}"[:100])
    swapped = (wide > high) != (claim.width > claim.height) and wide != high
    width, height = (claim.height, claim.width) if swapped else (claim.width, claim.height)
    return pixels, width, height


def thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels [S, S, 3] as a small JPEG file, to be shown later; nothing where there is no Pillow."""
    try:
        from PIL import Image  # noqa: PLC0415 - as above
    except ImportError:
        return b""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    return file.getvalue()


def _eight_bits(opened: Any) -> Any:
    """The loaded picture with 8 bits a colour: of 16 the upper ones."""
    opened.load()
    if not opened.mode.startswith("I"):
        return opened
    from PIL import Image  # noqa: PLC0415 - as above

    return Image.fromarray((np.asarray(opened, np.int64).clip(0, 65535) >> 8).astype(np.uint8))
