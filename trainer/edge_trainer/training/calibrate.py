"""Stage 4: what is normal for one machine and where its threshold lies, written into the run's bundle.

The learning is the agent's own (`edge_agent.pipeline.learning`), with the exported model and not with torch: what is
calibrated is what ships.
"""

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np

from edge_agent.commissioning.settings import BudgetSettings
from edge_agent.detect.scorer import Scorer
from edge_agent.errors import TrainingError
from edge_agent.model import bundle, profile
from edge_agent.model.bundle import Bundle
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.results import CommissionRequest
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.recordings.replay import row_times_ns
from edge_agent.recordings.tables import Recording
from edge_trainer.bundle import export
from edge_trainer.config import CalibrateSection, Config
from edge_trainer.data import windows

_NS_PER_S = 1_000_000_000


def run(config: Config) -> Path:
    """Learn the machine's normal behaviour; returns the bundle that now carries its profile.

    Raises:
        TrainingError: no normal rows, channels that differ, or no bundle was exported.
        CommissionError: the rows do not suffice.
    """
    settings = config.calibrate
    before = bundle.read(export.find_bundle(config.run.out))
    scorer = Scorer.load(before, provider="cpu", threads=config.run.threads)
    request = _request(_normal(before, config), settings, learnt=config.run.created)
    learnt = learn(
        request,
        scorer=scorer,
        settings=PipelineSettings(
            budget=BudgetSettings(false_alarms_per_week=settings.budget_per_week), seed=config.run.seed
        ),
    )
    missing = {channel.name for channel in before.manifest.channels} - set(learnt.channels)
    if missing:
        raise TrainingError(
            f"channels without a value in most of the calm rows: {', '.join(sorted(missing))}"
        )
    manifest = msgspec.structs.replace(
        before.manifest,
        training={**before.manifest.training, "calibrate": settings.model_dump(mode="json")},
        measures={
            **before.manifest.measures,
            "calibrate_rows": learnt.rows,
            "calibrate_threshold": learnt.threshold,
        },
    )
    written = bundle.write(
        before.path.parent, manifest, {**_contents(before), bundle.PROFILE: profile.encode(learnt)}
    )
    if written != before.path:
        shutil.rmtree(before.path)
    return written


def _normal(before: Bundle, config: Config) -> list[Recording]:
    """The recordings, in the head's order of channels where there is a head."""
    wanted = tuple(channel.name for channel in before.manifest.channels) or None
    settings = config.calibrate
    recordings = windows.read_all(
        config.run.data, settings.recordings, channels=wanted, exclude=settings.exclude_columns
    )
    for item in recordings[1:]:
        if item.channels != recordings[0].channels:
            raise TrainingError(f"{recordings[0].name} and {item.name} differ in channels")
    return recordings


def _request(
    recordings: Sequence[Recording], settings: CalibrateSection, *, learnt: str
) -> CommissionRequest:
    """The normal rows (label 0, or all where there are no labels) of all recordings, one after the other."""
    rows = np.concatenate(
        [item.values if item.label is None else item.values[item.label == 0] for item in recordings]
    )
    if len(rows) == 0:
        raise TrainingError("the recordings hold no calm row (label 0)")
    steps = [np.diff(row_times_ns(item)) for item in recordings if item.times_ns is not None]
    stamped = np.concatenate([np.empty(0, np.int64), *steps])
    period_ns = int(np.median(stamped)) if len(stamped) else round(settings.period_s * _NS_PER_S)
    return CommissionRequest(
        machine=settings.machine,
        channels=recordings[0].channels,
        rows=rows,
        period_ns=period_ns,
        hop_rows=settings.hop_rows,
        time_ns=_time_ns(learnt),
    )


def _time_ns(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp()) * _NS_PER_S if moment else 0


def _contents(of: Bundle) -> dict[str, bytes]:
    """The verified files of a bundle but its manifest."""
    return {name: (of.path / name).read_bytes() for name in of.manifest.files}
