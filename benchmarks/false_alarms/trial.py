"""One simulated machine under several rules: its windows are scored once, and each rule judges the same scores."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.baselines import BASELINES, in_normal_scales, with_own_limit
from benchmarks.false_alarms.machines import DAY_ROWS, PERIOD_S, SIZES, Shift, machine, shifted
from benchmarks.false_alarms.threshold_rules import RULES
from edge_agent.commissioning import baseline
from edge_agent.commissioning.settings import BudgetSettings
from edge_agent.detect.scorer import Scorer
from edge_agent.detect.trigger import Trigger, on_delay_windows
from edge_agent.detect.view_scales import LENGTHS_ROWS
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.recordings.replay import commission_recording, row_times_ns
from edge_agent.recordings.tables import Recording
from edge_agent.records import Delivery, Frame, Profile, Reject, ScoreBlock, WindowBlock
from edge_agent.signals.settings import WindowSettings

SETTINGS = PipelineSettings(window=WindowSettings(hop_s=60.0))
STILL = replace(SETTINGS, budget=BudgetSettings(follow_drift=False))
DAYS = 28
WEEK_S = 7 * 24 * 3600
BLOCK_ROWS = 1024
# Windows until every row of one has been replaced.
SPAN_WINDOWS = -(-LENGTHS_ROWS[-1] * PERIOD_S // int(SETTINGS.window.hop_s))
RIVALS = ("PCA T2 + SPE", "k-means on z-scored windows")
SHIPPED, UNMOVED = "edge-agent", "edge-agent, threshold never moved"
TRIGGER = replace(
    SETTINGS.trigger,
    on_delay_windows=on_delay_windows(SETTINGS.on_delay, hop_ns=round(SETTINGS.window.hop_s * 1e9)),
)
_LEAST_LIMIT = 1e-12
Known = dict[int, NDArray[np.float32]]


class Recorded:
    """Stands in for the scorer: gives the scores that it gave before."""

    def __init__(self, scorer: Scorer, known: Known) -> None:
        """Take [3] scores of windows by their last row."""
        self.bundle, self.window_rows, self.judge = scorer.bundle, scorer.window_rows, scorer.judge
        self._known = known

    def score(self, blocks: Sequence[WindowBlock], profiles: Sequence[Profile]) -> list[ScoreBlock]:
        """The recorded scores of the blocks' windows."""
        return [
            _told(block, profile, np.stack([self._known[row] for row in block.end_rows.tolist()]))
            for block, profile in zip(blocks, profiles, strict=True)
        ]


def simulate(
    seed: int, *, drift: bool, scorer: Scorer, others: Mapping[str, Scorer] | None = None
) -> list[dict[str, Any]]:
    """One machine: what each rule made of its normal weeks and of its shifts.

    Args:
        seed: of the machine.
        drift: whether it drifts.
        scorer: the model.
        others: what else learns and watches it, by name, behind the same pipeline; None: the rules stand alone, without
            baselines.
    """
    normal = machine(seed, days=DAYS, drift=drift)
    faulty, shifts = shifted(normal, seed)
    heard: dict[str, tuple[list[int], list[int], float | None]] = {}
    for name, each in {SHIPPED: scorer, **(others or {})}.items():
        profile, calm = learn(normal, scorer=each)
        known, anew = watched(normal, faulty, shifts, profile=profile, scorer=each)
        false, ratio = played(normal, profile, Recorded(each, known))
        heard[name] = false, played(faulty, profile, Recorded(each, anew))[0], ratio
        if name == SHIPPED:
            for rule, limits in {UNMOVED: np.ones(calm.shape[1]), **by_rule(calm)}.items():
                heard[rule] = opened(known, limits), opened(anew, limits), None
    for name in RIVALS if others is not None else ():
        heard[name] = *(by_baseline(name, each) for each in (normal, faulty)), None
    return [
        {
            "seed": seed,
            "drift": drift,
            "rule": name,
            "false_alarms_a_week": round(len(false) * 7 / (DAYS - 1), 3),
            "ratio_at_end": ratio,
            "shifts": tallied([found(shift, raised) for shift in shifts]),
        }
        for name, (false, raised, ratio) in heard.items()
    ]


def watched(
    normal: Recording, faulty: Recording, shifts: Sequence[Shift], *, profile: Profile, scorer: Scorer
) -> tuple[Known, Known]:
    """Scores of all windows of the normal weeks, and of the same weeks with shifts."""
    known = scores_of(normal, profile=profile, scorer=scorer, rows=np.ones(len(normal.values), bool))
    touched = np.zeros(len(normal.values), bool)
    for shift in shifts:
        touched[shift.start : shift.end + scorer.window_rows] = True
    return known, known | scores_of(faulty, profile=profile, scorer=scorer, rows=touched)


