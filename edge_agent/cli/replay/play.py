"""Recordings through the agent's own pipeline, row by row results written as tables."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from edge_agent.alarms import payload
from edge_agent.alarms.local_time import moment
from edge_agent.cli.tables import console, grid, kinds_line, seen_once_line, show, tell_error
from edge_agent.commissioning import seen_once
from edge_agent.config.file import Config
from edge_agent.detect.scorer import Scorer
from edge_agent.diagnose.fault_library import FaultLibrary
from edge_agent.diagnose.fault_naming import UNKNOWN
from edge_agent.errors import CommissionError, EdgeAgentError, RecordingError, StateError, UsageError
from edge_agent.formats.mapping.times import TimeRule
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.recordings import failure_records
from edge_agent.recordings import tables as recordings
from edge_agent.recordings.failure_records import FailureRecord
from edge_agent.recordings.replay import Replay, commission_recording, replay
from edge_agent.recordings.tables import Recording
from edge_agent.records import THRESHOLD
from edge_agent.service.wiring import bundle_profile, load_scorer, pipeline_settings
from edge_agent.signals.channel_kinds import remarkable_kinds

ALARMS = "alarms.jsonl"
_SUMMARY = ("series", "rows", "learnt from", "rows in alarm", "alarms", "named after labels", "faults said")


def run(
    config: Config,
    *,
    files: Sequence[Path],
    commission_rows: int | None,
    out: Path,
    channels: tuple[str, ...] | None,
    exclude: tuple[str, ...],
    times: TimeRule | None = None,
    labels: Path | None = None,
) -> None:
    """Replay recordings, each a machine of its own, scored at every row.

    Writes `<series>.scores.parquet` (score, score_aligned, threshold, alarm, fault; a row per row), of machines with a
    `[[cycle]]` `<series>.cycles.parquet` (a row per cycle), and `alarms.jsonl` (every revision of every alert).

    Args:
        config: as for `run`; its broker is not used.
        files: tables of any form that is known.
        commission_rows: first rows to learn each machine from; where None, the profile that comes with the model, or
            else as many as the configuration says.
        out: folder to write to; made where it does not exist.
        channels: columns to read; all where None.
        exclude: columns that are no channels.
        times: zone and form of times that say none.
        labels: table of machine (a recording's name), start, end, fault: alarms are named after it as they end, and
            what was learnt of one recording goes on to the next ones with the same channels.

    Raises:
        EdgeAgentError: the model cannot be used; or a recording or its rows, after all the others have been replayed.
    """
    series = [recordings.series_name(file) for file in files]
    if len(set(series)) < len(series):
        raise UsageError("two recordings have the same name, and their results would overwrite each other")
    setup = set_up(
        config,
        commission_rows=commission_rows,
        failures=() if labels is None else failure_records.read(labels),
    )
    summary = grid(*_SUMMARY)
    libraries: dict[frozenset[str], FaultLibrary] = {}
    failed: list[EdgeAgentError] = []
    told: list[RenderableType] = []
    with alarms_file(out) as lines:
        for file in files:
            try:
                recording = recordings.read(file, channels=channels, exclude=exclude, times=times)
                played = play(recording, setup, library=libraries.get(frozenset(recording.channels)))
            except (RecordingError, CommissionError) as error:
                failed.append(error)
                continue
            libraries[frozenset(recording.channels)] = played.library
            _write_tables(out, recording, played)
            lines.writelines(
                payload.encode(alarm, agent=config.agent.name, zone=config.site.zone).decode() + "\n"
                for alarm in played.alarms
            )
            summary.add_row(*_summary_row(recording, played))
            told += _learnt(recording, played, zone=config.site.zone)
    show(summary, *told)
    _raise_last(failed)


def _learnt(recording: Recording, played: Replay, *, zone: tzinfo) -> Iterator[RenderableType]:
    """What people should know of how a recording was read, and of what was learnt of it, a line each."""
    name, profile = recording.name, played.profile
    if recording.notes:
        yield Text(f"{name}: {'; '.join(recording.notes)}")
    if kinds := remarkable_kinds(profile.memory, profile.channels):
        yield Text(f"{name}: {kinds_line(kinds)}")
    if stretches := seen_once.read(profile):
        said = [
            (moment(one.start_ns, zone, beside_ns=0), moment(one.end_ns, zone, beside_ns=0), one.channel)
            for one in stretches
        ]
        yield Text(f"{name}: {seen_once_line(said)}")
    yield from _cycles_told(name, played)


def _write_tables(out: Path, recording: Recording, played: Replay) -> None:
    """A row for each row, and one for each cycle of a machine that runs a program."""
    recordings.write_columns(out / f"{recording.name}.scores.parquet", _columns(recording, played))
    if played.cycles is not None:
        recordings.write_columns(out / f"{recording.name}.cycles.parquet", played.cycles.columns())


def _cycles_told(name: str, played: Replay) -> Iterator[RenderableType]:
    if (cycles := played.cycles) is not None:
        judged = int(np.isfinite(cycles.score).sum())
        yield Text(
            f"{name}: {len(cycles.score)} cycles, {judged} of them judged, {cycles.alarm.sum()} in alarm"
        )


def _raise_last(failed: Sequence[EdgeAgentError]) -> None:
    """Say all that went wrong: the last as an error of the command, the others before it."""
    if not failed:
        return
    for early in failed[:-1]:
        tell_error(early)
    raise failed[-1]


def alarms_file(out: Path) -> TextIO:
    """The file of alerts in the folder of results, which is made.

    Raises:
        StateError: it cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        return (out / ALARMS).open("w", encoding="utf-8")
    except OSError as error:
        raise StateError(out, error.strerror or "cannot be written") from error


@dataclass(frozen=True, slots=True)
class Setup:
    """What all recordings are replayed with."""

    commission_rows: int | None
    scorer: Scorer
    settings: PipelineSettings
    failures: tuple[FailureRecord, ...]


def set_up(config: Config, *, commission_rows: int | None, failures: tuple[FailureRecord, ...] = ()) -> Setup:
    """As the configuration says, scored at every row.

    Raises:
        EdgeAgentError: the model cannot be used.
    """
    settings = pipeline_settings(config)
    settings = replace(settings, window=replace(settings.window, hop_s=0.0))
    scorer = load_scorer(config, expecting=False)
    return Setup(commission_rows=commission_rows, scorer=scorer, settings=settings, failures=failures)


def play(recording: Recording, setup: Setup, *, library: FaultLibrary | None) -> Replay:
    """One recording, learnt and replayed; a terminal is shown how far it is.

    Raises:
        CommissionError: nothing can be learnt from it.
    """
    profile = bundle_profile(setup.scorer.bundle) if setup.commission_rows is None else None
    if profile is None:
        rows = setup.commission_rows or setup.settings.commission_rows
        profile = commission_recording(recording, rows=rows, scorer=setup.scorer, settings=setup.settings)
    with progress_bar(recording.name, rows=len(recording.values), shown=sys.stderr.isatty()) as done:
        return replay(
            recording,
            scorer=setup.scorer,
            settings=setup.settings,
            profile=replace(profile, hop_rows=1),
            progress=done,
            failures=setup.failures,
            library=library,
        )


@contextmanager
def progress_bar(name: str, *, rows: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """How far a recording is, on a terminal; gives the function that is told so."""
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn()
    with Progress(*columns, console=console(stderr=True), transient=True, disable=not shown) as progress:
        task = progress.add_task(name, total=rows)
        yield lambda done: progress.update(task, completed=done)


def _columns(recording: Recording, played: Replay) -> dict[str, Any]:
    stamps = {} if recording.times_ns is None else {"timestamp": recording.times_ns.astype("datetime64[ns]")}
    return {
        **stamps,
        "score": played.score,
        "score_aligned": played.score_aligned,
        "threshold": [THRESHOLD] * len(played.score),
        "alarm": played.alarm,
        "fault": played.fault.tolist(),
    }


def _summary_row(recording: Recording, played: Replay) -> tuple[str, ...]:
    opened = sum(alarm.revision == 1 for alarm in played.alarms)
    return (
        recording.name,
        str(len(recording.values)),
        str(played.profile.rows),
        f"{played.alarm.mean():.1%}",
        str(opened),
        str(played.named),
        ", ".join(sorted({alarm.fault for alarm in played.alarms} - {UNKNOWN})),
    )
