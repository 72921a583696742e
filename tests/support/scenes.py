"""Pictures of a simulated scene and of simulated parts, with and without a scratch; the same for the same number."""

import io

import numpy as np
from PIL import Image

from edge_agent.records import Float32

WIDE, HIGH = 320, 240


def scene(number: int, *, scratch: bool = False, light: float = 1.0, moved: int = 0) -> Image.Image:
    """A machine's cover with bolts and a plate, under noise; a bright scratch at the lower left."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[0:HIGH, 0:WIDE]
    grey = 90 + 30 * np.sin(x / 17) * np.cos(y / 23) + 0.1 * x
    for left, top in ((40, 40), (260, 50), (60, 190), (250, 180)):
        grey[(x - left) ** 2 + (y - top) ** 2 < 150] = 190
    grey[90:150, 130:200] = 60
    grey = grey + 3 * np.sin(number)
    if scratch:
        for step in range(70):
            grey[170 + step // 2 : 176 + step // 2, 90 + step : 94 + step] = 235
    if moved:
        grey = np.roll(grey, moved, axis=1)
    return _picture(light * grey, rng)


def _picture(grey: Float32, rng: np.random.Generator) -> Image.Image:
    noisy = grey[..., np.newaxis] + rng.normal(0, 4, (*grey.shape, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def jpeg(picture: Image.Image) -> bytes:
    """As a camera sends it."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()
