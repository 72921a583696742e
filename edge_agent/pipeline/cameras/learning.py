"""What is usual before one camera: its first pictures to what they are compared with. Takes seconds; pure.

A scene's threshold keeps the machine's budget of false alarms. A part's lets a share of good parts through as suspects,
whatever the budget: a law of weeks would lie beyond every fault where good parts differ much. The budget then says how
many suspects among the last parts are an alarm.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.commissioning.threshold import level, threshold
from edge_agent.detect.pictures import place, regions, texture
from edge_agent.pipeline.cameras.inspection import excerpt, look_of
from edge_agent.pipeline.cameras.kinds import LOOKS
from edge_agent.records import Float32

_WEEK_NS = 7 * 24 * 3600 * 1_000_000_000
_BUDGET_SHARE = 0.5
"""Of a machine's budget of false alarms, that its cameras may spend."""
_MARGIN = 1.1
"""Pictures that were not learnt from lie a little further off than learnt ones do from each other."""
_LEAST_SPREAD = 1e-3
DETECTORS = {"scene": place, "part": texture}
LAST_PARTS = 20
"""Parts whose verdicts count for an alarm."""
FEWEST_SUSPECTS = 3
"""Among them that are an alarm, where the budget asks for no more."""


@dataclass(frozen=True, slots=True)
class CameraRequest:
    """The first pictures of a camera, to be learnt from.

    Attributes:
        patches: [N, G, G, D]. gauges: [N, K]. times_ns: [N].
        counted: [G, G] cells that count; None: all.
        aspect: width by height of the whole pictures.
    """

    machine: str
    camera: str
    network: str
    subject: str
    patches: NDArray[np.float16]
    gauges: Float32
    times_ns: tuple[int, ...]
    counted: NDArray[np.bool_] | None
    aspect: float
    budget_per_week: float
    suspects: float = 0.01
    """Share of good parts that may be called suspect."""


@dataclass(frozen=True, slots=True)
class CameraMemory:
    """What is known of a camera.

    Attributes:
        network: digest of the network whose patches these are.
        grid: G. pictures: N.
        threshold: of the score of a picture.
        arrays: `scale` [D] of a patch's numbers, `usual_looks` [N, D] of the learnt pictures, `gauges_low` and
            `gauges_high` [K], `suspects` [] that are an alarm, and what the detector remembers.
    """

    machine: str
    camera: str
    network: str
    subject: str
    grid: int
    pictures: int
    aspect: float
    threshold: float
    learnt_ns: int
    arrays: Mapping[str, NDArray[Any]]

    def unusual(self, patches: Float32) -> Float32:
        """The smoothed map of a picture's patches [G, G, D], [G, G]; 1 is the threshold."""
        compare = DETECTORS[self.subject].compare
        found: Float32 = regions.smooth(compare(self.arrays, patches * self.arrays["scale"])) / np.float32(
            self.threshold
        )
        return found

    @property
    def suspects(self) -> int:
        """Suspects among the last twenty parts that are an alarm; older agents did not say."""
        return int(self.arrays.get("suspects", FEWEST_SUSPECTS))

    def score(self, unusual: Float32, counted: NDArray[np.bool_] | None) -> float:
        """Of such a map; from 1 on it is unusual."""
        return regions.score(unusual, counted, wide=self.subject == "scene")


def learn(request: CameraRequest) -> CameraMemory:
    """What to compare a camera's pictures with."""
    patches = request.patches.astype(np.float32)
    scale = np.ones(patches.shape[-1], np.float32)
    if request.subject == "scene":
        scale = (1.0 / np.maximum(_spread(patches), np.float32(_LEAST_SPREAD))).astype(np.float32)
    patches *= scale
    memory, calm = DETECTORS[request.subject].learn(patches)
    maps = [regions.smooth(one) for one in calm]
    scores = [regions.score(one, request.counted, wide=request.subject == "scene") for one in maps]
    steps = np.diff(request.times_ns)
    period_ns = float(np.median(steps)) if len(steps) else 0.0
    per_week = _WEEK_NS / max(period_ns, 1e9)
    budget_per_week = _BUDGET_SHARE * request.budget_per_week
    if request.subject == "part":
        limit = level(scores, chance=request.suspects)
    else:
        limit = threshold(scores, windows_per_week=per_week, budget_per_week=budget_per_week)
        limit = max(limit, _MARGIN * max(scores))
    return CameraMemory(
        machine=request.machine,
        camera=request.camera,
        network=request.network,
        subject=request.subject,
        grid=patches.shape[1],
        pictures=len(patches),
        aspect=request.aspect,
        threshold=max(float(limit), 1e-6),
        learnt_ns=request.times_ns[-1],
        arrays={
            "scale": scale,
            LOOKS: np.stack(
                [
                    look_of(
                        excerpt(one, unusual if request.counted is None else unusual * request.counted)[0]
                    )
                    for one, unusual in zip(request.patches, maps, strict=True)
                ]
            ).astype(np.float16),
            "gauges_low": request.gauges.min(axis=0),
            "gauges_high": request.gauges.max(axis=0),
            "suspects": np.array(
                suspects_for_alarm(request.suspects, parts_per_week=per_week, budget_per_week=budget_per_week)
            ),
            **memory,
        },
    )


def suspects_for_alarm(share: float, *, parts_per_week: float, budget_per_week: float) -> int:
    """Suspects among the last twenty parts that good parts alone, each one by chance, reach within the budget.

    An alarm begins with a suspect that finds all others but one among the nineteen parts before it.

    Args:
        share: of good parts that are called suspect.
        parts_per_week: that pass.
        budget_per_week: false alarms that are accepted.
    """
    before = LAST_PARTS - 1
    chance = [math.comb(before, n) * share**n * (1.0 - share) ** (before - n) for n in range(LAST_PARTS)]
    for wanted in range(FEWEST_SUSPECTS, LAST_PARTS):
        if parts_per_week * share * sum(chance[wanted - 1 :]) <= budget_per_week:
            return wanted
    return LAST_PARTS


def _spread(patches: Float32) -> Float32:
    """Standard deviation of each number of patches [N, G, G, D], [D]; a picture at a time, to spare memory."""
    means = np.stack([one.mean(axis=(0, 1), dtype=np.float64) for one in patches])
    squares = np.stack(
        [((one - mean) ** 2).mean(axis=(0, 1)) for one, mean in zip(patches, means, strict=True)]
    )
    found: Float32 = np.sqrt(squares.mean(axis=0) + means.var(axis=0)).astype(np.float32)
    return found