def by_rule(calm: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Each rule's thresholds of the parts of the score, by normal windows [W, P], in units of the agent's own."""
    in_a_week = WEEK_S / SETTINGS.window.hop_s
    return {name: np.array([rule(part, in_a_week) for part in calm.T]) for name, rule in RULES.items()}


def opened(known: Known, limits: NDArray[np.float64]) -> list[int]:
    """Rows after the first day at which alarms opened, by thresholds of the parts [P] that stay where they are.

    The newest rows keep the agent's own threshold.
    """
    trigger, rows = Trigger(TRIGGER), []
    for row in sorted(known):
        if row < DAY_ROWS:
            continue
        value = float((known[row][:-1] / limits).max())
        if trigger.step(value, recent=float(known[row][-1]), span_windows=SPAN_WINDOWS) == "raised":
            rows.append(row)
    return rows


def by_baseline(name: str, recording: Recording) -> list[int]:
    """Rows after the first day at which a baseline opened alarms at its own 99 % point, behind the agent's trigger."""
    rows = in_normal_scales(recording.values, DAY_ROWS)
    raw, limit = with_own_limit(BASELINES[name], rows, normal_rows=DAY_ROWS)
    score = raw / max(limit, _LEAST_LIMIT)
    hop = round(SETTINGS.window.hop_s / PERIOD_S)
    judged = range(DAY_ROWS + hop - 1, len(score), hop)
    return opened({row: np.repeat(score[row], 2) for row in judged}, np.ones(1))


def learn(normal: Recording, *, scorer: Scorer) -> tuple[Profile, NDArray[np.float64]]:
    """The machine's profile, and what the held-out normal windows scored in each part, [W, 2], 1 the threshold."""
    seen: list[NDArray[np.float64]] = []
    own = baseline._limits  # noqa: SLF001 - where normal scores and thresholds meet

    def listen(*given: Any, **how: Any) -> Any:
        thresholds, over = own(*given, **how)
        seen.append(np.asarray(over, np.float64))
        return thresholds, over

    with mock.patch.object(baseline, "_limits", listen):
        profile = commission_recording(normal, rows=DAY_ROWS, scorer=scorer, settings=SETTINGS)
    (calm,) = seen
    return profile, calm


def scores_of(recording: Recording, *, profile: Profile, scorer: Scorer, rows: NDArray[np.bool_]) -> Known:
    """Scores [3] of the windows that end in the chosen rows, by their last row, as the agent cuts and scores them."""
    pipeline = Pipeline(decode=no_bytes, scorer=_Chosen(scorer, rows), settings=STILL, profiles=[profile])
    known: Known = {}
    for frame in frames(recording):
        for block in pipeline.feed([frame]).scores:
            told = np.column_stack([block.value if block.parts is None else block.parts, block.recent])
            known |= dict(zip(block.windows.end_rows.tolist(), told, strict=True))
    return known


class _Chosen:
    """Stands before the scorer: lets only windows through that end in chosen rows."""

    def __init__(self, scorer: Scorer, rows: NDArray[np.bool_]) -> None:
        self.bundle, self.window_rows, self.judge = scorer.bundle, scorer.window_rows, None
        self._scorer, self._rows = scorer, rows

    def score(self, blocks: Sequence[WindowBlock], profiles: Sequence[Profile]) -> list[ScoreBlock]:
        (block,) = blocks
        keep = self._rows[block.end_rows]
        keep[-1] = True  # a block is never empty
        values, rows, times = block.values[keep], block.end_rows[keep], block.times_ns[keep]
        chosen = replace(block, values=values, end_rows=rows, times_ns=times, shown=None)
        return self._scorer.score([chosen], profiles)


def _told(block: WindowBlock, profile: Profile, scores: NDArray[np.float32]) -> ScoreBlock:
    """Scores [B, 3] as the scorer would tell them; what no alarm depends on is left blank."""
    n_windows, n_channels = len(scores), len(profile.channels)
    return ScoreBlock(
        windows=block,
        channels=profile.channels,
        value=scores[:, :-1].max(axis=1),
        recent=scores[:, -1],
        contributions=np.full((n_windows, n_channels), 1.0 / n_channels, np.float32),
        expected=block.values[:, :, -1],
        classes=np.empty((n_windows, 0), np.float32),
        parts=scores[:, :-1],
    )


def played(recording: Recording, profile: Profile, scorer: Recorded) -> tuple[list[int], float | None]:
    """Rows after the first day at which the agent's alarms opened, and how far its threshold has moved at the end."""
    pipeline = Pipeline(decode=no_bytes, scorer=scorer, settings=SETTINGS, profiles=[profile])
    alarms = [alarm for frame in frames(recording) for alarm in pipeline.feed([frame]).alarms]
    rows = [alarm.onset_ns // (PERIOD_S * 1_000_000_000) for alarm in alarms if alarm.revision == 1]
    return [row for row in rows if row >= DAY_ROWS], pipeline.statuses()[recording.name].threshold_ratio


def found(shift: Shift, rows: list[int]) -> dict[str, Any]:
    """Whether an alarm opened while the shift lasted, and after how many minutes; one that was open already is none."""
    first = min((row for row in rows if shift.start <= row < shift.end), default=None)
    delay = None if first is None else round((first - shift.start) * PERIOD_S / 60.0, 1)
    return {"size": shift.size, "delay_min": delay}


def tallied(told: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each size of shift: how many there were, how many were found, and the median delay of those in minutes."""
    tally = {}
    for size in SIZES:
        delays = [shift["delay_min"] for shift in told if shift["size"] == size]
        heard = [delay for delay in delays if delay is not None]
        median = float(np.median(heard)) if heard else None
        tally[f"{size:g}"] = {"shifts": len(delays), "found": len(heard), "median_delay_min": median}
    return tally


def frames(recording: Recording) -> Iterator[Frame]:
    """The recording as it would come over the wire, in blocks."""
    times = row_times_ns(recording)
    for start in range(0, len(times), BLOCK_ROWS):
        part = slice(start, start + BLOCK_ROWS)
        yield Frame(recording.name, recording.channels, times[part].tolist(), recording.values[part])


def no_bytes(_: Delivery) -> Reject:
    """A recording needs no decoding."""
    return Reject("no_source")
