"""One simulated machine under several rules: its windows are scored once, and each rule judges the same scores."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.false_alarms.machines import DAY_ROWS, PERIOD_S, SIZES, Shift, machine, shifted
from benchmarks.false_alarms.threshold_rules import RULES
from edge_agent.commissioning import baseline
from edge_agent.commissioning.settings import BudgetSettings
from edge_agent.detect.scorer import Scorer
from edge_agent.detect.trigger import Trigger
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
SHIPPED, UNMOVED = "edge-agent", "edge-agent, threshold never moved"
Known = dict[int, NDArray[np.float32]]
Learnt = tuple[NDArray[np.float64], float]


class Recorded:
    """Stands in for the scorer: gives the scores that it gave before."""

    def __init__(self, scorer: Scorer, known: Known) -> None:
        """Take [3] scores of windows by their last row."""
        self.bundle, self.window_rows = scorer.bundle, scorer.window_rows
        self._known = known

    def score(self, blocks: Sequence[WindowBlock], profiles: Sequence[Profile]) -> list[ScoreBlock]:
        """The recorded scores of the blocks' windows."""
        return [
            _told(block, profile, np.stack([self._known[row] for row in block.end_rows.tolist()]))
            for block, profile in zip(blocks, profiles, strict=True)
        ]


def simulate(seed: int, *, drift: bool, scorer: Scorer) -> list[dict[str, Any]]:
    """One machine: what each rule made of its normal weeks and of its shifts."""
    normal = machine(seed, days=DAYS, drift=drift)
    faulty, shifts = shifted(normal, seed)
    profile, learnt = learn(normal, scorer=scorer)
    known = scores_of(normal, profile=profile, scorer=scorer, rows=np.ones(len(normal.values), bool))
    touched = np.zeros(len(normal.values), bool)
    for shift in shifts:
        touched[shift.start : shift.end + scorer.window_rows] = True
    anew = known | scores_of(faulty, profile=profile, scorer=scorer, rows=touched)
    told = []
    for name, limits in {SHIPPED: None, UNMOVED: [1.0] * len(learnt), **by_rule(learnt)}.items():
        if limits is None:
            false, ratio = played(normal, profile, Recorded(scorer, known))
            raised, _ = played(faulty, profile, Recorded(scorer, anew))
        else:
            false, raised, ratio = opened(known, limits), opened(anew, limits), None
        told.append(
            {
                "seed": seed,
                "drift": drift,
                "rule": name,
                "false_alarms_a_week": round(len(false) * 7 / (DAYS - 1), 3),
                "ratio_at_end": ratio,
                "shifts": tallied([found(shift, raised) for shift in shifts]),
            }
        )
    return told


def by_rule(learnt: list[Learnt]) -> dict[str, list[float]]:
    """Each rule's thresholds in units of the learnt ones."""
    in_a_week = WEEK_S / SETTINGS.window.hop_s
    return {name: [rule(scores, in_a_week) / own for scores, own in learnt] for name, rule in RULES.items()}


def opened(known: Known, limits: list[float]) -> list[int]:
    """Rows after the first day at which alarms opened, by thresholds that stay where they are."""
    trigger, rows = Trigger(SETTINGS.trigger), []
    for row in sorted(known):
        *parts, recent = (known[row] / limits).tolist()
        if row < DAY_ROWS:
            continue
        state = trigger.step(max(parts), recent=recent, span_windows=SPAN_WINDOWS)
        if state == "raised":
            rows.append(row)
    return rows


def learn(normal: Recording, *, scorer: Scorer) -> tuple[Profile, list[Learnt]]:
    """The machine's profile; of each part and of the newest rows the normal scores and the threshold of them."""
    seen: list[NDArray[np.float64]] = []
    own = baseline.threshold

    def listen(scores: NDArray[np.float32], **how: float) -> float:
        seen.append(np.asarray(scores, np.float64))
        return own(scores, **how)

    with mock.patch.object(baseline, "threshold", listen):
        profile = commission_recording(normal, rows=DAY_ROWS, scorer=scorer, settings=SETTINGS)
    limits = [*np.ravel(profile.memory["threshold"]).tolist(), float(profile.memory["recent_threshold"])]
    return profile, list(zip(seen, limits, strict=True))


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
        self.bundle, self.window_rows = scorer.bundle, scorer.window_rows
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
