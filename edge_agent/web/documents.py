"""A view as JSON documents of bounded size, which the page's script reads. Pure.

Names and texts that came from outside are passed on as they are: JSON carries them as data, and the script puts them
into text nodes only.
"""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any, Literal, get_args

import msgspec

from edge_agent.alarms import payload
from edge_agent.alarms.state import AlarmState, ClosedAlarm, MachineCalls
from edge_agent.model.bundle import Bundle
from edge_agent.pipeline.notices import LEVEL
from edge_agent.pipeline.programs.cycle_view import CycleView, TimeTaken
from edge_agent.pipeline.results import MachineStatus, MachineView
from edge_agent.records import Float32, Kind, Severity
from edge_agent.sensors.findings import NOT_WATCHED, SourceFinding
from edge_agent.signals.channel_kinds import ChannelKind
from edge_agent.signals.machine_rules import MachineFacts
from edge_agent.web.view import CameraView, Closeup, Curve, Expectation, View

SCHEMA_VERSION = 1
MACHINES_LIMIT = 500
"""More would be no list for people; the rest is a number."""
_TRENDS_LIMIT = 40
_ALARMS_LIMIT = 40
_CHANNELS_LIMIT = 40
"""Channels with their rows, the guiltiest first; the others are named with their latest value only."""
_CARD_LIMIT = 40_000
_DIGITS = 5
_NOT_CALLED = MachineCalls()
_NOTHING_SAID = MachineFacts()
_GRAVITY: tuple[Severity, ...] = get_args(Severity)
_ORDER = ("alarm", "silent", "failed", "learning", "commissioning", "unscored", "normal")
"""What wants to be looked at comes first."""


def state(view: View, past: Mapping[str, Any] | None = None) -> bytes:
    """The overview: every machine, alarms, history, data quality; `past` takes the place of what memory knows."""
    alarms, findings, notices = (_sorted(view, kind) for kind in ("machine", "sensor", "state"))
    told = {name: _machine(view, name, status) for name, status in view.machines.items()}
    order = sorted(told, key=lambda name: (_ORDER.index(told[name]["state"]), name))
    for record in findings:
        if record.alarm.machine in told:
            told[record.alarm.machine]["findings"] += 1
    for name in order[:_TRENDS_LIMIT]:
        told[name]["trend"] = _curve(view.trends.get(name, Curve()))
    counts: dict[str, int] = {}
    for machine in told.values():
        counts[machine["state"]] = counts.get(machine["state"], 0) + 1
    return msgspec.json.encode(
        {
            **agent(view),
            "counts": counts,
            "machine_count": len(told),
            "machines": [{"name": name, **told[name]} for name in order[:MACHINES_LIMIT]],
            "alarm_count": len(alarms),
            "alarms": [_alarm(record, view) for record in alarms[:_ALARMS_LIMIT]],
            "notice_count": len(notices),
            "notices": [_alarm(record, view) for record in notices[:_ALARMS_LIMIT]],
            "pictures": [_alarm(record, view) for record in _sorted(view, "picture")[:_ALARMS_LIMIT]],
            "finding_count": len(findings),
            "findings": [_alarm(record, view) for record in findings[:_ALARMS_LIMIT]],
            "history_count": view.past_count,
            "history": _history(view.past),
            "quality": _quality(view),
            **(past or {}),
        }
    )


