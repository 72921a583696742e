"""Why an alarm: ranks channels and says in the channel's own unit how the latest window differs from normal. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.cycle_scores import CycleMemory, knows_cycles
from edge_agent.detect.operating_modes import IN_TRANSIT, mode_names
from edge_agent.diagnose import relations
from edge_agent.records import ChannelEvidence, Float32
from edge_agent.signals import vibration

SYMPTOMS = ("high", "low", "rising", "falling", "noisier", "quieter", "frozen", "missing", "unusual pattern")
PATTERN = SYMPTOMS[-1]

_RECENT_ROWS = 32
"""A symptom is read from the end of the window: the beginning may still be normal."""
_LEVEL = 3.0
_TREND = 2.0
_NOISIER = 2.0
_QUIETER = 0.33
_LINE = 1.2
_USUAL_PERCENT = (1.0, 99.0)
_SPREADS_IN_RANGE = 4.65
"""Standard deviations of a Gaussian from its 1 to its 99 % point."""
_LEAST_SHARE_OF_SCALE = 0.02


def reference(normal: Float32, mode: NDArray[np.int64] | None = None) -> dict[str, NDArray[Any]]:
    """What evidence compares with, learnt from normal rows [R, C]: the usual range and the usual step.

    Of a counter, the rows hold its rate: a meter is not abnormal for being later. Where the operating modes of the rows
    [R] are known, the same is learnt of each by itself, too.
    """
    return relations.reference(normal) | usual(normal, mode)


def usual(normal: Float32, mode: NDArray[np.int64] | None = None) -> dict[str, NDArray[Any]]:
    """The usual range and step alone, of rows that need not be neighbours in time; arguments as of `reference`."""
    seen = np.isfinite(normal).any(axis=0)
    known = normal if seen.all() else np.where(seen, normal, np.float32(0))
    low, high = np.nanpercentile(known, _USUAL_PERCENT, axis=0)
    of_modes = {} if mode is None else _of_modes(normal, mode, low=low, high=high)
    return of_modes | {
        "evidence/low": low.astype(np.float32),
        "evidence/high": high.astype(np.float32),
        "evidence/step": _step(normal),
    }


def _of_modes(
    normal: Float32, mode: NDArray[np.int64], *, low: Float32, high: Float32
) -> dict[str, NDArray[Any]]:
    """Usual ranges, middles and spreads of each channel in each mode, [K, C]; the machine's where none was seen."""
    found = np.empty((4, int(mode.max()) + 1, normal.shape[1]), np.float32)
    middle, spread = (low + high) / 2, (high - low) / _SPREADS_IN_RANGE
    for number in range(found.shape[1]):
        own = normal[mode == number]
        seen = np.isfinite(own).any(axis=0) if len(own) else np.zeros(normal.shape[1], dtype=bool)
        found[:, number] = low, high, middle, spread
        if seen.any():
            own_low, own_high = np.nanpercentile(own[:, seen], _USUAL_PERCENT, axis=0)
            found[0, number, seen], found[1, number, seen] = own_low, own_high
            found[2, number, seen] = np.nanmedian(own[:, seen], axis=0)
            found[3, number, seen] = (own_high - own_low) / _SPREADS_IN_RANGE
    names = ("low", "high", "location", "scale")
    return {f"evidence/mode_{name}": part for name, part in zip(names, found, strict=True)}


def _step(rows: Float32) -> Float32:
    """Root mean square step per channel, hidden cells left out; [..., R, C] -> [..., C]."""
    steps = np.diff(rows.astype(np.float64), axis=-2)
    count = np.maximum(np.sum(~np.isnan(steps), axis=-2), 1)
    size: Float32 = np.sqrt(np.nansum(steps**2, axis=-2) / count).astype(np.float32)
    return size


