"""Stage 5: replay recordings through the agent's own pipeline with the run's bundle, and measure.

What is measured is what ships: decoding aside, every row takes the way it takes on a gateway. Leaves
`measures.json` and a report in one HTML file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from edge_agent.commissioning.settings import BudgetSettings
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle, profile
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.recordings.replay import commission_recording, replay, row_times_ns
from edge_agent.recordings.tables import Recording
from edge_agent.records import Float32, Profile, WindowBlock
from edge_trainer.bundle import export
from edge_trainer.config import Config
from edge_trainer.data import windows
from edge_trainer.data.labelled_windows import NORMAL, read_names
from edge_trainer.evaluation.summary import Judged, measure
from edge_trainer.report import evaluation_report

FOLDER = "evaluate"
MEASURES = "measures.json"
REPORT = "report.html"
_CHUNK_WINDOWS = 64


def run(config: Config) -> Path:
    """Replay and measure; returns the report.

    Raises:
        TrainingError: nothing to evaluate on, or no bundle was exported.
        CommissionError: without a profile in the bundle, a recording is too short to be learnt from.
    """
    settings = config.evaluate
    shipped = bundle.read(export.find_bundle(config.run.out))
    scorer = Scorer.load(shipped, provider="cpu", threads=config.run.threads)
    wanted = tuple(channel.name for channel in shipped.manifest.channels) or None
    recordings = windows.read_all(
        config.run.data, settings.recordings, channels=wanted, exclude=settings.exclude_columns
    )
    own = None if shipped.profile is None else profile.decode(shipped.path / bundle.PROFILE, shipped.profile)
    classes = class_names(config, shipped.manifest.labels)
    agent = PipelineSettings(
        seed=config.run.seed, budget=BudgetSettings(false_alarms_per_week=config.calibrate.budget_per_week)
    )
    judged = []
    for item in track(recordings, "replay", console=Console(stderr=True)):
        learnt = own or commission_recording(
            item, rows=settings.commission_rows, scorer=scorer, settings=agent
        )
        judged.append(judge(item, scorer=scorer, learnt=learnt, settings=agent, classes=classes))
    folder = config.run.out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    figures = measure(judged, labels=shipped.manifest.labels, window_rows=scorer.window_rows)
    (folder / MEASURES).write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2))
    evaluation_report.write(
        folder / REPORT, judged, figures, scorer=scorer, worst_windows=settings.worst_windows
    )
    return folder / REPORT


def class_names(config: Config, labels: Sequence[str]) -> dict[int, int]:
    """Label in a recording -> class of the model; labels that the model does not know are left out."""
    settings = config.finetune
    names = settings.names if settings.names_file is None else read_names(settings.names_file)
    known = {name: number for number, name in enumerate(labels)}
    return {label: known[name] for label, name in {**names, 0: NORMAL}.items() if name in known}


def judge(
    recording: Recording,
    *,
    scorer: Scorer,
    learnt: Profile,
    settings: PipelineSettings,
    classes: Mapping[int, int],
) -> Judged:
    """Replay one recording; where the model names faults, ask it of every window, alarm or not."""
    played = replay(recording, scorer=scorer, settings=settings, profile=learnt)
    true, probability = _classify(recording, scorer=scorer, learnt=learnt, classes=classes)
    return Judged(recording=recording, replay=played, true=true, probability=probability)


def _classify(
    recording: Recording, *, scorer: Scorer, learnt: Profile, classes: Mapping[int, int]
) -> tuple[NDArray[np.int64], Float32]:
    """(true [W], probability [W, K]) of windows whose last row has a label that the model knows."""
    labels = scorer.bundle.manifest.labels
    nothing = np.empty(0, np.int64), np.empty((0, len(labels)), np.float32)
    T = scorer.window_rows
    if not labels or recording.label is None or len(recording.values) < T:
        return nothing
    ends = np.arange(T, len(recording.values) + 1, learnt.hop_rows)
    ends = ends[np.isin(recording.label[ends - 1], list(classes))]
    if len(ends) == 0:
        return nothing
    order = [recording.channels.index(name) for name in learnt.channels]
    windows = sliding_window_view(recording.values[:, order], T, axis=0)  # R-T+1 C T
    times = row_times_ns(recording)
    parts = []
    for at in range(0, len(ends), _CHUNK_WINDOWS):
        chosen = ends[at : at + _CHUNK_WINDOWS]
        block = WindowBlock(
            machine=recording.name,
            values=np.ascontiguousarray(windows[chosen - T]),
            end_rows=chosen - 1,
            times_ns=times[chosen - 1],
        )
        parts.append(scorer.score([block], [learnt])[0].classes)
    true = np.array([classes[int(label)] for label in recording.label[ends - 1]], np.int64)
    return true, np.concatenate(parts)