def machine(view: View, name: str, past: Mapping[str, Any] | None = None) -> bytes | None:
    """One machine closely; None where nobody knows it. `past` takes the place of what memory knows."""
    status, closeup = view.machines.get(name), view.closeups.get(name)
    if status is None or closeup is None:
        return None
    record = view.calls.get(name, _NOT_CALLED).record
    machine_view = closeup.machine_view
    findings = [one for one in _sorted(view, "sensor") if one.alarm.machine == name]
    return msgspec.json.encode(
        {
            **agent(view),
            "machine": {"name": name, **_machine(view, name, status), "findings": len(findings)},
            "alarm": None if record is None else _alarm(record, view),
            "findings": [_alarm(one, view) for one in findings[:_ALARMS_LIMIT]],
            "notices": [_alarm(one, view) for one in _sorted(view, "state") if one.alarm.machine == name],
            "pictures": [_alarm(one, view) for one in _sorted(view, "picture") if one.alarm.machine == name],
            "near": _curve(closeup.near),
            "far": _curve(closeup.far),
            "channels": _channels(closeup, facts=view.facts.get(name, _NOTHING_SAID)),
            "channel_count": len(machine_view.channels) if machine_view else 0,
            "period_s": machine_view.period_ns / 1e9 if machine_view else 0,
            "last": payload.rfc3339(machine_view.last_time_ns)
            if machine_view and machine_view.last_time_ns
            else None,
            "learnt": payload.rfc3339(machine_view.learnt_ns)
            if machine_view and machine_view.learnt_ns
            else None,
            "learnt_rows": machine_view.learnt_rows if machine_view else 0,
            "modes": list(machine_view.modes) if machine_view else [],
            "seen_once": [
                {
                    "from": payload.rfc3339(one.start_ns),
                    "to": payload.rfc3339(one.end_ns),
                    "channel": one.channel,
                }
                for one in status.seen_once
            ],
            "faults": list(machine_view.faults) if machine_view else [],
            "accepted": _accepted(machine_view) if machine_view else [],
            "history": _history(closeup.past),
            "cameras": [_camera(camera) for camera in closeup.cameras],
            "cycle": None if closeup.cycle is None else _cycle(closeup.cycle),
            **(past or {}),
        }
    )


def _cycle(cycle: CycleView) -> dict[str, Any]:
    """The latest cycle; names come from outside."""
    return {
        "recipe": cycle.recipe,
        "end": payload.rfc3339(cycle.end_ns),
        "learning": cycle.learning,
        "duration": None if cycle.duration is None else _taken(cycle.duration),
        "steps": [_taken(one) for one in cycle.steps],
        "courses": [
            {
                "channel": one.channel,
                "values": _figures(one.values.tolist()),
                "low": None if one.low is None else _figures(one.low.tolist()),
                "high": None if one.high is None else _figures(one.high.tolist()),
            }
            for one in cycle.courses
        ],
        "channel_count": cycle.channel_count,
    }


def _taken(time: TimeTaken) -> dict[str, Any]:
    return {
        "step": time.step,
        "seconds": _figure(time.seconds),
        "low": None if time.low is None else _figure(time.low),
        "high": None if time.high is None else _figure(time.high),
    }


def _camera(camera: CameraView) -> dict[str, Any]:
    """All but the picture itself, which may show people: see `page_routes`."""
    return {
        "name": camera.name,
        "learnt": camera.learnt,
        "gathered": camera.gathered,
        "wanted": camera.wanted,
        "time": payload.rfc3339(camera.time_ns),
        "score": None if camera.score is None else _figure(camera.score),
        "why": camera.why,
        "map": base64.b64encode(camera.map).decode(),
        "boxes": [box._asdict() for box in camera.boxes],
        "width": camera.width,
        "height": camera.height,
        "crop": list(camera.crop),
        "parts": camera.parts,
        "loud": camera.loud,
        "alarm_at": camera.alarm_at,
        "kinds": list(camera.kinds),
        "suspects": [
            {
                "id": one.id,
                "time": payload.rfc3339(one.time_ns),
                "part": one.part,
                "score": _figure(one.score),
                "kind": one.kind,
                "probability": _figure(one.probability),
                "good": one.good,
            }
            for one in camera.suspects
        ],
    }


def model(bundle: Bundle) -> bytes:
    """The model card and where it comes from."""
    manifest, release = bundle.manifest, bundle.release
    expires = release.expires if release else None
    return msgspec.json.encode(
        {
            "schema_version": SCHEMA_VERSION,
            "name": manifest.name,
            "version": manifest.version,
            "created": manifest.created,
            "architecture": manifest.architecture,
            "window_rows": manifest.window_rows,
            "digest": bundle.digest,
            "signed_by": bundle.signed_by,
            "release": release.counter if release else None,
            "expires": expires.isoformat() if expires else None,
            "labels": list(manifest.labels)[:100],
            "card": bundle.card[:_CARD_LIMIT],
        }
    )


