"""What an alarm says to whoever is woken by it: plain sentences, the actor first, times in the site's zone. Pure.

Everything said here must be true at the moment at which it was said and stay true while it can be read: a sentence
tells since when, not for how long, and speaks of what was named by a person otherwise than of a guess.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import NamedTuple

from edge_agent.alarms.local_time import moment, span
from edge_agent.alarms.state import Event, Notification
from edge_agent.cycles.rules import is_cycle
from edge_agent.pipeline.notices import LEVEL, STANDSTILL
from edge_agent.pipeline.programs import cycle_words
from edge_agent.pipeline.refuted_kinds import FALLS
from edge_agent.pipeline.unseen_states import CHANGES
from edge_agent.records import Alarm, ChannelEvidence, PictureBox, PictureEvidence, ScoreTrend
from edge_agent.signals import vibration

_NAMED_CHANNELS = 2
"""Channels in the summary: more would not fit a pager."""
_HOUR_NS = 3_600_000_000_000
_LEAST_SCORE = 0.05
_WORTH_SAYING = 1.25
"""A smaller change is not told."""
_BELOW, _ABOVE = 0.95, 1.05
_LEAST_SHARE = 0.08
"""Of the score, that a second channel must have to be named."""
_SLOW = 1.15
"""Growth in an hour that is told by the day."""


def sentence(notification: Notification, *, zone: tzinfo) -> str:
    """What a revision says, by why it was made."""
    alarm = notification.alarm
    ending = _ENDINGS.get(notification.event)
    if ending is None:
        return summary(alarm, zone=zone)
    seen = notification.record.acknowledgement
    return ending.format(
        machine=alarm.machine,
        onset=_onset(alarm, zone),
        summary=summary(alarm, zone=zone),
        by="Somebody" if seen is None else seen.by,
    )


_ENDINGS: Mapping[Event, str] = {
    "recalled": "Nobody has acknowledged the alarm of {onset}, so this is the second call. {summary}",
    "latched": "{machine} is back to normal. The alarm of {onset} waits to be acknowledged.",
    "accepted": "{by} says that what {machine} has done since {onset} is normal. It is known from now on.",
    "superseded": "{machine} has a new alarm. The one of {onset} is closed.",
    "recommissioned": "{machine} is learnt afresh. The alarm of {onset} is closed.",
    "handed_over": "Another agent watches {machine} now. The alarm of {onset} is closed here.",
    "restarted": "The agent was restarted. It closed {machine}'s alarm of {onset}. A lasting fault raises a new one.",
}


def summary(alarm: Alarm, *, zone: tzinfo) -> str:
    """A sentence or two."""
    if alarm.pictured is not None:
        return _picture_summary(alarm, alarm.pictured, zone)
    if alarm.kind == "sensor":
        return _sensor_summary(alarm, zone)
    if alarm.kind == "state":
        return _notice_summary(alarm, zone)
    if alarm.state == "closed":
        return _closed_summary(alarm, zone)
    seen = _seen(alarm.channels, _phrase_of_cycle if is_cycle(alarm.machine) else _phrase)
    told = f"{alarm.machine} {_what(alarm)} since {_onset(alarm, zone)}" + (f": {seen}." if seen else ".")
    trend = [] if alarm.trend is None else [f"{_trend_phrase(alarm.trend, now_ns=alarm.time_ns)}."]
    return " ".join([told, *trend, *_course(alarm)])


def _course(alarm: Alarm) -> list[str]:
    """How often it has come back and with what, and that it may do so again."""
    back = f"It has come back {_how_often(alarm.reopened)}" if alarm.reopened else ""
    new = f"; new: {', '.join(alarm.news)}" if back and alarm.news else ""
    parts = [f"{back}{new}."] if back else []
    return [*parts, "It is quiet just now, and not over."] if alarm.unsettled else parts


def _how_often(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _trend_phrase(trend: ScoreTrend, *, now_ns: int) -> str:
    """`7 times the limit, was 4 an hour ago, growing 1.8 times an hour`."""
    said = "Just now below the limit" if trend.level < _BELOW else "At the limit"
    if trend.level >= _ABOVE:
        said = f"{_times(trend.level)} times the limit"
    if trend.before is not None and trend.before_ns is not None:
        ratio = trend.level / max(trend.before, _LEAST_SCORE)
        if not 1 / _WORTH_SAYING < ratio < _WORTH_SAYING:
            ago_ns = now_ns - trend.before_ns
            ago = "an hour" if abs(ago_ns - _HOUR_NS) < _HOUR_NS // 6 else f"about {span(ago_ns)}"
            said += f", was {_times(trend.before)} {ago} ago"
    if trend.per_hour is None:
        return said
    slow = 1 / _SLOW < trend.per_hour < _SLOW
    growth = trend.per_hour ** (24 if slow else 1)
    moves = f"growing {growth:.2g} times" if growth > 1 else f"falling by {100 * (1 - growth):.0f} %"
    return f"{said}, {moves} {'a day' if slow else 'an hour'}"


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}"


def _what(alarm: Alarm) -> str:
    """What an open alarm says of its machine."""
    if alarm.fault == "unknown":
        return "has behaved unusually"
    if alarm.fault_by:
        return f"has had {alarm.fault} (named by {alarm.fault_by})"
    return f"has probably had {alarm.fault} ({100 * alarm.fault_probability:.0f} %)"


def _closed_summary(alarm: Alarm, zone: tzinfo) -> str:
    onset = _onset(alarm, zone)
    if alarm.fault == STANDSTILL and not alarm.fault_by:
        return (
            f"{alarm.machine} has come to a standstill. The alarm of {onset} was that; a notice tells of it."
        )
    lasted = span((alarm.closed_ns or alarm.time_ns) - alarm.onset_ns)
    told = f"{alarm.machine} is back to normal. The alarm of {onset} lasted {lasted}."
    if alarm.reopened:
        told = f"{told} It had come back {_how_often(alarm.reopened)}."
    if alarm.fault == "unknown":
        return told
    if alarm.fault_by:
        return f"{told} It was {alarm.fault} (named by {alarm.fault_by})."
    return f"{told} It was probably {alarm.fault} ({100 * alarm.fault_probability:.0f} %)."


def _onset(alarm: Alarm, zone: tzinfo) -> str:
    return moment(alarm.onset_ns, zone, beside_ns=alarm.closed_ns or alarm.time_ns)


# -- sensors and sources -------------------------------------------------------------------------------------


class _Words(NamedTuple):
    """What a finding says of its sensor, or of its machine: while it holds, and when it is over."""

    holds: str
    over: str


_OF_SENSORS: Mapping[str, _Words] = {
    "missing": _Words("{has} sent nothing", "sent nothing"),
    "out of range": _Words(
        "{has} shown values that are physically impossible", "showed values that are physically impossible"
    ),
    "stuck at limit": _Words(
        "{has} stood still at the end of {its} range", "stood still at the end of {its} range"
    ),
    "unit changed": _Words("{has} seemed to speak in another unit", "seemed to speak in another unit"),
    "frozen": _Words("{has} not changed", "did not change"),
    "noise gone": _Words("{has} been far smoother than usual", "{was} far smoother than usual"),
    "camera dark": _Words("{has} shown hardly any light", "showed hardly any light"),
    "camera dazzled": _Words("{has} been dazzled", "{was} dazzled"),
    "camera blurred": _Words("{has} been far less sharp than usual", "{was} far less sharp than usual"),
    "camera moved": _Words("{has} looked elsewhere: the camera was moved", "looked elsewhere"),
    "camera frozen": _Words(
        "{has} sent the same picture again and again", "sent the same picture again and again"
    ),
    "spikes": _Words("{has} had many single broken readings", "had many single broken readings"),
}

_OF_SOURCES: Mapping[str, _Words] = {
    "silent": _Words(
        "Nothing usable has been heard of {machine} since {onset}. It is not watched.",
        "{machine} is heard again. Nothing usable was heard of it {from_to}.",
    ),
    "clock skew": _Words(
        "The clock of {machine}'s source has been wrong since {onset}. Times that it tells are wrong, too.",
        "The clock of {machine}'s source is right again. It was wrong {from_to}.",
    ),
    "not watched": _Words(
        "{machine} has not been watched since {onset}. Its rows come, and the agent does not score them.",
        "{machine} is watched again. It was not {from_to}.",
    ),
    "stale": _Words(
        "Most channels of {machine} have stood still since {onset}. The source seems to repeat old values.",
        "The channels of {machine} move again. Most of them stood still {from_to}.",
    ),
    "rate changed": _Words(
        "Rows of {machine} have come far more or less often since {onset} than while it was learnt.",
        "Rows of {machine} come as often again as while it was learnt. They did not {from_to}.",
    ),
}


def _sensor_summary(alarm: Alarm, zone: tzinfo) -> str:
    end_ns = alarm.closed_ns or alarm.time_ns
    onset = _onset(alarm, zone)
    from_to = f"from {onset} to {moment(end_ns, zone, beside_ns=end_ns)}"
    is_open = alarm.state == "open"
    if alarm.fault in _OF_SOURCES:
        words = _OF_SOURCES[alarm.fault]
        return (words.holds if is_open else words.over).format(
            machine=alarm.machine, onset=onset, from_to=from_to
        )
    names, plural = ", ".join(channel.name for channel in alarm.channels), len(alarm.channels) > 1
    which = (
        f"Sensor{'s' if plural else ''} {names} of {alarm.machine}"
        if names
        else f"The source of {alarm.machine}"
    )
    words = _OF_SENSORS.get(alarm.fault, _Words(f"{{has}} shown: {alarm.fault}", f"showed: {alarm.fault}"))
    said = (words.holds if is_open else words.over).format(
        has="have" if plural else "has", was="were" if plural else "was", its="their" if plural else "its"
    )
    if not is_open:
        return f"{which} work{'' if plural else 's'} again. {'They' if plural else 'It'} {said} {from_to}."
    if alarm.fault == "spikes":
        worst = f", the worst {_said(alarm.channels[0].observed)}" if alarm.channels else ""
        return f"{which} {said} since {onset}{worst}. The score leaves these readings out."
    return f"{which} {said} since {onset}. The score leaves {'them' if plural else 'it'} out."


# -- pictures ------------------------------------------------------------------------------------------------


def _picture_summary(alarm: Alarm, picture: PictureEvidence, zone: tzinfo) -> str:
    onset = _onset(alarm, zone)
    if alarm.state == "closed":
        end_ns = alarm.closed_ns or alarm.time_ns
        until = moment(end_ns, zone, beside_ns=end_ns)
        return f"{alarm.machine} looks usual again to {picture.camera}. It looked unusual from {onset} to {until}."
    where = f", {_where(picture.boxes[0])}" if picture.boxes else ""
    times = f", at worst {_times(alarm.peak_score)} times the limit"
    like = _like(alarm)
    if picture.parts:
        parts = f"{picture.suspects} of the last {picture.parts} parts of {alarm.machine}"
        latest = f", the latest{where[1:]}" if where else ""
        return f"{parts} look unusual to {picture.camera}{latest}, since {onset}{times}{like}."
    return f"{alarm.machine} has looked unusual to {picture.camera}{where}, since {onset}{times}{like}."


def _like(alarm: Alarm) -> str:
    """What most of it looks like, or was called."""
    if alarm.fault == "unusual picture":
        return ""
    if alarm.fault_by:
        return f": {alarm.fault}, as {alarm.fault_by} says"
    return f": like {alarm.fault} ({100 * alarm.fault_probability:.0f} %)"


def _where(box: PictureBox) -> str:
    """The third of the picture that the middle of a box lies in."""
    across = ("left", "middle", "right")[min(2, int(3 * (box.x + box.width / 2)))]
    down = ("upper", "middle", "lower")[min(2, int(3 * (box.y + box.height / 2)))]
    return "in the middle" if across == down == "middle" else f"{down} {across}"


def _said(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.4g}"


# -- notices -------------------------------------------------------------------------------------------------


def _notice_summary(alarm: Alarm, zone: tzinfo) -> str:
    day = moment(alarm.onset_ns, zone)
    if said := cycle_words.notice(alarm, day=day):
        return said
    for channel in alarm.channels:
        if alarm.fault == LEVEL:
            return f"{alarm.machine}: {_level_phrase(alarm, channel, day=day)}."
        return f"{alarm.machine}: {_unseen_phrase(alarm, channel, day=day)}."
    if alarm.state == "closed":
        return f"{alarm.machine} moves again. It had stood still since {day}."
    return (
        f"{alarm.machine} has stood still since {day}. It did not while it was learnt, or not for so long. "
        "No alarm is raised meanwhile."
    )


def _unseen_phrase(alarm: Alarm, channel: ChannelEvidence, *, day: str) -> str:
    if alarm.fault == FALLS:
        fell = f"fell from {channel.normal_low:g} to {_said(channel.observed)} on {day}"
        left_out = "left it" if alarm.state == "closed" else "leaves it"
        return (
            f"{channel.name} was learnt as a counter and {fell}: the score {left_out} out for 128 rows. "
            "Another meter? Else say its kind, and learn the machine afresh"
        )
    if alarm.fault == CHANGES:
        told = f"{channel.name} has changed more often since {day} than it ever did while it was learnt"
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
        f"{channel.name} has read {told} since {day} ({_said(channel.observed)} for {expected:.4g}), and nothing else "
        "has changed. Recalibrated, exchanged, or set anew? Then accept the new level; else it is a fault"
    )


# -- channels ------------------------------------------------------------------------------------------------


def _seen(channels: Sequence[ChannelEvidence], phrase: Callable[[ChannelEvidence], str]) -> str:
    """What can be checked of the guiltiest channels."""
    telling = [
        one
        for at, one in enumerate(channels)
        if _tells(one) and (at == 0 or one.contribution >= _LEAST_SHARE)
    ]
    lines = [one for one in telling[_NAMED_CHANNELS:] if vibration.is_defect(one.name)]
    named = [*telling[:_NAMED_CHANNELS], *sorted(lines, key=lambda line: -line.deviation)[:1]]
    if named or not channels:
        return "; ".join(map(phrase, named))
    guilty = " and ".join(one.name for one in channels[:_NAMED_CHANNELS])
    return f"no channel is beyond what is usual by itself; most of the score comes from {guilty}"


def _tells(channel: ChannelEvidence) -> bool:
    """Whether there is something to check: more than that a usual value moves in an unusual way."""
    if channel.observed is None or channel.detail or channel.symptom != "unusual pattern":
        return True
    return not _is_inside(channel) or vibration.is_defect(channel.name)


def _is_inside(channel: ChannelEvidence) -> bool:
    observed = channel.observed
    return observed is not None and channel.normal_low <= observed <= channel.normal_high


def _phrase_of_cycle(channel: ChannelEvidence) -> str:
    return cycle_words.phrase(channel) or _phrase(channel)


def _phrase(channel: ChannelEvidence) -> str:
    usual = f"usually {channel.normal_low:.4g} to {channel.normal_high:.4g}"
    if channel.observed is None:
        return f"{channel.name} is missing ({usual})"
    middle = (channel.normal_low + channel.normal_high) / 2
    if said := vibration.phrase(channel.name, observed=channel.observed, usual=middle):
        return said
    inside = _is_inside(channel)
    if channel.detail:
        told = f"{channel.name} {channel.detail}"
        return told if inside else f"{told}, now {channel.observed:.4g} ({usual})"
    if channel.symptom == "unusual pattern":
        return f"{channel.name} is now {channel.observed:.4g} ({usual})"
    # Within what is usual in all, and still far from what it mostly is.
    side = inside and channel.symptom in ("high", "low")
    state = f"on the {channel.symptom} side" if side else channel.symptom
    return f"{channel.name} is {state}, now {channel.observed:.4g} ({usual})"
