"""An alarm as the JSON that subscribers read; its form is fixed in docs/alert.schema.json. Sends nothing."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

import msgspec

from edge_agent.alarms import sentences
from edge_agent.alarms.state import AlarmState, Masking, Notification
from edge_agent.records import Alarm, ChannelEvidence, PictureEvidence, ScoreTrend

SCHEMA_VERSION = 1
_DIGITS = 6
"""Significant digits: a sensor's figure holds fewer."""


def encode(alarm: Alarm, *, agent: str, zone: tzinfo = UTC) -> bytes:
    """The alert message of one revision; sentences for people tell times in `zone`."""
    return msgspec.json.encode(to_payload(alarm, agent=agent, zone=zone))


def to_payload(alarm: Alarm, *, agent: str, zone: tzinfo = UTC) -> dict[str, Any]:
    """The alert message as plain values; every number is finite."""
    mode = {"mode": alarm.mode} if alarm.mode else {}
    named = {"by": alarm.fault_by} if alarm.fault_by else {}
    trend = {} if alarm.trend is None else {"trend": _trend(alarm.trend)}
    picture = {} if alarm.pictured is None else {"picture": _picture(alarm.pictured)}
    return (
        mode
        | trend
        | picture
        | {
            "schema_version": SCHEMA_VERSION,
            "id": alarm.id,
            "revision": alarm.revision,
            "agent": agent,
            "machine": alarm.machine,
            "kind": alarm.told_kind,
            "state": alarm.state,
            "severity": alarm.severity,
            "onset": rfc3339(alarm.onset_ns),
            "time": rfc3339(alarm.time_ns),
            "closed": None if alarm.closed_ns is None else rfc3339(alarm.closed_ns),
            "score": _figure(alarm.score),
            "peak_score": _figure(alarm.peak_score),
            "threshold": _figure(alarm.threshold),
            "fault": {"name": alarm.fault, "probability": _figure(alarm.fault_probability), **named},
            "channels": [_channel(channel) for channel in alarm.channels],
            "hidden_channels": list(alarm.hidden),
            "summary": sentences.summary(alarm, zone=zone),
            "model": alarm.model,
            "unsettled": alarm.unsettled,
            "reopened": alarm.reopened,
            "new_channels": list(alarm.news),
        }
    )


def encode_notification(
    notification: Notification, *, agent: str, zone: tzinfo = UTC, what_to_do: str = ""
) -> bytes:
    """The alert message of one revision, with how the alarm stands and why the revision was made.

    `what_to_do` is what people say of its fault; "" leaves the field out.
    """
    payload = to_payload(notification.alarm, agent=agent, zone=zone)
    payload["summary"] = sentences.sentence(notification, zone=zone)
    payload["lifecycle"] = {"event": notification.event, **marks(notification.record)}
    if what_to_do:
        payload["what_to_do"] = what_to_do
    return msgspec.json.encode(payload)


def marks(record: AlarmState) -> Mapping[str, Any]:
    """How an alarm stands, as plain values."""
    seen = record.acknowledgement
    told = None if seen is None else {"by": seen.by, "time": rfc3339(seen.time_ns), "comment": seen.comment}
    return {
        "active": record.active,
        "acknowledged": told,
        "shelved": masking(record.shelving),
        "suppressed": masking(record.suppression),
        "held": record.held,
    }


def masking(why: Masking | None) -> Mapping[str, Any] | None:
    """Why nobody is called, as plain values."""
    if why is None:
        return None
    until = None if why.until_ns is None else rfc3339(why.until_ns)
    return {"by": why.by, "since": rfc3339(why.since_ns), "until": until, "comment": why.comment}


def _trend(trend: ScoreTrend) -> dict[str, Any]:
    return {
        "level": _figure(trend.level),
        "before": None if trend.before is None else _figure(trend.before),
        "before_time": None if trend.before_ns is None else rfc3339(trend.before_ns),
        "growth_per_hour": None if trend.per_hour is None else _figure(trend.per_hour),
    }


def _picture(picture: PictureEvidence) -> dict[str, Any]:
    """Where it is unusual; the map as base64."""
    return {
        "camera": picture.camera,
        "frame_time": rfc3339(picture.time_ns),
        "width": picture.width,
        "height": picture.height,
        "boxes": [
            {"x": box.x, "y": box.y, "width": box.width, "height": box.height, "score": _figure(box.score)}
            for box in picture.boxes
        ],
        "map": base64.b64encode(picture.map).decode(),
        **({"suspects": picture.suspects, "parts": picture.parts} if picture.parts else {}),
    }


def _channel(channel: ChannelEvidence) -> dict[str, Any]:
    return ({"detail": channel.detail} if channel.detail else {}) | {
        "name": channel.name,
        "contribution": _figure(channel.contribution),
        "observed": None if channel.observed is None else _figure(channel.observed),
        "normal_low": _figure(channel.normal_low),
        "normal_high": _figure(channel.normal_high),
        "deviation": _figure(channel.deviation),
        "symptom": channel.symptom,
    }


def _figure(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def rfc3339(time_ns: int) -> str:
    """UTC with milliseconds."""
    moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns // 1_000_000 % 1000:03d}Z"


def decode_receipt(payload: bytes) -> tuple[str, int] | None:
    """The id and revision that a subscriber confirms, `{"id": ..., "revision": ...}`; None if it is no receipt."""
    try:
        said = msgspec.json.decode(payload, type=dict[str, Any])
        alarm_id, revision = said["id"], said["revision"]
    except (msgspec.MsgspecError, KeyError, UnicodeDecodeError):
        return None
    return (alarm_id, revision) if isinstance(alarm_id, str) and isinstance(revision, int) else None


def closing_after_restart(payload: bytes) -> tuple[str, bytes] | None:
    """The closing revision of an alert that a former run of the agent left open; None if it is no alert.

    Returns:
        The machine and the message.
    """
    try:
        left = msgspec.json.decode(payload, type=dict[str, Any])
        machine, revision, time = str(left["machine"]), int(left["revision"]), left["time"]
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return None
    told = f"The agent was restarted. It closed this alarm of {machine}. A lasting fault raises a new one."
    return machine, msgspec.json.encode(
        left | {"revision": revision + 1, "state": "closed", "closed": time, "summary": told}
    )
