"""An alarm as the JSON that subscribers read; its form is fixed in docs/alert.schema.json. Sends nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from edge_agent.alarms.state import AlarmState, Masking, Notification
from edge_agent.pipeline.notices import LEVEL, STANDSTILL
from edge_agent.pipeline.refuted_kinds import FALLS
from edge_agent.pipeline.unseen_states import CHANGES
from edge_agent.records import Alarm, ChannelEvidence
from edge_agent.signals import vibration

SCHEMA_VERSION = 1
_NAMED_CHANNELS = 2
"""Channels in the summary: more would not fit a pager."""
_DIGITS = 6
"""Significant digits: a sensor's figure holds fewer."""


def encode(alarm: Alarm, *, agent: str) -> bytes:
    """The alert message of one revision."""
    return msgspec.json.encode(to_payload(alarm, agent=agent))


def to_payload(alarm: Alarm, *, agent: str) -> dict[str, Any]:
    """The alert message as plain values; every number is finite."""
    mode = {"mode": alarm.mode} if alarm.mode else {}
    return mode | {
        "schema_version": SCHEMA_VERSION,
        "id": alarm.id,
        "revision": alarm.revision,
        "agent": agent,
        "machine": alarm.machine,
        "kind": alarm.kind,
        "state": alarm.state,
        "severity": alarm.severity,
        "onset": rfc3339(alarm.onset_ns),
        "time": rfc3339(alarm.time_ns),
        "closed": None if alarm.closed_ns is None else rfc3339(alarm.closed_ns),
        "score": _figure(alarm.score),
        "peak_score": _figure(alarm.peak_score),
        "threshold": _figure(alarm.threshold),
        "fault": {"name": alarm.fault, "probability": _figure(alarm.fault_probability)},
        "channels": [_channel(channel) for channel in alarm.channels],
        "hidden_channels": list(alarm.hidden),
        "summary": summary(alarm),
        "model": alarm.model,
    }


def encode_notification(notification: Notification, *, agent: str) -> bytes:
    """The alert message of one revision, with how the alarm stands and why the revision was made."""
    payload = to_payload(notification.alarm, agent=agent)
    payload["summary"] = _ENDINGS.get(notification.event, "{summary}").format(
        machine=notification.alarm.machine,
        onset=_clock(notification.alarm.onset_ns),
        summary=payload["summary"],
    )
    payload["lifecycle"] = {"event": notification.event, **marks(notification.record)}
    return msgspec.json.encode(payload)


_ENDINGS = {
    "latched": "{machine} is back to normal; the alarm of {onset} waits to be acknowledged.",
    "accepted": "{machine}: what was told of since {onset} is normal and known from now on.",
    "superseded": "{machine}: the alarm of {onset} is closed, because a new one has opened.",
    "recommissioned": "{machine}: the alarm of {onset} is closed, because the machine is learnt afresh.",
    "handed_over": "{machine}: the alarm of {onset} is closed, because another agent watches the machine now.",
    "restarted": "{machine}: the agent was restarted, so this alarm is closed; a lasting fault raises a new one.",
}


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


