"""The methods that are compared: the agent through its own pipeline, its ablations, and baselines in the same harness.

Each takes a series and gives its scores row by row; none sees a label or a row after the one that it scores, apart from
the aligned score, which looks ahead by 64 rows for every method alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmarks.detection.baselines import BASELINES, Detector, in_normal_scales, with_own_limit
from benchmarks.detection.datasets import Series
from benchmarks.detection.networks import AGENT, RANDOM, SHIPPED, STAND_INS, decides, judged
from edge_agent.commissioning.baseline import commission
from edge_agent.detect.detector import Encode
from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.detect.scorer import Scorer
from edge_agent.detect.view_scales import LENGTHS_ROWS
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.recordings.replay import commission_recording, replay
from edge_agent.signals.settings import WindowSettings

COVER_ROWS = 64
SETTINGS = PipelineSettings(window=WindowSettings(hop_s=0.0))
DETECTOR_GROUPS = ("together", "shape", "jump", "reconstruction")
DRAWS_OF = {name: RANDOM for name in STAND_INS if name.startswith(RANDOM)}
"""Methods that are draws of one: its figures are of all of them together."""
_WEEK_S = 7 * 24 * 3600.0
_CHUNK_WINDOWS = 512


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a method said of a series, row by row.

    Attributes:
        score: causal, [R].
        aligned: looks ahead by 64 rows, [R].
        alarm: rows at which it would have alarmed, [R]; None for a ranking only. An agent's alarm that is quiet and
            not over yet (unsettled) does not say that anything is wrong at a row: it is not counted.
    """

    score: NDArray[np.floating]
    aligned: NDArray[np.floating]
    alarm: NDArray[np.bool_] | None


Method = Callable[[Series], Mapping[str, Outcome]]


def agent(scorer: Scorer, *, name: str = AGENT, judge: str = SHIPPED) -> Method:
    """The agent as it ships, replayed: threshold, delays and closing included; `judge` as `networks` names them."""
    scorer = judged(scorer, judge)

    def run(series: Series) -> dict[str, Outcome]:
        given = series.recording
        profile = commission_recording(given, rows=series.normal_rows, scorer=scorer, settings=SETTINGS)
        played = replay(given, scorer=scorer, settings=SETTINGS, profile=profile)
        return {name: Outcome(played.score, played.score_aligned, played.loud)}

    return run


def ablations(encode: Encode) -> Method:
    """Each detector alone; one pass over the windows serves all."""

    def run(series: Series) -> dict[str, Outcome]:
        said = _listen(series, encode)
        return {
            f"only {group}": _ranking(
                np.mean(
                    [said[name] for name in said if name == group or name.startswith(f"{group}_")], axis=0
                )
            )
            for group in DETECTOR_GROUPS
        }

    return run


def baseline(name: str, *, make: Callable[[], Detector]) -> Method:
    """A baseline on the same rows in normal scales."""

    def run(series: Series) -> dict[str, Outcome]:
        score, limit = with_limit(series, make=make)
        return {name: Outcome(score, ahead(score), score > limit)}

    return run


def with_limit(series: Series, *, make: Callable[[], Detector]) -> tuple[NDArray[np.float64], float]:
    """(what a baseline scores row by row, [R], above which it would alarm)."""
    rows = in_normal_scales(series.recording.values, series.normal_rows)
    return with_own_limit(make, rows, normal_rows=series.normal_rows)


def methods(scorer: Scorer, *, ablate: bool) -> dict[str, Method]:
    """Name -> method, the agent first, then other networks in it where one decides; `DRAWS_OF` tells which are one."""
    found: dict[str, Method] = {AGENT: agent(scorer)}
    if decides(scorer):
        found |= {name: agent(scorer, name=name, judge=judge) for name, judge in STAND_INS.items()}
    found |= {name: baseline(name, make=make) for name, make in BASELINES.items()}
    if ablate:
        found["ablations"] = ablations(scorer.encode)
    return found


def ahead(score: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean of the scores of the windows that cover a row: those that end at it or in the 63 rows after it."""
    total = np.concatenate([[0.0], np.cumsum(score, dtype=np.float64)])
    first = np.arange(len(score))
    last = np.minimum(first + COVER_ROWS, len(score))
    mean: NDArray[np.float64] = (total[last] - total[first]) / (last - first)
    return mean


def _ranking(score: NDArray[np.floating]) -> Outcome:
    return Outcome(score, ahead(score), None)


def _listen(series: Series, encode: Encode) -> dict[str, NDArray[np.float64]]:
    """The logarithm of each calibrated raw score, on rows."""
    rows = series.recording.values
    T = LENGTHS_ROWS[-1]
    memory = commission(
        rows[: series.normal_rows],
        window_rows=T,
        encode=encode,
        budget_per_week=1.0,
        windows_per_week=_WEEK_S,
        seed=0,
    )
    windows = sliding_window_view(rows, T, axis=0)
    parts = []
    for at in range(0, len(windows), _CHUNK_WINDOWS):
        chunk = np.ascontiguousarray(windows[at : at + _CHUNK_WINDOWS])
        encoded = encode(chunk, memory["location"], memory["scale"])
        parts.append(ENSEMBLE.score(memory, chunk, encoded))
    heard = np.log1p(np.maximum(np.concatenate([part.calibrated for part in parts]), 0.0)).astype(np.float64)
    table = {name: heard[:, at] for at, name in enumerate(ENSEMBLE.names)}
    return {name: np.concatenate([np.full(T - 1, column[0]), column]) for name, column in table.items()}