def explain(
    memory: Mapping[str, NDArray[Any]],
    *,
    channels: Sequence[str],
    window: Float32,
    contributions: Float32,
    most: int,
    mode: int = IN_TRANSIT,
    period_s: float = 0.0,
) -> tuple[ChannelEvidence, ...]:
    """The guiltiest channels first.

    Args:
        memory: a profile's memory.
        channels: C names.
        window: [C, T] the latest window as it is shown: in physical units, of a counter its rate an hour.
        contributions: [C] shares of the score.
        most: how many channels to name; a bearing's defect frequencies that stand out come on top.
        mode: number of the operating mode that the window's newest row is in.
        period_s: step between rows; 0: rhythms are told in rows.
    """
    recent = window[:, -_RECENT_ROWS:]
    learnt, memory = memory, _of_mode(memory, mode)
    order = np.argsort(-contributions, kind="stable").tolist()
    found = {
        at: _explain_channel(memory, name=channels[at], at=at, recent=recent[at], share=contributions[at])
        for at in order
        if contributions[at] > 0 and (vibration.is_defect(channels[at]) or at in order[:most])
    }
    # A line of a bearing's envelope tells what is damaged, however small its share beside the loudness.
    return tuple(
        one
        if not _wants_detail(one)
        else replace(
            one, detail=relations.changed(learnt, window, at=at, channels=channels, period_s=period_s)
        )
        for at, one in found.items()
        if at in order[:most] or _stands_out(one)
    )


def mode_of(memory: Mapping[str, NDArray[Any]], *, channels: Sequence[str], mode: int) -> str:
    """The mode of operation with that number in words; "" in transit."""
    if mode == IN_TRANSIT:
        return ""
    if knows_cycles(memory):
        return f"recipe {CycleMemory.read(memory).recipes[mode]:g}"
    return mode_names(memory, channels)[mode]


def _of_mode(memory: Mapping[str, NDArray[Any]], mode: int) -> Mapping[str, NDArray[Any]]:
    """What evidence compares with: what is usual in a mode; in transit, and where nothing is known of it, in all."""
    if "evidence/mode_low" not in memory or not 0 <= mode < len(memory["evidence/mode_low"]):
        return memory
    names = ("location", "scale", "evidence/low", "evidence/high", "evidence/step")
    found = {name: memory[name] for name in names}
    for name in ("low", "high"):
        found[f"evidence/{name}"] = memory[f"evidence/mode_{name}"][mode]
    found["location"] = memory["evidence/mode_location"][mode]
    least = _LEAST_SHARE_OF_SCALE * memory["scale"]
    found["scale"] = np.maximum(memory["evidence/mode_scale"][mode], least)
    return found


def guiltiest(channels: Sequence[str], contributions: Float32) -> str:
    """The channel that `explain` names first; "" where it names none."""
    first = int(np.argsort(-contributions, kind="stable")[0])
    return channels[first] if contributions[first] > 0 else ""


def _wants_detail(one: ChannelEvidence) -> bool:
    """Whether the plain word alone tells nothing that can be checked: the value is one of the usual ones."""
    if one.symptom == PATTERN:
        return True
    inside = one.observed is not None and one.normal_low <= one.observed <= one.normal_high
    return inside and one.symptom in ("high", "low")


def _stands_out(line: ChannelEvidence) -> bool:
    """Whether a defect's line is well above all that was usual."""
    return line.observed is not None and line.observed > _LINE * line.normal_high


def _explain_channel(
    memory: Mapping[str, NDArray[Any]], *, name: str, at: int, recent: Float32, share: float
) -> ChannelEvidence:
    seen = recent[~np.isnan(recent)]
    location, scale = float(memory["location"][at]), float(memory["scale"][at])
    deviation = 0.0 if len(seen) == 0 else (float(seen[-1]) - location) / scale
    return ChannelEvidence(
        name=name,
        contribution=float(share),
        observed=float(seen[-1]) if len(seen) else None,
        normal_low=float(memory["evidence/low"][at]),
        normal_high=float(memory["evidence/high"][at]),
        deviation=deviation,
        symptom=_symptom(
            seen, rows=len(recent), location=location, scale=scale, step=float(memory["evidence/step"][at])
        ),
    )


def _symptom(seen: Float32, *, rows: int, location: float, scale: float, step: float) -> str:
    """The plainest word for what the recent values do; tried from the plainest on."""
    if len(seen) == 0 or 1 == len(seen) < rows:
        return "missing"
    level = (float(np.mean(seen)) - location) / scale
    if abs(level) > _LEVEL:
        return "high" if level > 0 else "low"
    if rows == 1:
        return PATTERN
    jitter = float(_step(seen[:, np.newaxis])[0])
    if step > 0 and jitter == 0:
        return "frozen"
    half = len(seen) // 2
    trend = (float(np.mean(seen[half:])) - float(np.mean(seen[:half]))) / scale
    if abs(trend) > _TREND:
        return "rising" if trend > 0 else "falling"
    if step > 0 and jitter > _NOISIER * step:
        return "noisier"
    if step > 0 and jitter < _QUIETER * step:
        return "quieter"
    return PATTERN
