"""Recordings through the agent's own pipeline: what `edge-agent replay` and the trainer's evaluation run.

The machine is commissioned on the first rows of the file; then the whole file, those rows included, goes through the
pipeline as if it came over the wire, block by block. Causal scores are known at their row.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_agent.cycles.rules import rule_of
from edge_agent.detect.scorer import Scorer
from edge_agent.diagnose.fault_library import FaultLibrary
from edge_agent.errors import CommissionError
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import Labelled
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.recordings.cycle_replay import CycleCollector, CycleReplay
from edge_agent.recordings.failure_records import FailureRecord
from edge_agent.recordings.reading.time_order import rising
from edge_agent.recordings.tables import Recording
from edge_agent.records import Alarm, Delivery, Float32, Frame, Profile, Reject, ScoreBlock

_BLOCK_ROWS = 1024
_CYCLE_BLOCK_ROWS = 32
"""Of a machine whose cycles are counted: they are learnt as soon as there are enough of them."""
_SECOND_NS = 1_000_000_000
_COVER_ROWS = 64
"""Rows that a window covers, for the aligned score: the detectors look at the newest 16 to 128 rows."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What the agent would have said, row by row of a recording.

    Attributes:
        score: [R] causal: the newest window that had ended at the row; 0 before the first. 1 is the threshold.
        score_aligned: [R] mean of the windows' scores that cover the row, as benchmarks score: for ranking rows after
            the fact, since it looks ahead.
        alarm: [R] whether an alarm was open. loud: [R] whether it was and was not unsettled: quiet, though not over.
        fault: [R] the open alarm's fault, "" where none is open.
        channels: C names, as in `contributions`.
        contributions: [R, C] each channel's share of the causal score.
        alarms: every revision, in order.
        library: the alarms that have been named, those from before included.
        named: how many alarms were named after a failure record.
        cycles: of a machine that runs a program; None of others.
    """

    score: Float32
    score_aligned: Float32
    alarm: NDArray[np.bool_]
    loud: NDArray[np.bool_]
    fault: NDArray[np.str_]
    channels: tuple[str, ...]
    contributions: Float32
    alarms: tuple[Alarm, ...]
    profile: Profile
    library: FaultLibrary
    named: int
    cycles: CycleReplay | None = None


def commission_recording(
    recording: Recording, *, rows: int, scorer: Scorer, settings: PipelineSettings
) -> Profile:
    """Learn the machine from the first rows of a recording, as the agent would from the wire.

    Raises:
        CommissionError: the recording is too short, or nothing can be learnt from it.
    """
    if rows > len(recording.values):
        raise CommissionError(
            f"{recording.name}: has {len(recording.values)} rows, {rows} are to be learnt from"
        )
    asked = replace(settings, commission_rows=rows, cycle_rules=())
    pipeline = Pipeline(decode=_no_bytes, scorer=scorer, settings=asked)
    for frame in _frames(recording, rows=rows):
        for request in pipeline.feed([frame]).commissions:
            return learn(request, scorer=scorer, settings=asked)
    raise CommissionError(f"{recording.name}: fewer than {rows} usable rows")


def replay(
    recording: Recording,
    *,
    scorer: Scorer,
    settings: PipelineSettings,
    profile: Profile,
    progress: Callable[[int], None] = lambda _: None,
    failures: Sequence[FailureRecord] = (),
    library: FaultLibrary | None = None,
) -> Replay:
    """Drive the pipeline over the whole recording.

    Args:
        recording: the machine's name is the recording's.
        scorer: the model.
        settings: of the pipeline.
        profile: as `commission_recording` gave it, or a bundle's own.
        progress: told the number of rows done.
        failures: what was wrong when. At a record's end somebody names the alarms that it overlaps by its fault, as far
            as the agent still keeps them; later alarms can be called so.
        library: alarms named before, on this machine or on one like it.
    """
    pipeline = Pipeline(
        decode=_no_bytes,
        scorer=scorer,
        settings=settings,
        profiles=[replace(profile, machine=recording.name)],
    )
    if library is not None:
        pipeline.install_faults(replace(library, machine=recording.name))
    alarms: list[Alarm] = []
    blocks: list[ScoreBlock] = []
    pending = sorted(
        (record for record in failures if record.machine == recording.name), key=lambda record: record.end_ns
    )
    library, named, done = replace(library or FaultLibrary(""), machine=recording.name), 0, 0
    cycles, counted = CycleCollector(), rule_of(settings.cycle_rules, recording.name) is not None
    size = _CYCLE_BLOCK_ROWS if counted else _BLOCK_ROWS
    ends_ns = [one.end_ns for one in pending]
    for frame in _frames(recording, rows=len(recording.values), ends_ns=ends_ns, size=size):
        step = pipeline.feed([frame])
        for request in step.commissions:  # of its cycles: the machine itself is known
            pipeline.install(learn(request, scorer=scorer, settings=settings))
        cycles.take(step)
        alarms += step.alarms
        while pending and pending[0].end_ns <= frame.times_ns[-1]:
            for outcome in _name(pipeline, alarms, pending.pop(0)):
                library, named = outcome.library, named + 1
                alarms += [outcome.alarm] if outcome.alarm else []
        blocks += [
            replace(block, windows=replace(block.windows, values=_NOTHING, shown=None))
            for block in step.scores
            if block.windows.machine == recording.name
        ]
        done += len(frame.rows)
        progress(done)
    played = _lay_out(recording, blocks=blocks, alarms=alarms, profile=profile, library=library, named=named)
    return replace(played, cycles=cycles.told())


def _name(pipeline: Pipeline, alarms: Sequence[Alarm], record: FailureRecord) -> list[Labelled]:
    """Name the alarms that the record overlaps; those that are no longer kept stay as they are."""
    latest = {alarm.id: alarm for alarm in alarms}.values()
    met = [
        alarm.id
        for alarm in latest
        if alarm.onset_ns < record.end_ns and (alarm.closed_ns is None or alarm.closed_ns >= record.start_ns)
    ]
    outcomes = [pipeline.label(record.machine, alarm=alarm, fault=record.fault) for alarm in met]
    return [outcome for outcome in outcomes if isinstance(outcome, Labelled)]


_NOTHING = np.empty((0, 0, 0), np.float32)


def _no_bytes(_: Delivery) -> Reject:
    return Reject("no_source")


def _frames(
    recording: Recording, *, rows: int, ends_ns: Sequence[int] = (), size: int = _BLOCK_ROWS
) -> Iterator[Frame]:
    """The rows in blocks; one ends with the first row at or after each of `ends_ns`."""
    times = row_times_ns(recording)
    cuts = np.searchsorted(times[:rows], np.array(ends_ns, np.int64), side="left") + 1
    starts = sorted({0, *range(0, rows, size), *cuts[cuts < rows].tolist()})
    for start, end in zip(starts, [*starts[1:], rows], strict=True):
        part = slice(start, end)
        yield Frame(recording.name, recording.channels, times[part].tolist(), recording.values[part])


def row_times_ns(recording: Recording) -> NDArray[np.int64]:
    """Event times [R]: the recording's own, those that do not rise spread up to the next; a second a row without."""
    if recording.times_ns is None:
        return np.arange(len(recording.values), dtype=np.int64) * _SECOND_NS
    times, _ = rising(recording.times_ns)
    return times


