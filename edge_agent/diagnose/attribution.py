"""Why an alarm: ranks channels and says in the channel's own unit how the latest window differs from normal. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import ChannelEvidence, Float32
from edge_agent.signals import vibration
from edge_agent.signals.channel_kinds import with_rates

SYMPTOMS = ("high", "low", "rising", "falling", "noisier", "quieter", "frozen", "missing", "unusual pattern")

_RECENT_ROWS = 32
"""A symptom is read from the end of the window: the beginning may still be normal."""
_LEVEL = 3.0
_TREND = 2.0
_NOISIER = 2.0
_QUIETER = 0.33
_LINE = 1.2


def reference(normal: Float32) -> dict[str, NDArray[Any]]:
    """What evidence compares with, learnt from normal rows [R, C]: the usual range and the usual step.

    Of a counter, the rows hold its rate: a meter is not abnormal for being later.
    """
    low, high = np.nanpercentile(normal, [1.0, 99.0], axis=0)
    return {
        "evidence/low": low.astype(np.float32),
        "evidence/high": high.astype(np.float32),
        "evidence/step": _step(normal),
    }


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
) -> tuple[ChannelEvidence, ...]:
    """The guiltiest channels first.

    Args:
        memory: a profile's memory.
        channels: C names.
        window: [C, T] the latest window in physical units; of a counter, evidence is its rate an hour.
        contributions: [C] shares of the score.
        most: how many channels to name; a bearing's defect frequencies that stand out come on top.
    """
    recent = with_rates(window[np.newaxis], memory)[0, :, -_RECENT_ROWS:]
    order = np.argsort(-contributions, kind="stable").tolist()
    found = {
        at: _explain_channel(memory, name=channels[at], at=at, recent=recent[at], share=contributions[at])
        for at in order
        if contributions[at] > 0 and (vibration.is_defect(channels[at]) or at in order[:most])
    }
    # A line of a bearing's envelope tells what is damaged, however small its share beside the loudness.
    return tuple(one for at, one in found.items() if at in order[:most] or _stands_out(one))


def guiltiest(channels: Sequence[str], contributions: Float32) -> str:
    """The channel that `explain` names first; "" where it names none."""
    first = int(np.argsort(-contributions, kind="stable")[0])
    return channels[first] if contributions[first] > 0 else ""


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
        symptom=_symptom(seen, location=location, scale=scale, step=float(memory["evidence/step"][at])),
    )


def _symptom(seen: Float32, *, location: float, scale: float, step: float) -> str:
    """The plainest word for what the recent values do; tried from the plainest on."""
    if len(seen) < 2:
        return "missing"
    level = (float(np.mean(seen)) - location) / scale
    if abs(level) > _LEVEL:
        return "high" if level > 0 else "low"
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
    return "unusual pattern"