def agent(view: View) -> dict[str, Any]:
    """What every document says of the agent."""
    manifest = view.bundle.manifest
    return {
        "schema_version": SCHEMA_VERSION,
        "agent": view.agent,
        "version": view.version,
        "time": payload.rfc3339(view.time_ns),
        "zone": None if view.zone is UTC else str(view.zone),
        "alive": view.health.alive,
        "amiss": list(view.health.amiss),
        "commands": list(view.commands),
        "model": f"{manifest.name} {manifest.version}",
        "digest": view.bundle.digest,
        "provider": view.provider,
    }


def _machine(view: View, name: str, status: MachineStatus) -> dict[str, Any]:
    calls = view.calls.get(name, _NOT_CALLED)
    silent_s = view.silent_s.get(name)
    score, threshold = status.last_score, status.threshold
    return {
        "state": _word(status, calls.record, silent=silent_s is not None),
        "score": _figure(score),
        "threshold": _figure(threshold),
        "rows": status.rows_heard,
        "rows_wanted": status.rows_wanted,
        "learnt_about": None if status.ready_ns is None else payload.rfc3339(status.ready_ns),
        "channels": len(status.channels),
        "findings": 0,
        "threshold_ratio": _figure(status.threshold_ratio),
        "drift": _drift(status),
        "reason": status.reason,
        "drifted": status.drifted,
        "budget": status.promise and status.promise.plain(spent=view.spent.get(name, 0)),
        "silent_s": _figure(silent_s),
        "severity": calls.record.alarm.severity if calls.record else None,
        "acknowledged": calls.record is not None and calls.record.acknowledgement is not None,
        "unsettled": calls.record is not None and calls.record.alarm.unsettled,
        "shelved": payload.masking(calls.shelving),
        "suppressed": payload.masking(calls.suppression),
        **_managed(view.facts.get(name, _NOTHING_SAID), status),
    }


def _managed(facts: MachineFacts, status: MachineStatus) -> dict[str, Any]:
    """What people say of the machine, and what stands beside its profile."""
    following = status.successor
    return {
        "display_name": facts.display_name,
        "location": facts.location,
        "type": facts.type,
        "notes": facts.notes,
        "previous": status.previous,
        "next": following
        and {
            "stage": following.stage,
            "why": following.why,
            "by": following.by,
            "new": list(following.new),
            "rows": following.rows,
            "rows_wanted": following.rows_wanted,
            "paused": following.paused,
            "told": following.told,
        },
    }


def _drift(status: MachineStatus) -> dict[str, Any]:
    """How far the machine is from what was learnt; the channel's name comes from outside."""
    drift = status.drift
    known = drift.channel is not None and drift.channel < len(status.channels)
    return {
        "inputs": _figure(drift.inputs),
        "channel": status.channels[drift.channel] if known and drift.channel is not None else None,
        "scores": _figure(drift.scores),
        "scored_share": _figure(drift.scored_share),
    }


def _word(status: MachineStatus, record: AlarmState | None, *, silent: bool) -> str:
    if record is not None:
        return "alarm"
    if status.state != "ready":
        return status.state
    if silent:
        return "silent"
    return "normal" if status.last_score is not None else "unscored"


def _sorted(view: View, kind: Kind | Literal["picture"]) -> list[AlarmState]:
    """The alarms of a kind: those whose cause still holds first, of them the gravest, then the latest."""
    chosen = [record for record in view.records if record.alarm.told_kind == kind]
    return sorted(
        chosen,
        key=lambda record: (
            not record.active,
            -_GRAVITY.index(record.alarm.severity),
            -record.alarm.onset_ns,
        ),
    )


def _alarm(record: AlarmState, view: View) -> dict[str, Any]:
    """The latest revision, beside what the machine has come to since."""
    status = view.machines.get(record.alarm.machine)
    latest_ns = max(record.alarm.time_ns, status.last_time_ns or 0) if status else record.alarm.time_ns
    if record.alarm.fault in (
        *get_args(SourceFinding),
        NOT_WATCHED,
    ):  # it goes on while no row comes, by the agent's clock
        latest_ns = view.time_ns
    todo = view.facts.get(record.alarm.machine, _NOTHING_SAID).what_to_do(record.alarm.fault)
    return {
        **payload.to_payload(record.alarm, agent=view.agent, zone=view.zone),
        **({"what_to_do": todo} if todo else {}),
        "lifecycle": payload.marks(record),
        "latest": payload.rfc3339(latest_ns),
        "score_now": _figure(status.last_score) if status else None,
    }


