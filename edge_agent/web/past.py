"""The past as documents: what closed, how a machine did before, what an alarm looks like. For requests' threads.

The history answers where it can; where it cannot, the documents say so and hold what the agent remembers itself.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from edge_agent.alarms import payload
from edge_agent.errors import DatabaseError
from edge_agent.records import Alarm, Float32
from edge_agent.store.history import incident as incidents
from edge_agent.store.history.curves import PastCurve
from edge_agent.store.history.incident import Amendment, Entry, Forgotten, Incident
from edge_agent.store.history.reader import HistoryReader, SimilarIncident
from edge_agent.web.documents import agent
from edge_agent.web.incident_table import csv_text
from edge_agent.web.view import View

LISTED = 30
EXPORTED = 10_000
"""Incidents in one file for spreadsheets, the latest; `alarms history --csv` has all."""
_ALIKE = 3
_REMEMBERED = 64
_DAY_S = 86_400
SPANS: Mapping[str, tuple[int, int, int]] = {
    "near": (600, 60, _DAY_S),
    "day": (_DAY_S, 300, _DAY_S),
    "week": (7 * _DAY_S, 3600, 7 * _DAY_S),
    "month": (30 * _DAY_S, 7200, 0),
}
"""How long each is, its stretches, and how much earlier the same time before lies; 0: none is shown. Seconds."""


class PastPages:
    """One agent's past."""

    def __init__(self, reader: HistoryReader, *, wall_s: Callable[[], float]) -> None:
        self._reader = reader
        self._wall_s = wall_s
        self._alike: dict[tuple[str, int, int], list[dict[str, Any]]] = {}

    def listed(self, view: View, machine: str | None = None) -> dict[str, Any]:
        """The latest that closed, of a machine or of all: keys that take the place of those of memory."""
        try:
            kept = self._reader.incidents(machine, limit=LISTED + len(view.waiting))
            count, facts = self._reader.count(machine), self._reader.facts()
        except DatabaseError as error:
            return {"history_note": f"Only what is remembered since the start is shown: {error.reason}."}
        if not kept and not view.waiting and view.past_count:
            return {}  # it was only just begun, or cannot be
        open_now = {record.alarm.id for record in view.records}
        mine = [one for one in view.waiting if machine is None or _machine_of(one) in (machine, "")]
        found = _with_waiting(kept, mine)
        new = len(found) - len(kept)
        closed = [one for one in found if one.id not in open_now]
        return {
            "history": [_item(one) for one in closed[:LISTED]],
            "history_count": count + new - (len(found) - len(closed)),
            "history_note": f"It begins anew: {facts['begun']}." if "begun" in facts else "",
        }

    def table(self, view: View) -> bytes | None:
        """What closed as CSV, the latest last, in UTF-8 with the mark that spreadsheets know it by.

        None where the history cannot be read.
        """
        try:
            kept = self._reader.incidents(limit=EXPORTED)
        except DatabaseError:
            return None
        open_now = {record.alarm.id for record in view.records}
        closed = [one for one in _with_waiting(kept, view.waiting) if one.id not in open_now]
        return csv_text(closed[:EXPORTED][::-1]).encode("utf-8-sig")

    def alike(self, view: View, machine: str) -> list[dict[str, Any]]:
        """What the machine's open alarm looks most like; nothing where it has none."""
        calls, closeup = view.calls.get(machine), view.closeups.get(machine)
        if calls is None or calls.record is None or closeup is None:
            return []
        alarm, status = calls.record.alarm, view.machines[machine]
        return self._similar(alarm, family=incidents.family_of(status.channels), kin=closeup.kin)

    def curve(self, span: str, machine: str) -> bytes | None:
        """How the machine did in a span up to now, beside the same time before; None for a span that is not known."""
        if span not in SPANS:
            return None
        long_s, stretch_s, earlier_s = SPANS[span]
        end_s = int(self._wall_s()) + 1
        start_s = end_s - long_s
        try:
            with_channels = span != "near"
            now = self._reader.curve(
                machine, start_s=start_s, end_s=end_s, stretch_s=stretch_s, channels=with_channels
            )
            before = (
                self._reader.curve(
                    machine, start_s=start_s - earlier_s, end_s=end_s - earlier_s, stretch_s=stretch_s
                )
                if earlier_s
                else None
            )
        except DatabaseError as error:
            return msgspec.json.encode({"span": span, "kept": False, "why": error.reason})
        if now is None:
            return msgspec.json.encode({"span": span, "kept": False, "why": "nothing was kept yet"})
        return msgspec.json.encode(
            {
                "span": span,
                "kept": True,
                "from": start_s,
                "to": end_s,
                "stretch_s": stretch_s,
                "earlier_s": earlier_s,
                **_points(now),
                "before": None if before is None else _points(before),
                "channels": {
                    name: dict(zip(("mean", "low", "high"), map(figures, values.T), strict=True))
                    for name, values in now.channels.items()
                },
            }
        )

    def incident(self, view: View, name: str) -> bytes | None:
        """One incident with all that is kept of it; None where it is not."""
        try:
            kept = self._reader.incident(name)
            found = _with_waiting(
                () if kept is None else (kept,), [one for one in view.waiting if one.id == name]
            )
            alike = [] if not found else self._similar(found[0].worst, family=found[0].family)
        except DatabaseError:
            found, alike = _with_waiting((), [one for one in view.waiting if one.id == name]), []
        if not found:
            return None
        told = found[0]
        return msgspec.json.encode(
            {
                **agent(view),
                "incident": {
                    **_item(told),
                    "ended": told.ended,
                    "worst": payload.rfc3339(told.worst.time_ns),
                    "channels": payload.to_payload(told.worst, agent=view.agent, zone=view.zone)["channels"],
                    "actions": [
                        {
                            "time": payload.rfc3339(one.time_ns),
                            "what": one.what,
                            "by": one.by,
                            "comment": one.comment,
                            "fault": one.fault,
                        }
                        for one in told.actions
                    ],
                    "curve": _curve(told),
                    "window": _window(told),
                },
                "alike": alike,
            }
        )

    def _similar(self, alarm: Alarm, *, family: str, kin: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Looked for once a minute and revision: the page asks every other second."""
        key = (alarm.id, alarm.revision, int(self._wall_s()) // 60)
        known = self._alike.get(key)
        if known is None:
            try:
                found = self._reader.similar(alarm, family=family, kin=kin, limit=_ALIKE)
            except DatabaseError:
                return []
            known = self._alike[key] = [_likeness(one) for one in found]
            while len(self._alike) > _REMEMBERED:
                self._alike.pop(next(iter(self._alike)), None)
        return known


def _machine_of(entry: Entry) -> str:
    return entry.alarm.machine if isinstance(entry, Incident) else ""


def _with_waiting(kept: Sequence[Incident], waiting: Iterable[Entry]) -> list[Incident]:
    """What is kept and what waits to be, as one list, the latest first."""
    found = {one.id: one for one in kept}
    for entry in waiting:
        if isinstance(entry, Forgotten):
            found = {name: one for name, one in found.items() if one.alarm.machine != entry.machine}
            continue
        known = found.get(entry.id)
        if isinstance(entry, Amendment):
            if known is not None:
                found[entry.id] = incidents.amended(known, entry.action)
        else:
            found[entry.id] = entry if known is None else incidents.joined(known, entry)
    return sorted(found.values(), key=lambda one: one.closed_ns, reverse=True)


def _item(one: Incident) -> dict[str, Any]:
    """An incident in a list; its keys are those of what memory knows, and more."""
    seen = next((action for action in reversed(one.actions) if action.what in ("ack", "accept")), None)
    comment = next((action.comment for action in reversed(one.actions) if action.comment), "")
    return {
        "id": one.id,
        "machine": one.alarm.machine,
        "severity": one.alarm.severity,
        "onset": payload.rfc3339(one.alarm.onset_ns),
        "closed": payload.rfc3339(one.closed_ns),
        "acknowledged_by": None if seen is None else seen.by,
        "comment": comment,
        "fault": one.fault,
        "finding": _finding(one),
        "summary": "" if one.partial else one.summary,
        "peak": None if one.partial else _figure(one.peak_score),
        "reopened": one.alarm.reopened,
        "kept": not one.partial,
    }


def _finding(one: Incident) -> str:
    """What was wrong with which sensor, or which state of the machine it was; empty where it was an alarm of it."""
    alarm = one.worst
    if alarm.kind == "machine" or one.partial:
        return one.summary if one.partial else ""
    if alarm.kind == "state":
        return f"notice: {alarm.fault}"
    return f"{', '.join(channel.name for channel in alarm.channels) or 'source'}: {alarm.fault}"


def _likeness(one: SimilarIncident) -> dict[str, Any]:
    return {**_item(one.incident), "likeness": round(one.likeness, 2)}


def _points(curve: PastCurve) -> dict[str, Any]:
    return {"start": curve.start_s, "scores": figures(curve.scores)}


def _curve(one: Incident) -> dict[str, Any] | None:
    if one.curve is None:
        return None
    values = one.curve.values()
    times = [round(one.curve.start_s + at * one.curve.stretch_s) for at in range(len(values))]
    return {"times": times, "scores": figures(values), "stretch_s": one.curve.stretch_s}


def _window(one: Incident) -> dict[str, Any] | None:
    if one.window is None:
        return None
    values = one.window.values()
    return {
        "time": payload.rfc3339(one.window.time_ns),
        "score": _figure(one.window.score),
        "channels": [
            {"name": name, "rows": figures(values[:, at])} for at, name in enumerate(one.window.channels)
        ],
    }


def figures(values: Float32) -> list[float | None]:
    """To four digits, as many as are drawn; None where there is none."""
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values.tolist()]


def _figure(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
