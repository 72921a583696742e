"""Was the machine left in peace, and was its fault found: counting alone, the same for every method.

The rules: what an alarm says before the learning ends does not count. The fault's time is its label and, after it, as
long as one window lasts, since a window still holds the fault then. An incident that begins outside of it is false;
however often it returns, it is one. The fault is found by an alarm that opens in that time and was not open before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.everyday.trial import WINDOW_ROWS, Episode, Heard
from edge_agent.recordings.replay import row_times_ns
from edge_agent.recordings.tables import Recording

WEEK_S = 7 * 24 * 3600.0
MOST_FALSE_A_WEEK = 1.0
MOST_IN_ALARM = 0.005
_TOLD = 40  # false incidents that are written down one by one


@dataclass(frozen=True, slots=True)
class _Truth:
    """When the fault was, and what is calm.

    Attributes:
        judged_ns: the learning's end; what is said before does not count.
        fault_ns: [start, end) of the fault's time, or None where nothing is labelled.
        times_ns, calm: rows after the learning and whether they are calm, [R].
    """

    judged_ns: int
    fault_ns: tuple[int, int] | None
    times_ns: NDArray[np.int64]
    calm: NDArray[np.bool_]
    period_s: float

    def of_fault(self, time_ns: int) -> bool:
        """Whether it is the fault's time."""
        return self.fault_ns is not None and self.fault_ns[0] <= time_ns < self.fault_ns[1]


def judge(heard: Heard, recording: Recording, *, learn_rows: int) -> dict[str, Any]:
    """What a method made of one recording.

    Returns:
        `false`: incidents; `weeks`: of calm time; `in_alarm`: share of the calm time; `found`, None without a fault;
        `delay_min` after the label's first row; `peak`: highest score in the fault's time; `calm_peak`: in the other;
        `notices`: how many, by their words; `told`: the false incidents and the notices one by one.
    """
    truth = _truth(recording, learn_rows=learn_rows)
    incidents = [one for one in heard.episodes if one.is_incident and one.spells]
    false = [one for one in incidents if truth.judged_ns <= one.spells[0][0] and not _of_fault(one, truth)]
    openings = [start for one in incidents for start, _ in one.spells if truth.of_fault(start)]
    is_open = np.zeros(len(truth.times_ns), np.bool_)
    for one in incidents:
        for start, end in one.spells:
            is_open |= (truth.times_ns >= start) & (truth.times_ns < end)
    notices = [one for one in heard.episodes if not one.is_incident and one.spells]
    notices = [one for one in notices if one.spells[0][0] >= truth.judged_ns]
    at_fault = np.array([truth.of_fault(time) for time in heard.times_ns.tolist()], np.bool_)
    calm = heard.score[~at_fault & (heard.times_ns >= truth.judged_ns)]
    weeks = float(truth.calm.sum()) * truth.period_s / WEEK_S
    told: dict[str, Any] = {
        "false": len(false),
        "weeks": round(weeks, 3),
        "false_a_week": round(len(false) / weeks, 3) if weeks else 0.0,
        "in_alarm": round(float(is_open[truth.calm].mean()), 5) if truth.calm.any() else 0.0,
        "found": None if truth.fault_ns is None else bool(openings),
        "delay_min": None,
        "peak": round(float(heard.score[at_fault].max()), 3) if at_fault.any() else None,
        "calm_peak": round(float(calm.max()), 3) if len(calm) else None,
        "notices": _by_words(notices),
        "told": [_told(one) for one in [*false, *notices][:_TOLD]],
    }
    if truth.fault_ns is not None and openings:
        told["delay_min"] = round((min(openings) - truth.fault_ns[0]) / 60e9, 1)
    if heard.failures:
        told["failures"] = sorted(set(heard.failures))
    return told


def kept(told: Mapping[str, Any]) -> bool:
    """Whether the goal is reached: in peace, and the fault found."""
    at_rest = told["false_a_week"] <= MOST_FALSE_A_WEEK and told["in_alarm"] <= MOST_IN_ALARM
    return bool(at_rest and told["found"] is not False)


def _truth(recording: Recording, *, learn_rows: int) -> _Truth:
    times = row_times_ns(recording)
    period_ns = float(np.median(np.diff(times)))
    label = np.zeros(len(times), np.bool_) if recording.label is None else np.asarray(recording.label) > 0
    label[:learn_rows] = False
    fault_ns = None
    if label.any():
        rows = np.flatnonzero(label)
        fault_ns = int(times[rows[0]]), int(times[rows[-1]] + (WINDOW_ROWS + 1) * period_ns)
    after = times[learn_rows:]
    calm = np.ones(len(after), np.bool_)
    if fault_ns is not None:
        calm = (after < fault_ns[0]) | (after >= fault_ns[1])
    return _Truth(int(after[0]), fault_ns, after, calm, period_ns / 1e9)


def _of_fault(one: Episode, truth: _Truth) -> bool:
    return truth.of_fault(one.spells[0][0])


def _by_words(notices: list[Episode]) -> dict[str, int]:
    words = [one.words for one in notices]
    return {word: words.count(word) for word in sorted(set(words))}


def _told(one: Episode) -> dict[str, Any]:
    begins = datetime.fromtimestamp(one.spells[0][0] / 1e9, UTC)
    length = sum(end - start for start, end in one.spells) / 60e9
    return {
        "at": f"{begins:%a %d %H:%M}",
        "minutes": round(length, 1),
        "spells": len(one.spells),
        "peak": round(one.peak, 2),
        "channel": one.channel,
        "what": one.words,
    }
