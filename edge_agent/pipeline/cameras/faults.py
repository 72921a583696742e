"""When a camera cannot be believed: dark, dazzled, blurred, moved or frozen beside what it was learnt with. Pure."""

from collections.abc import Mapping

from edge_agent.formats.image.gauges import NAMES
from edge_agent.records import ChannelEvidence, Float32

SHIFTS = ("shift_x", "shift_y")
"""Percent of the picture to the right and down, beside the first picture that was learnt."""
GAUGES = (*NAMES, *SHIFTS)
FROZEN_AFTER = 5
"""Files that are alike to the byte: no sensor's noise repeats itself."""
_MOVED = 3.0
_FALLEN = 0.5
_DAZZLED = 20.0
"""Percent of pixels that are black or white beyond what was usual."""
_FINDINGS: Mapping[str, str] = {
    "camera dark": "brightness",
    "camera dazzled": "clipped",
    "camera blurred": "sharpness",
    "camera moved": "shift_x",
    "camera frozen": "sharpness",
}
"""Which gauge tells of it."""


def fault(gauges: Float32, low: Float32, high: Float32, *, alike: int, scene: bool) -> str:
    """What is wrong with a camera; empty where nothing is.

    Args:
        gauges: [K] of `GAUGES` now.
        low: [K] the least of each while it was learnt.
        high: [K] the greatest.
        alike: pictures in a row whose files were the same.
        scene: whether the camera sees the same place always: parts lie now here, now there, and no camera was moved.
    """
    now, least, most = (dict(zip(GAUGES, map(float, each), strict=True)) for each in (gauges, low, high))
    if alike >= FROZEN_AFTER:
        return "camera frozen"
    if now["brightness"] < _FALLEN * least["brightness"]:
        return "camera dark"
    if now["clipped"] > most["clipped"] + _DAZZLED:
        return "camera dazzled"
    if now["sharpness"] < _FALLEN * least["sharpness"]:
        return "camera blurred"
    if not scene:
        return ""
    beyond = max(max(least[name] - now[name], now[name] - most[name]) for name in SHIFTS)
    return "camera moved" if beyond > _MOVED else ""


def evidence(camera: str, finding: str, gauges: Float32, low: Float32, high: Float32) -> ChannelEvidence:
    """The gauge that tells of a finding."""
    at = GAUGES.index(_FINDINGS[finding])
    now, least, most = float(gauges[at]), float(low[at]), float(high[at])
    return ChannelEvidence(
        name=f"{camera}.{GAUGES[at]}",
        contribution=1.0,
        observed=now,
        normal_low=least,
        normal_high=most,
        deviation=(now - (least + most) / 2) / max(most - least, 0.1),
        symptom="frozen" if finding == "camera frozen" else "low" if now < least else "high",
    )
