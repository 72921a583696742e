"""Pictures of parts on an inspection table, good ones and faulty ones; the same for the same number. numpy alone.

Five surfaces: a cast one (blotches of all sizes), a milled one (rings of a tool), a woven one (a weave that shifts and
turns a little), a pressed plate (holes, a stamp, brushed), and castings of many lots, no two alike. A part lies a
little elsewhere each time, under light that changes a little. Faults are a scratch, a crack, a spot, a stain and a chip
off the edge, some of them faint.
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import count

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

SIDE = 256
"""Pixels of a picture each way."""
FAULTS = ("scratch", "crack", "spot", "stain", "chip")
_MARGIN = 22
_TABLE = 32.0
_WAY_STEPS = 160


def part(surface: str, number: int, fault: str = "") -> Pixels:
    """A part's picture, [256, 256, 3]; without a fault it is good.

    Args:
        surface: one of `SURFACES`.
        number: which part; each has another grain, place and light.
        fault: one of `FAULTS`, or nothing.
    """
    rng = np.random.default_rng([list(SURFACES).index(surface), number])
    down, right = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    top, left = _MARGIN + rng.uniform(-4, 4, 2)
    inside = (down >= top) & (down < SIDE - 2 * _MARGIN + top) & (right >= left)
    inside &= right < SIDE - 2 * _MARGIN + left
    grey = SURFACES[surface](down - top, right - left, rng)
    grey += rng.normal(0, 3) + rng.normal(0, 0.03) * (right - SIDE / 2)
    if fault:
        grey, inside = _spoilt(grey, inside, fault, rng)
    grey = np.where(inside, grey, _TABLE) + rng.normal(0, 3.0, grey.shape)
    tint = np.array([1.0, 0.99, 0.96])
    found: Pixels = np.clip(grey[..., np.newaxis] * tint, 0, 255).astype(np.uint8)
    return found


def conveyor(
    surface: str, *, seed: int = 0, good: int = 60, every: int = 80, spell: int = 6
) -> Iterator[tuple[str, str, bytes]]:
    """Parts that pass a camera, without end: name, fault ("" of a good one) and the picture's file.

    The first `good` ones are good, to be learnt from. Then a spell of bad ones, three in four of them with the fault of
    that spell, comes after each `every` parts; elsewhere one in a hundred is bad.

    Args:
        surface: one of `SURFACES`.
        seed: another conveyor.
        good: parts before the first spell may begin.
        every: parts from one spell to the next.
        spell: parts of a spell.
    """
    rng = np.random.default_rng(seed)
    for number in count():
        of_spell, at = divmod(max(number - good, 0), every)
        inside = number >= good and at >= every - spell
        bad = number >= good and rng.random() < (0.75 if inside else 0.01)
        fault = FAULTS[of_spell % len(FAULTS)] if bad else ""
        yield f"part {number + 1}", fault, png(part(surface, seed * 1_000_000 + number, fault))


def png(pixels: Pixels) -> bytes:
    """Pixels [H, W, 3] as a PNG file."""
    high, wide, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


# -- surfaces ------------------------------------------------------------------------------------------------


def _grain(rng: np.random.Generator, steepness: float) -> Float64:
    """Noise [256, 256] of unit spread whose amplitude falls with frequency to that power."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, np.newaxis], np.fft.rfftfreq(SIDE))
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((SIDE, SIDE))) / frequency**steepness
    found = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    return np.asarray(found / found.std())


def _cast(_down: Float64, _right: Float64, rng: np.random.Generator) -> Float64:
    pits = np.maximum(_grain(rng, 0.6) - 2.6, 0.0)
    return 115.0 + 13.0 * _grain(rng, 1.3) - 10.0 * pits


def _milled(down: Float64, right: Float64, rng: np.random.Generator) -> Float64:
    centre = rng.uniform(60, 150, 2)
    radius = np.hypot(down - centre[0], right - centre[1])
    rings = np.sin(radius / 2.3 + rng.uniform(0, 6)) + 0.6 * np.sin(radius / 7.1)
    found: Float64 = 150.0 + 9.0 * rings + 5.0 * _grain(rng, 0.8)
    return found


def _woven(down: Float64, right: Float64, rng: np.random.Generator) -> Float64:
    turn = rng.normal(0, 0.03)
    across, along = right * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - right * np.sin(turn)
    weave = np.sin(across / 1.9 + rng.uniform(0, 6)) * np.sin(along / 1.9 + rng.uniform(0, 6))
    found: Float64 = 120.0 + 25.0 * weave + 6.0 * _grain(rng, 1.0)
    return found


