"""What the sources' messages would come to: rows, or what is turned away and why, and whose clock is off."""

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from edge_agent.cli.doctor.findings import Finding, Level
from edge_agent.config.file import Config
from edge_agent.formats.last_will import LastWills
from edge_agent.records import Decoded, Delivery, Frame, ReceivedMessage, Reject, RejectReason
from edge_agent.service.wiring import message_decoder

SPARKPLUG_TOPICS = "spBv1.0/"
_OFFSET_WARN_S = 5.0
_DISCOVER = "`edge-agent discover` shows what is said at the broker, and proposes the sources"
_NAMED = 3
"""Topics or channels that a line names."""

Heard = Sequence[tuple[ReceivedMessage, int]]
"""Messages, and when they came."""


def check_data(config: Config, heard: Heard, listen_s: float) -> Iterator[Finding]:
    """Whether sensors are heard and read, whole or in part, and whether their clocks and ours agree."""
    decode = message_decoder(config, monotonic=time.monotonic)
    heard = _without_wills(config, heard)
    nodes = [one for one, _ in heard if one.topic.startswith(SPARKPLUG_TOPICS)]
    if nodes:
        yield Finding("data", "ok", f"{len(nodes)} Sparkplug messages in {listen_s:g} s")
    answers = [
        (one.topic, decode(Delivery(one.topic, one.payload, at, one.retain)), at)
        for one, at in heard
        if not one.topic.startswith(SPARKPLUG_TOPICS)
    ]
    rejects = [(topic, answer) for topic, answer, _ in answers if isinstance(answer, Reject)]
    yield from _turned_away(rejects)
    frames = [(frame, at) for _, answer, at in answers for frame in _frames(answer)]
    if not frames:
        if not nodes and not any(reject.reason != "retained" for _, reject in rejects):
            yield Finding("data", "warn", f"no sensor message came in {listen_s:g} s", _DISCOVER)
        return
    machines = {frame.machine for frame, _ in frames}
    yield Finding("data", "ok", f"{len(frames)} messages of {len(machines)} machine(s) in {listen_s:g} s")
    yield from _too_wide(config, [frame for frame, _ in frames])
    yield from _lost_values([frame for frame, _ in frames])
    yield from _clocks([(frame.times_ns[-1] - at) / 1e9 for frame, at in frames if frame.stamped])


def _without_wills(config: Config, heard: Heard) -> Heard:
    """The messages that are no last wills."""
    wills = LastWills(config.wills)
    return [
        (one, at) for one, at in heard if wills.part([Delivery(one.topic, one.payload, at, one.retain)])[0]
    ]


def _frames(answer: Decoded) -> tuple[Frame, ...]:
    if isinstance(answer, Reject):
        return ()
    return (answer,) if isinstance(answer, Frame) else answer.frames


def _turned_away(rejects: Sequence[tuple[str, Reject]]) -> Iterator[Finding]:
    """A line for each reason, with the words of the first message that was turned away for it."""
    for reason in sorted({reject.reason for _, reject in rejects}):
        told = [(topic, reject) for topic, reject in rejects if reject.reason == reason]
        topic, first = told[0]
        if reason == "retained":
            what = f"{len(told)} messages were kept by the broker and have no time of their own: no rows"
            yield Finding("data", "ok", what)
            continue
        said = f": {first.detail}" if first.detail else ""
        what = f"{len(told)} messages would be turned away: {reason}, such as {topic!a}{said}"
        yield Finding("data", "warn", what, _DISCOVER if reason == "no_source" else _remedy(reason))


def _remedy(reason: RejectReason) -> str:
    if reason in ("bad_timestamp", "future_timestamp"):
        return 'set time_unit, timezone or time_format of its [[source]], or clock = "arrival"'
    if reason == "too_large":
        return "raise [limits] payload_bytes"
    return (
        "change its [[source]], as docs/configuration.md says; what cannot be read is lost, all else is not"
    )


def _too_wide(config: Config, frames: Sequence[Frame]) -> Iterator[Finding]:
    """Machines with more channels than are allowed: all their messages would be lost."""
    channels: dict[str, set[str]] = {}
    for frame in frames:
        channels.setdefault(frame.machine, set()).update(frame.channels)
    limit = config.limits.channels
    for machine, names in sorted(channels.items()):
        if len(names) > limit:
            count = sum(frame.machine == machine for frame in frames)
            what = (
                f"machine {machine!a} has {len(names)} channels, {limit} are allowed: "
                f"{count} messages would be turned away: too_many_channels"
            )
            yield Finding("data", "warn", what, f"set [limits] channels = {-(-len(names) // 100) * 100}")


def _lost_values(frames: Sequence[Frame]) -> Iterator[Finding]:
    """Values that would be turned away while the rest of their messages is kept."""
    lost = Counter((reason, name) for frame in frames for name, reason in frame.bad_values)
    for reason in sorted({reason for reason, _ in lost}):
        names = sorted({name for other, name in lost if other == reason})
        count = sum(number for (other, _), number in lost.items() if other == reason)
        shown = ", ".join(map(ascii, names[:_NAMED])) + (", …" if len(names) > _NAMED else "")
        what = f"{count} values would be turned away: {reason}, of {shown}"
        remedy = (
            "what is no number is no channel; words and decimal signs are set in [source.value], "
            "names to leave out in [source.map] skip"
        )
        yield Finding("data", "warn", what, remedy)


def _clocks(offsets: Sequence[float]) -> Iterator[Finding]:
    if not offsets:
        return
    offset_s = statistics.median(offsets)
    far: Level = "warn" if abs(offset_s) > _OFFSET_WARN_S else "ok"
    what = f"the sensors' clocks are {abs(offset_s):.1f} s {'ahead of' if offset_s > 0 else 'behind'} ours"
    yield Finding("clock", far, what, "let all computers follow one time server")