def _channel(channel: ChannelEvidence) -> dict[str, Any]:
    return {
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


def summary(alarm: Alarm) -> str:
    """One sentence for whoever is woken by it."""
    onset = _clock(alarm.onset_ns)
    if alarm.kind == "sensor":
        return _sensor_summary(alarm, onset=onset)
    if alarm.kind == "state":
        return _notice_summary(alarm)
    if alarm.state == "closed":
        if alarm.fault == STANDSTILL:
            return f"{alarm.machine} has come to a standstill: the alarm of {onset} was that; a notice tells of it."
        minutes = max(0.0, ((alarm.closed_ns or alarm.time_ns) - alarm.onset_ns) / 60e9)
        return f"{alarm.machine} is back to normal; the alarm of {onset} lasted {minutes:.0f} min."
    what = "behaves unusually"
    if alarm.fault != "unknown":
        what = f"probably has {alarm.fault} ({100 * alarm.fault_probability:.0f} %)"
    lines = [channel for channel in alarm.channels[_NAMED_CHANNELS:] if vibration.is_defect(channel.name)]
    named = [*alarm.channels[:_NAMED_CHANNELS], *sorted(lines, key=lambda line: -line.deviation)[:1]]
    seen = "; ".join(_phrase(channel) for channel in named)
    return f"{alarm.machine} {what} since {onset}" + (f": {seen}." if seen else ".")


_OF_SOURCES = {
    "silent": "nothing usable is heard of it since {onset}; it is not watched",
    "clock skew": "the clock of its source is wrong since {onset}; times that it tells are, too",
}


def _sensor_summary(alarm: Alarm, *, onset: str) -> str:
    if alarm.fault in _OF_SOURCES and alarm.state == "open":
        return f"{alarm.machine}: {_OF_SOURCES[alarm.fault].format(onset=onset)}."
    named = ", ".join(channel.name for channel in alarm.channels)
    which = f"sensor {named}" if len(alarm.channels) == 1 else f"sensors {named}" if named else "the source"
    if alarm.state == "closed":
        return f"{alarm.machine}: {which} is well again; {alarm.fault} since {onset}."
    if alarm.fault == "spikes":
        worst = f", the worst {_said(alarm.channels[0].observed)}" if alarm.channels else ""
        return f"{alarm.machine}: {which}: many single broken readings{worst}; the score leaves them out."
    return f"{alarm.machine}: {which}: {alarm.fault} since {onset}; the score rests on the other channels."


def _said(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.4g}"


def _notice_summary(alarm: Alarm) -> str:
    day = f"{datetime.fromtimestamp(alarm.onset_ns // 1_000_000_000, UTC):%a %H:%M} UTC"
    for channel in alarm.channels:
        if alarm.fault == LEVEL:
            return f"{alarm.machine}: {_level_phrase(alarm, channel, day=day)}."
        return f"{alarm.machine}: {_unseen_phrase(alarm, channel, day=day)}."
    if alarm.state == "closed":
        return f"{alarm.machine} moves again; it had stood still since {day}."
    return f"{alarm.machine} stands still since {day}; not seen while it was learnt. No alarm is raised meanwhile."


def _unseen_phrase(alarm: Alarm, channel: ChannelEvidence, *, day: str) -> str:
    if alarm.fault == FALLS:
        fell = f"fell from {channel.normal_low:g} to {_said(channel.observed)} on {day}"
        left_out = "left it" if alarm.state == "closed" else "leaves it"
        return (
            f"{channel.name} was learnt as a counter and {fell}: the score {left_out} out for 128 rows. "
            "Another meter? Else say its kind, and learn the machine afresh"
        )
    if alarm.fault == CHANGES:
        told = f"{channel.name} changes more often since {day} than it ever did while it was learnt"
    else:
        known = dict.fromkeys([f"{channel.normal_low:g}", f"{channel.normal_high:g}"])
        seen = "nothing" if channel.observed is None else f"{channel.observed:g}"
        told = f"{channel.name} was {seen} on {day}: never seen while it was learnt ({' to '.join(known)})"
    return told + ("; known from now on" if alarm.state == "closed" else "")


def _level_phrase(alarm: Alarm, channel: ChannelEvidence, *, day: str) -> str:
    expected = (channel.normal_low + channel.normal_high) / 2
    offset = (channel.observed or 0.0) - expected
    told = f"{abs(offset):.3g} {'more' if offset > 0 else 'less'} than the other channels let expect"
    if alarm.state == "closed":
        return f"{channel.name} reads no longer {told}, or no alarm comes of it; it had since {day}"
    return (
        f"{channel.name} reads {told} since {day} ({_said(channel.observed)} for {expected:.4g}), and nothing else "
        "has changed. Recalibrated, exchanged, or set anew? Then accept the new level; else it is a fault"
    )


def _clock(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns // 1_000_000_000, UTC):%H:%M:%S} UTC"


def _phrase(channel: ChannelEvidence) -> str:
    usual = f"usually {channel.normal_low:.4g} to {channel.normal_high:.4g}"
    if channel.observed is None:
        return f"{channel.name} is missing ({usual})"
    middle = (channel.normal_low + channel.normal_high) / 2
    if said := vibration.phrase(channel.name, observed=channel.observed, usual=middle):
        return said
    return f"{channel.name} is {channel.symptom}, now {channel.observed:.4g} ({usual})"


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
    told = f"{machine}: the agent was restarted, so this alarm is closed; a lasting fault raises a new one."
    return machine, msgspec.json.encode(
        left | {"revision": revision + 1, "state": "closed", "closed": time, "summary": told}
    )
