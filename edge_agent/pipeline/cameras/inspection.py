"""What is told of a part, and what is kept of an unusual picture: nouns, and how a picture becomes them. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.pictures.regions import Box
from edge_agent.detect.pictures.texture import k_centre
from edge_agent.records import Float32

Verdict = Literal["good", "suspect", "unjudged"]
WORST = 20
"""Patches whose mean says what a picture looks like where it is most unusual."""
KEPT, KEPT_OF_SCENE = 64, 400
"""Patches that are kept of a suspect at most, to name it and to take it for usual: a scene's lie each in its place."""
_NEAR = 0.7
"""Of the threshold, from which on a patch may be among them."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """The verdict on one part.

    Attributes:
        id: the same if the message comes twice.
        part: what the payload called it.
        score: 1 is the threshold; None where it was not judged, `why` says why.
        kind: what it looks like, "" where nothing that was named; `probability` of that.
        model: digest of the network.
    """

    id: str
    machine: str
    camera: str
    part: str
    time_ns: int
    verdict: Verdict
    model: str
    score: float | None = None
    why: str = ""
    kind: str = ""
    probability: float = 0.0
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Suspect:
    """An unusual picture: what it can be named and taken for usual by, and what people are shown.

    Attributes:
        number: of the camera's pictures.
        alarm: id of the alarm that showed it; "" where none did.
        patches: [P, D] of the network, the most unusual first. cells: [P] their numbers in the grid.
        jpeg: of what of the picture counts. map: 32 x 32 bytes as alerts have it.
    """

    id: str
    number: int
    time_ns: int
    part: str
    score: float
    patches: NDArray[np.float16]
    cells: NDArray[np.int32]
    jpeg: bytes
    map: bytes
    alarm: str = ""
    kind: str = ""
    probability: float = 0.0
    good: bool = False
    """Somebody said that it is."""


def picture_id(machine: str, camera: str, *, time_ns: int, number: int) -> str:
    """The same picture's id; `number` tells it from others of the same second."""
    moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    return f"{machine.replace('/', '-')}-{moment:%Y%m%dT%H%M%S}Z-{camera}-{number}"


def excerpt(
    patches: NDArray[np.floating[Any]], unusual: Float32, *, limit: int = KEPT
) -> tuple[NDArray[np.float16], NDArray[np.int32]]:
    """The patches [P, D] of a picture [G, G, D] that make it unusual, and their cells [P].

    There are at most `limit` of them. The first are the most unusual; the rest are those that differ most among all
    that are near the threshold.
    """
    flat, levels = patches.reshape(-1, patches.shape[-1]).astype(np.float32), unusual.ravel()
    order = np.argsort(-levels, kind="stable")[:KEPT_OF_SCENE]
    worst, others = order[:WORST], order[WORST:]
    others = others[levels[others] >= _NEAR]
    room = limit - len(worst)
    if len(others) > room:
        others = others[k_centre(flat[others], room)]
    cells = np.concatenate([worst, others])
    return flat[cells].astype(np.float16), cells.astype(np.int32)


def look_of(patches: NDArray[np.floating[Any]]) -> Float32:
    """What a picture looks like where it is most unusual, [D], by what `excerpt` kept of it [P, D]."""
    found: Float32 = patches[:WORST].astype(np.float32).mean(axis=0)
    return found