def _plate(down: Float64, right: Float64, rng: np.random.Generator) -> Float64:
    brushed = np.cumsum(rng.standard_normal((SIDE, SIDE)), axis=1)
    brushed -= brushed.mean(axis=1, keepdims=True)
    grey = 160.0 + 0.6 * brushed + 3.0 * _grain(rng, 0.5)
    for hole in ((30, 30), (30, 180), (180, 30), (180, 180)):
        grey[np.hypot(down - hole[0], right - hole[1]) < 11] = 45.0
    stamp = (np.abs(down - 105) < 12) & (np.abs(right - 105) < 40) & (np.floor(right / 6) % 2 == 0)
    return np.where(stamp, 95.0, grey)


def _mixed(down: Float64, right: Float64, rng: np.random.Generator) -> Float64:
    """Parts of many lots, no two alike: light, grain and shade differ, and some bear a mark that is no fault."""
    slope, angle = rng.gamma(2.0, 0.08), rng.uniform(0, 2 * np.pi)
    shade = slope * ((down - 106) * np.sin(angle) + (right - 106) * np.cos(angle))
    grain = rng.gamma(4.0, 2.5) * _grain(rng, rng.uniform(0.7, 1.6))
    mark = rng.exponential(8.0) * np.exp(-0.5 * ((down - rng.uniform(20, 190)) / rng.uniform(5, 25)) ** 2)
    found: Float64 = rng.uniform(80, 170) + shade + grain + rng.choice([-1.0, 1.0]) * mark
    return found


SURFACES: Mapping[str, Callable[[Float64, Float64, np.random.Generator], Float64]] = {
    "cast": _cast,
    "milled": _milled,
    "woven": _woven,
    "plate": _plate,
    "mixed": _mixed,
}


# -- faults --------------------------------------------------------------------------------------------------


def _spoilt(
    grey: Float64, inside: npt.NDArray[np.bool_], fault: str, rng: np.random.Generator
) -> tuple[Float64, npt.NDArray[np.bool_]]:
    down, right = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    at = rng.uniform(_MARGIN + 30, SIDE - _MARGIN - 30, 2)
    strength = rng.uniform(0.35, 1.0)
    if fault == "scratch":
        away = _away_from(_way(at, rng, length=rng.uniform(40, 120), bend=0.01), down, right)
        return grey + 90.0 * strength * np.exp(-0.5 * (away / 1.1) ** 2), inside
    if fault == "crack":
        away = _away_from(_way(at, rng, length=rng.uniform(30, 90), bend=0.35), down, right)
        return grey - 70.0 * strength * np.exp(-0.5 * (away / 0.9) ** 2), inside
    away = np.hypot(down - at[0], right - at[1])
    if fault == "spot":
        return grey - 85.0 * strength / (1.0 + np.exp((away - rng.uniform(3, 8)) / 0.7)), inside
    if fault == "stain":
        edge = rng.uniform(14, 32) * (1.0 + 0.25 * _grain(rng, 1.6))
        return grey + rng.choice([-1.0, 1.0]) * 40.0 * strength / (1.0 + np.exp((away - edge) / 2.0)), inside
    corner = rng.uniform(_MARGIN + 10, SIDE - _MARGIN - 10)
    edge = np.hypot(down - corner, right - (SIDE - _MARGIN))
    size = 9.0 + 16.0 * strength
    return grey, inside & (edge > size * (1.0 + 0.15 * _grain(rng, 1.6)))


def _way(at: Float64, rng: np.random.Generator, *, length: float, bend: float) -> Float64:
    """Points [P, 2] of a line that begins there and bends by chance."""
    turns = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, bend, _WAY_STEPS))
    steps = np.stack([np.sin(turns), np.cos(turns)], axis=1) * length / _WAY_STEPS
    return np.asarray(at + np.cumsum(steps, axis=0) - steps.sum(axis=0) / 2)


def _away_from(way: Float64, down: Float64, right: Float64) -> Float64:
    """Distance of each pixel from the nearest point of a line."""
    found = np.full(down.shape, np.inf)
    for y, x in way:
        np.minimum(found, (down - y) ** 2 + (right - x) ** 2, out=found)
    away: Float64 = np.sqrt(found)
    return away
