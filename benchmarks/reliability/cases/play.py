"""A case, played: messages through discover and by what it proposes, a recording as replay reads it. No broker."""

import base64
import gzip
import json
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reliability.cases.quiet import findings
from benchmarks.reliability.cases.week import week
from edge_agent.cli.discover.propose import written
from edge_agent.cli.discover.survey import Survey
from edge_agent.config.file import Config
from edge_agent.errors import RecordingError
from edge_agent.formats.routing import delivery_decoder
from edge_agent.formats.sparkplug.payload import decode as decode_sparkplug
from edge_agent.recordings import tables
from edge_agent.records import Delivery, Frame, Reject

_NOW_NS = 1_796_040_060 * 10**9
_STEP_NS = 50_000_000
_PAYLOAD_BYTES = 65_536
_FUTURE_S = 300.0


@dataclass(slots=True)
class Reading:
    """What became of messages that were read by some configuration.

    Attributes:
        channels: of each machine. values: by machine and channel. times_ns: of rows, in the order of the messages.
        accepted: messages. rejected, lost: messages and values by reason. said: details.
        stamped: whether all rows have a time of their own.
    """

    channels: dict[str, set[str]] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)
    times_ns: list[int] = field(default_factory=list)
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)
    stamped: bool = True


@dataclass(slots=True)
class PlayedCase:
    """What happened in a case.

    Attributes:
        heard: what came in, in words. proposed: the configuration of `discover`, "" where it has none.
        sources: its sources. machines: with channels, as proposed. left_out: (name, why). unread: topics and why.
        by_proposal, by_file, by_default: the messages read by the proposal, by the case's own file, by no file.
        recordings: by the file's name, or why it was refused.
        quiet: findings about a source that says only what has changed, by what was played.
        week: the agent's verdict on a simulated week, as `benchmarks.everyday` counts it.
    """

    heard: str = ""
    proposed: str = ""
    sources: Sequence[Mapping[str, Any]] = ()
    machines: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    by_proposal: Reading = field(default_factory=Reading)
    by_file: Reading | None = None
    by_default: Reading = field(default_factory=Reading)
    recordings: dict[str, tables.Recording | str] = field(default_factory=dict)
    sparkplug: list[str] = field(default_factory=list)
    quiet: dict[str, list[str]] = field(default_factory=dict)
    week: Mapping[str, Any] = field(default_factory=dict)


def play(folder: Path) -> PlayedCase:
    """Play a folder."""
    played = PlayedCase()
    deliveries = _deliveries(folder)
    if deliveries:
        _hear(played, deliveries)
        if (folder / "agent.toml").is_file():
            own = Config.model_validate(tomllib.loads((folder / "agent.toml").read_text()))
            played.by_file = _read(own, deliveries)
    for path in sorted(folder.glob("*.csv")):
        try:
            played.recordings[path.name] = tables.read(path)
        except RecordingError as error:
            played.recordings[path.name] = error.reason
    if played.recordings:
        played.heard = ", ".join(played.recordings)
    if told := week(folder):
        played.week, played.heard = told, f"{round(told['weeks'])} simulated week(s) after the learnt day"
    if "quiet" in folder.name and (folder / "agent.toml").is_file():
        played.quiet = findings(folder)
        played.heard = "numbers at 10 Hz, then nothing changes"
    for path in sorted(folder.glob("*.bin")):
        payload = decode_sparkplug(path.read_bytes())
        names = (
            ""
            if isinstance(payload, Reject)
            else ", ".join(str(one.name or one.alias) for one in payload.metrics)
        )
        played.sparkplug.append(
            f"{payload.reason}" if isinstance(payload, Reject) else f"seq {payload.seq}: {names}"
        )
        played.heard = f"{len(played.sparkplug)} Sparkplug payloads"
    return played


def _deliveries(folder: Path) -> list[Delivery]:
    """The folder's messages twice over, as a broker that is listened to would bring them."""
    path = folder / "messages.jsonl"
    if path.is_file():
        said = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    elif "gzip" in folder.name and (folder / "make.py").is_file():
        said = [{"topic": "sensors/gz-1", "raw": gzip.compress(_row({"a": 1.0}))}]
    elif (folder / "play.py").is_file() and "tag_" in (folder / "play.py").read_text():
        said = [{"topic": "sensors/w1", "raw": _row({f"tag_{n:03d}": n + 0.5 for n in range(500)})}]
    else:
        return []
    told: list[Delivery] = []
    for one in said * 2:
        arrival_ns = _NOW_NS + len(told) * _STEP_NS
        told.append(Delivery(one["topic"], _payload(one), arrival_ns, one.get("retain", False)))
    return told


def _payload(one: Mapping[str, Any]) -> bytes:
    """A message's bytes: `payload` as text or JSON, `base64` of bytes that are neither."""
    if "raw" in one:
        return bytes(one["raw"])
    if "base64" in one:
        return base64.b64decode(one["base64"])
    payload = one["payload"]
    return payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()


def _row(values: Mapping[str, float]) -> bytes:
    return json.dumps({"ts": _NOW_NS / 1e9, "values": values}).encode()


def _hear(played: PlayedCase, deliveries: Sequence[Delivery]) -> None:
    survey = Survey()
    for delivery in deliveries:
        survey.take_message(delivery)
    seconds = len(deliveries) * _STEP_NS / 1e9
    proposal = survey.propose(seconds=seconds, host_id="agent")
    topics = {delivery.topic for delivery in deliveries}
    played.heard = f"{len(deliveries) // 2} messages at {len(topics)} topic(s)"
    played.sources = proposal.sources
    played.machines = {str(item["machine"]): list(item["channels"]) for item in proposal.machines}
    played.left_out = {name: why for _, name, why in proposal.left_out}
    played.unread = {str(item["topic"]): str(item["reason"]) for item in proposal.undecodable}
    played.by_default = _read(Config(), deliveries)
    if proposal.sources:
        played.proposed = written(Config(), proposal, seconds=seconds, dropped=0)
        config = Config.model_validate(tomllib.loads(played.proposed))
        played.by_proposal = _read(config, deliveries)


def _read(config: Config, deliveries: Sequence[Delivery]) -> Reading:
    decode = delivery_decoder(
        config.routes,
        payload_limit_bytes=_PAYLOAD_BYTES,
        future_tolerance_s=_FUTURE_S,
    )
    found = Reading()
    for delivery in deliveries:
        decoded = decode(delivery)
        if isinstance(decoded, Reject):
            found.rejected[decoded.reason] += 1
            found.said.append(decoded.detail)
            continue
        found.accepted += 1
        for frame in (decoded,) if isinstance(decoded, Frame) else decoded.frames:
            found.lost.update(reason for _, reason in frame.bad_values)
            found.stamped &= frame.stamped
            found.times_ns += frame.times_ns
            found.channels.setdefault(frame.machine, set()).update(frame.channels)
            for row in np.asarray(frame.rows, np.float64).tolist():
                for name, value in zip(frame.channels, row, strict=True):
                    found.values.setdefault(f"{frame.machine}/{name}", []).append(value)
    return found
