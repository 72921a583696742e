"""What was said of a machine, held against what was injected: incidents a fault, minutes shown as normal, onsets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.incidents.plans import AFTER_ROWS, Plan
from simulator import Injection


@dataclass(frozen=True, slots=True)
class Word:
    """One revision of an alarm of the machine itself; rows count from the plan's first row.

    Attributes:
        row: when it was said. onset_row: since when the incident lasts, as it says.
    """

    id: str
    row: int
    onset_row: int
    is_open: bool
    unsettled: bool
    reopened: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What the agent says of a machine.

    Attributes:
        words: every revision, in order.
        loud_rows: in which rows a window ended that was above the threshold, whatever came of it; None: not known.
    """

    words: Sequence[Word]
    loud_rows: Sequence[int] | None = None


def verdict(
    plan: Plan, heard: Heard, *, twin: Heard | None = None, alone: Sequence[Heard] = ()
) -> dict[str, Any]:
    """The figures of one machine.

    Args:
        plan: what happened to it.
        heard: what was said of it.
        twin: the same where nothing waited to be learnt, if anything did.
        alone: of each of a pair of faults, what was said where the other one was left out.
    """
    words = heard.words
    first, last = plan.faults[0], plan.faults[-1]
    told: dict[str, Any] = {"machine": plan.name, "question": plan.question}
    end = last.end_row or plan.rows
    during = [word for word in words if first.start_row <= word.row < end + AFTER_ROWS]
    began = {word.id: word for word in reversed(words)}
    told["false"] = sum(word.row < first.start_row for word in began.values())
    incidents = [word for word in began.values() if first.start_row <= word.row < end + AFTER_ROWS]
    found = next((word for word in during if word.is_open and word.row < end), None)
    told["found"] = found is not None
    if found is None:
        return told
    if plan.question == "pair":
        return told | _pair(plan, [word for word in incidents if word.row < end], alone)
    return told | {
        "incidents": max(len(incidents), 1),
        "came_back": max(word.reopened for word in during),
        "normal_minutes": round(_normal_rows(words, since=found.row, end=end) / 60, 2),
        "onset_s": found.onset_row - first.start_row,
        "told_s": found.row - first.start_row,
        "onset_beyond_s": _beyond(found, first, heard if twin is None else twin),
        "waited": twin is not None,
    }


def _pair(plan: Plan, incidents: Sequence[Word], alone: Sequence[Heard]) -> dict[str, Any]:
    """Whether the second fault has an incident of its own, and whether each of the two is seen where it comes alone."""
    first, second = plan.faults
    between = (first.end_row or 0) + 1
    seen = [
        any(word.is_open and fault.start_row <= word.row < (fault.end_row or 0) for word in one.words)
        for fault, one in zip(plan.faults, alone, strict=True)
    ]
    own = any(word.onset_row >= between and word.row >= second.start_row for word in incidents)
    return {"both_seen": all(seen), "apart": own, "incidents": len(incidents)}


def _normal_rows(words: Sequence[Word], *, since: int, end: int) -> int:
    """Rows in which no incident was open, between its first word and the fault's end."""
    open_ids: set[str] = set()
    normal, at = 0, since
    for word in words:
        row = min(max(word.row, since), end)
        normal += 0 if open_ids else row - at
        at = row
        if word.is_open:
            open_ids.add(word.id)
        else:
            open_ids.discard(word.id)
    return normal + (0 if open_ids else end - at)


def _beyond(found: Word, fault: Injection, told: Heard) -> int | None:
    """How far the onset lies from the first window above the threshold since the fault began.

    That window is the detector's own delay: before it nothing that sees the score can know of the fault.
    """
    known = next((row for row in told.loud_rows or () if row >= fault.start_row), None)
    return None if known is None else abs(found.onset_row - known)


def summarised(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of all machines: what the goals are about."""
    constant = [row for row in rows if row["question"] == "constant"]
    heard = [row for row in constant if row["found"]]
    pairs = [row for row in rows if row["question"] == "pair" and row.get("both_seen")]
    late = [row for row in rows if row.get("waited")]
    return {
        "faults": len(constant),
        "found": len(heard),
        "incidents_a_fault": _mean([row["incidents"] for row in heard]),
        "most_incidents": max((row["incidents"] for row in heard), default=None),
        "came_back_a_fault": _mean([row["came_back"] for row in heard]),
        "normal_minutes": round(sum(row["normal_minutes"] for row in heard), 2),
        "machines_shown_normal": sum(row["normal_minutes"] > 0 for row in heard),
        "onset_s": _quantiles([row["onset_s"] for row in heard]),
        "told_s": _quantiles([row["told_s"] for row in heard]),
        "onset_beyond_s": _quantiles(_known(heard, "onset_beyond_s")),
        "late": len(late),
        "late_onset_beyond_s": _quantiles(_known(late, "onset_beyond_s")),
        "pairs_seen": len(pairs),
        "pairs_apart": sum(row["apart"] for row in pairs),
        "false": sum(row["false"] for row in rows),
    }


def _known(rows: Sequence[dict[str, Any]], figure: str) -> list[float]:
    return [row[figure] for row in rows if row[figure] is not None]


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None


def _quantiles(values: Sequence[float]) -> dict[str, float] | None:
    """Median and 90 % point."""
    if not values:
        return None
    ordered = sorted(values)
    return {
        "median": ordered[len(ordered) // 2],
        "p90": ordered[min(len(ordered) * 9 // 10, len(ordered) - 1)],
    }