def _history(past: Iterable[tuple[ClosedAlarm, str]]) -> list[dict[str, Any]]:
    return [
        {
            "id": one.id,
            "machine": one.machine,
            "severity": one.severity,
            "onset": payload.rfc3339(one.onset_ns),
            "closed": payload.rfc3339(one.closed_ns),
            "acknowledged_by": one.acknowledgement.by if one.acknowledgement else None,
            "comment": one.acknowledgement.comment if one.acknowledgement else "",
            "fault": fault,
            "finding": one.finding,
        }
        for one, fault in past
    ]


def _accepted(machine_view: MachineView) -> list[dict[str, Any]]:
    """What is normal because somebody said so, the latest first."""
    return [
        {
            "alarm": entry.alarm,
            "fault": entry.fault,
            "channel": next(iter(entry.levels), "") if entry.fault == LEVEL else entry.channel,
            "by": entry.by,
            "time": payload.rfc3339(entry.time_ns),
        }
        for entry in reversed(machine_view.accepted)
    ]


def _quality(view: View) -> dict[str, Any]:
    snapshot = view.snapshot
    ledger = snapshot.ledger
    return {
        "received": ledger.received,
        "accepted": ledger.accepted,
        "duplicate": ledger.duplicate,
        "late": ledger.late,
        "shed": ledger.shed,
        "rejected": _counts(ledger.rejected),
        "values_rejected": _counts(ledger.values_rejected),
        "windows_scored": ledger.windows_scored,
        "windows_skipped": _counts(ledger.windows_skipped),
        "queued": snapshot.queued,
        "internal_errors": snapshot.internal_errors,
        "alerts_waiting": snapshot.alerts.waiting,
        "alerts_dropped": snapshot.alerts.dropped,
        "state_degraded": snapshot.state.degraded,
    }


def _counts(counted: Mapping[Any, int]) -> dict[str, int]:
    return {str(name): count for name, count in counted.items() if count}


# -- a machine's channels ------------------------------------------------------------------------------------


def _channels(closeup: Closeup, *, facts: MachineFacts) -> list[dict[str, Any]]:
    """The guiltiest first; only so many with their rows."""
    machine_view = closeup.machine_view
    if machine_view is None:
        return []
    latest = closeup.latest if closeup.latest and closeup.latest.channels == machine_view.channels else None
    n_channels = len(machine_view.channels)
    shares = [0.0] * n_channels if latest is None else latest.shares.tolist()
    order = sorted(range(n_channels), key=lambda at: (-shares[at] if math.isfinite(shares[at]) else 0.0, at))
    kinds = dict(machine_view.kinds)
    return [
        _channel(
            machine_view,
            at,
            kind=kinds.get(machine_view.channels[at], "analog"),
            share=shares[at],
            latest=latest,
            with_rows=place < _CHANNELS_LIMIT,
        )
        | {"unit": facts.unit(machine_view.channels[at])}
        for place, at in enumerate(order)
    ]


def _channel(
    machine_view: MachineView,
    at: int,
    *,
    kind: ChannelKind,
    share: float,
    latest: Expectation | None,
    with_rows: bool,
) -> dict[str, Any]:
    column = machine_view.rows[:, at]
    known = machine_view.low is not None and machine_view.high is not None and at < len(machine_view.low)
    return {
        "name": machine_view.channels[at],
        "hidden": machine_view.channels[at] in machine_view.hidden,
        "kind": kind,
        "share": _figure(share),
        "seen": _figure(float(column[-1])) if len(column) else None,
        "expected": None if latest is None else _figure(float(latest.expected[at])),
        "low": _figure(float(machine_view.low[at])) if known and machine_view.low is not None else None,
        "high": _figure(float(machine_view.high[at])) if known and machine_view.high is not None else None,
        "rows": _figures(column) if with_rows else [],
    }


def _curve(curve: Curve) -> dict[str, Any]:
    return {"times": [round(time_s) for time_s in curve.times_s], "scores": _figures(curve.scores)}


def _figures(values: Sequence[float] | Float32) -> list[float | None]:
    plain = values if isinstance(values, tuple) else [float(value) for value in values]
    return [_figure(value) for value in plain]


def _figure(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}")
