"""A machine whose score is what it measures, for tests of what thresholds and drift make of scores over weeks."""

import numpy as np

from edge_agent.commissioning.settings import BudgetSettings
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Frame, Profile, Reject, ScoreBlock, WindowBlock
from edge_agent.signals.settings import WindowSettings

PERIOD_NS = 60 * 1_000_000_000
DAY_ROWS = 24 * 60


class Digest:
    digest = encoder = "0" * 64


class Ramp:
    """A scorer whose score is the newest value of the first channel, beside a part that stays at 0.1."""

    window_rows = 8
    bundle = Digest()
    judge = None

    def score(self, blocks: list[WindowBlock], _profiles: list[Profile]) -> list[ScoreBlock]:
        return [self._one(block) for block in blocks]

    def _one(self, block: WindowBlock) -> ScoreBlock:
        value = block.values[:, 0, -1]
        rest = np.full_like(value, 0.1)
        return ScoreBlock(
            windows=block,
            channels=("a",),
            value=value,
            recent=value,
            contributions=np.ones((len(value), 1), np.float32),
            expected=block.values[:, :, -1],
            classes=np.empty((len(value), 0), np.float32),
            parts=np.stack([value, rest], axis=1),
        )


def ramp_pipeline(profile: Profile, **settings: bool) -> Pipeline:
    return Pipeline(
        decode=lambda _: Reject("no_source"),
        scorer=Ramp(),  # type: ignore[arg-type]
        settings=PipelineSettings(window=WindowSettings(hop_s=60.0), budget=BudgetSettings(**settings)),
        profiles=[profile],
    )


def ramp_profile(**memory: np.ndarray) -> Profile:
    """Of one channel, learnt with a threshold of 1; `memory`: further arrays."""
    memory = {
        "location": np.zeros(1, np.float32),
        "scale": np.ones(1, np.float32),
        "threshold": np.ones(2, np.float32),
        **memory,
    }
    return Profile("press", ("a",), memory, 100, PERIOD_NS, 1, "0" * 64, 0)


def drifting_rows(days: int, seed: int = 0) -> np.ndarray:
    """A row a minute that grows by a quarter from the first to the last."""
    noise = np.random.default_rng(seed).normal(0.75, 0.02, days * DAY_ROWS)
    return (noise * (1.0 + 0.25 * np.arange(days * DAY_ROWS) / (days * DAY_ROWS))).astype(np.float32)


def feed_rows(line: Pipeline, rows: np.ndarray, *, start: int = 0) -> tuple[list[Profile], np.ndarray, int]:
    """(profiles told of, scores by the thresholds in use, alarms opened)."""
    told: list[Profile] = []
    scores, alarms = [], 0
    for at in range(0, len(rows), 512):
        part = rows[at : at + 512, np.newaxis]
        times = ((start + at + np.arange(len(part))) * PERIOD_NS).tolist()
        step = line.feed([Frame("press", ("a",), times, part)])
        told += step.moved
        scores += [block.value for block in step.scores]
        alarms += sum(alarm.revision == 1 for alarm in step.alarms)
    return told, np.concatenate(scores), alarms
