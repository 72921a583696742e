"""One ordinary machine through the agent's own pipeline, and through baselines with the agent's own trigger.

The machine is heard from its first row on, learnt when it has said enough and scored from then on, as `edge-agent run`
does it; nobody accepts, names or answers anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.baselines import BASELINES, in_normal_scales, with_own_limit
from edge_agent.detect.scorer import Scorer
from edge_agent.detect.trigger import Trigger, on_delay_windows
from edge_agent.detect.view_scales import LENGTHS_ROWS
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.recordings.replay import row_times_ns
from edge_agent.recordings.tables import Recording
from edge_agent.records import Alarm, Delivery, Frame, Reject
from edge_agent.signals.settings import WindowSettings

RIVALS = ("PCA T2 + SPE", "k-means on z-scored windows")
WINDOW_ROWS = LENGTHS_ROWS[-1]
_BLOCK_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Episode:
    """An incident of the machine, or a notice of it, from its first word to its last.

    Attributes:
        spells: when it was open, [start, end) in nanoseconds each; an incident that returns has several.
        peak: highest score.
        channel: the guiltiest at its worst.
        words: kind and severity, for instance "machine/critical".
    """

    id: str
    spells: tuple[tuple[int, int], ...]
    peak: float
    channel: str
    words: str

    @property
    def is_incident(self) -> bool:
        """Whether the machine counts as anomalous for it."""
        kind, _, severity = self.words.partition("/")
        return kind == "machine" and severity != "notice"


@dataclass(frozen=True, slots=True)
class Heard:
    """What a method said of a recording after it had learnt.

    Attributes:
        episodes: in order of their first word.
        times_ns, score: of each window, [W].
        failures: exceptions that the pipeline contained: bugs.
    """

    episodes: tuple[Episode, ...]
    times_ns: NDArray[np.int64]
    score: NDArray[np.float64]
    failures: tuple[str, ...] = ()


def hear(recording: Recording, *, learn_rows: int, scorer: Scorer, hop_rows: int) -> Heard:
    """The agent, every `hop_rows`-th row scored.

    Raises:
        CommissionError: nothing can be learnt from the first rows.
    """
    settings = settings_for(recording, learn_rows=learn_rows, hop_rows=hop_rows)
    pipeline = Pipeline(decode=_no_bytes, scorer=scorer, settings=settings)
    said: list[Alarm] = []
    times, scores, failures = [], [], []
    for frame in _frames(recording, learn_rows=learn_rows):
        step = pipeline.feed([frame])
        for request in step.commissions:
            pipeline.install(learn(request, scorer=scorer, settings=settings))
        said += [*step.alarms, *step.findings]
        failures += [failure.error for failure in step.failures]
        times += [block.windows.times_ns for block in step.scores]
        scores += [block.value for block in step.scores]
    end_ns = int(row_times_ns(recording)[-1])
    return Heard(
        episodes=episodes(said, end_ns=end_ns),
        times_ns=np.concatenate([np.empty(0, np.int64), *times]),
        score=np.concatenate([np.empty(0), *scores]),
        failures=tuple(failures),
    )


def settings_for(recording: Recording, *, learn_rows: int, hop_rows: int) -> PipelineSettings:
    """The product's defaults, but for what is learnt from and how often is scored."""
    period_s = float(np.median(np.diff(row_times_ns(recording)))) / 1e9
    return PipelineSettings(commission_rows=learn_rows, window=WindowSettings(hop_s=hop_rows * period_s))


def episodes(said: list[Alarm], *, end_ns: int) -> tuple[Episode, ...]:
    """Revisions of alarms and findings, in the order in which they were published, put together by their ids."""
    by_id: dict[str, list[Alarm]] = {}
    for alarm in said:
        by_id.setdefault(alarm.id, []).append(alarm)
    return tuple(_episode(revisions, end_ns=end_ns) for revisions in by_id.values())


def _episode(revisions: list[Alarm], *, end_ns: int) -> Episode:
    spells: list[tuple[int, int]] = []
    since: int | None = None
    for alarm in revisions:
        if alarm.state == "open" and since is None:
            since = alarm.time_ns
        elif alarm.state == "closed" and since is not None:
            spells.append((since, alarm.time_ns))
            since = None
    if since is not None:
        spells.append((since, end_ns))
    worst = max(revisions, key=lambda alarm: alarm.score)
    channel = next((one.channels[0].name for one in (worst, *revisions) if one.channels), "")
    return Episode(
        id=revisions[0].id,
        spells=tuple(spells),
        peak=max(alarm.peak_score for alarm in revisions),
        channel=channel,
        words=f"{revisions[-1].kind}/{revisions[-1].severity}",
    )


def rival(name: str, recording: Recording, *, learn_rows: int, hop_rows: int) -> Heard:
    """A baseline by its own 99 % point, through the agent's trigger."""
    rows = in_normal_scales(recording.values, learn_rows)
    raw, limit = with_own_limit(BASELINES[name], rows, normal_rows=learn_rows)
    score = raw / max(limit, 1e-12)
    times = row_times_ns(recording)
    settings = settings_for(recording, learn_rows=learn_rows, hop_rows=hop_rows)
    delay = on_delay_windows(settings.on_delay, hop_ns=round(settings.window.hop_s * 1e9))
    trigger = Trigger(replace(settings.trigger, on_delay_windows=delay))
    span = -(-WINDOW_ROWS // hop_rows)
    scored = np.arange(learn_rows + hop_rows - 1, len(score), hop_rows)
    found: list[Episode] = []
    first, peak = None, 0.0
    for row in scored.tolist():
        value = float(score[row])
        state = trigger.step(value, recent=value, span_windows=span)
        if state == "raised":
            first, peak = row, value
        peak = max(peak, value)
        if first is not None and (state == "cleared" or row == scored[-1]):
            spell = (int(times[first]), int(times[row]))
            found.append(Episode(str(len(found)), (spell,), peak, "", "machine/warning"))
            first = None
    return Heard(tuple(found), times[scored], score[scored])


def _frames(recording: Recording, *, learn_rows: int) -> Iterator[Frame]:
    """The rows in blocks, one of which ends with the last row that is learnt."""
    times, count = row_times_ns(recording), len(recording.values)
    starts = sorted({*range(0, learn_rows, _BLOCK_ROWS), *range(learn_rows, count, _BLOCK_ROWS)})
    for start, end in zip(starts, [*starts[1:], count], strict=True):
        part = slice(start, end)
        yield Frame(recording.name, recording.channels, times[part].tolist(), recording.values[part])


def _no_bytes(_: Delivery) -> Reject:
    return Reject("no_source")