def _lay_out(
    recording: Recording,
    *,
    blocks: list[ScoreBlock],
    alarms: list[Alarm],
    profile: Profile,
    library: FaultLibrary,
    named: int,
) -> Replay:
    """Windows back onto rows."""
    count = len(recording.values)
    times = row_times_ns(recording)
    ends = np.concatenate([block.windows.end_rows for block in blocks] or [np.empty(0, np.int64)])
    value = np.concatenate([block.value for block in blocks] or [np.empty(0, np.float32)])
    shares = np.concatenate(
        [block.contributions for block in blocks] or [np.empty((0, len(profile.channels)), np.float32)]
    )
    newest = np.searchsorted(ends, np.arange(count), side="right")  # windows that had ended at each row
    own = [alarm for alarm in alarms if alarm.machine == recording.name]
    open_rows, loud, fault = _alarm_rows(own, times)
    return Replay(
        score=np.concatenate([[np.float32(0)], value])[newest],
        score_aligned=_align(ends, value, count=count),
        alarm=open_rows,
        loud=loud,
        fault=fault,
        channels=profile.channels,
        contributions=np.concatenate([np.zeros((1, shares.shape[1]), np.float32), shares])[newest],
        alarms=tuple(alarms),
        profile=profile,
        library=library,
        named=named,
    )


def _align(ends: NDArray[np.int64], value: Float32, *, count: int) -> Float32:
    """Mean of the windows that cover each row; the nearest window's score where none does."""
    if len(ends) == 0:
        return np.zeros(count, np.float32)
    rows = np.arange(count)
    first = np.searchsorted(ends, rows, side="left")
    past = np.searchsorted(ends, rows + _COVER_ROWS - 1, side="right")
    total = np.concatenate([[0.0], np.cumsum(value, dtype=np.float64)])
    covered = np.maximum(past - first, 1)
    nearest = value[np.minimum(first, len(value) - 1)]
    mean = (total[past] - total[first]) / covered
    return np.where(past > first, mean, nearest).astype(np.float32)


def _alarm_rows(
    alarms: list[Alarm], times: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.str_]]:
    """Rows at which an alarm was open, at which it was loud, and what it was called, from what was published alone."""
    fault = np.full(len(times), "", dtype=object)
    is_open, loud = np.zeros(len(times), np.bool_), np.zeros(len(times), np.bool_)
    for alarm in alarms:
        start = int(np.searchsorted(times, alarm.time_ns))
        is_open[start:] = alarm.state == "open"
        loud[start:] = alarm.state == "open" and not alarm.unsettled
        fault[start:] = alarm.fault if alarm.state == "open" else ""
    return is_open, loud, fault.astype(np.str_)
