"""The command `learn`: a machine's history in a file, handed to the running agent, or to a state directory at rest."""

import getpass
import json
import re
import socket
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.cli.options import (
    AgentName,
    AsJson,
    BrokerAddress,
    Columns,
    ConfigFile,
    NoColumns,
    TimeForm,
    TimeZone,
    client_id,
    configuration,
    listed,
    time_rule,
)

if TYPE_CHECKING:
    from edge_agent.cli.operator_client import OperatorClient
    from edge_agent.config.file import Config
    from edge_agent.recordings.tables import Recording
    from edge_agent.records import Frame

_LOOKED_EVERY_S = 1.0


def learn(  # noqa: PLR0913 - each is an option of the command
    machine: Annotated[str, typer.Argument(help="The machine's name, as its topic has it.")],
    file: Annotated[Path, typer.Argument(help="Its history: a table of any form that `replay` reads.")],
    *,
    config: ConfigFile = None,
    broker: BrokerAddress = None,
    agent: AgentName = None,
    rows: Annotated[
        int | None,
        typer.Option(help="Latest rows to learn from; without it, as many as [commission] says.", min=1),
    ] = None,
    channels: Columns = None,
    exclude: NoColumns = "",
    rename: Annotated[
        list[str] | None,
        typer.Option(help='What a column is called in the messages: "Druck [bar]=pressure".'),
    ] = None,
    timezone: TimeZone = "",
    time_format: TimeForm = "",
    offline: Annotated[
        bool, typer.Option("--offline", help="No agent runs: write what is learnt into its state directory.")
    ] = False,
    by: Annotated[str | None, typer.Option(help="Who asks; user@host without it.")] = None,
    comment: Annotated[str, typer.Option(help="Kept in the agent's audit log.")] = "",
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.", min=0.1)] = 10.0,
    wait: Annotated[float, typer.Option(help="Seconds to wait until it is learnt.", min=0)] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Learn a machine from a recording, over the running agent."""
    from edge_agent.recordings import tables

    settings = configuration(config, broker=broker, agent=agent)
    recording = tables.read(
        file,
        channels=listed(channels) or None,
        exclude=listed(exclude),
        times=time_rule(timezone, time_format),
    )
    frame = _frame(machine, recording, rows=rows or settings.commission.rows, renamed=_renamed(rename or ()))
    said = _understood(recording, frame)
    if not as_json:
        _tell(said)
    if offline:
        told: Mapping[str, Any] = _write(settings, frame)
    else:
        asked = {
            "machine": machine,
            "comment": comment,
            "by": by or f"{getpass.getuser()}@{socket.gethostname()}",
        }
        told = _send(settings, frame, asked, timeout_s=timeout, wait_s=wait)
    if as_json:
        sys.stdout.write(json.dumps({**told, "understood": said}) + "\n")
    else:
        for line in str(told["detail"]).splitlines():
            _tell(line)


def _renamed(pairs: Sequence[str]) -> dict[str, str]:
    """Column -> channel.

    Raises:
        UsageError: one is no pair.
    """
    from edge_agent.errors import UsageError

    found = {}
    for pair in pairs:
        column, mark, channel = pair.rpartition("=")
        if not (mark and column and channel):
            raise UsageError(f"--rename {pair}: say COLUMN=CHANNEL")
        found[column] = channel
    return found


def _frame(machine: str, recording: "Recording", *, rows: int, renamed: Mapping[str, str]) -> "Frame":
    """The latest rows of a recording, by the names of the messages.

    Raises:
        UsageError: a column that is renamed is not there, or a name cannot be one.
    """
    from edge_agent.errors import UsageError
    from edge_agent.recordings.replay import row_times_ns
    from edge_agent.records import Frame
    from edge_agent.topics import is_name

    if absent := [name for name in renamed if name not in recording.channels]:
        raise UsageError(f"{recording.name} has no column {', '.join(absent)}")
    channels = tuple(renamed.get(name) or _as_name(name) for name in recording.channels)
    if odd := [name for name in channels if not is_name(name)]:
        raise UsageError(f"{odd[0]!r} cannot be a channel's name: --rename {odd[0]!r}=NAME")
    if len(set(channels)) < len(channels):
        raise UsageError("two columns would be one channel")
    if not is_name(machine):
        raise UsageError(f"{machine!r} cannot be a machine's name: it is a level of its topic")
    times = row_times_ns(recording)[-rows:]
    return Frame(machine, channels, times.tolist(), recording.values[-rows:])


def _as_name(column: str) -> str:
    """A column's name as a channel's: without the unit, or the signs, that a topic's level must not have."""
    from edge_agent.topics import is_name

    if is_name(column):
        return column
    return re.sub(r"[/+#]+", "_", re.sub(r"\s*[(\[{][^)\]}]*[)\]}]", "", column).strip() or column)


def _understood(recording: "Recording", frame: "Frame") -> str:
    """What was read and assumed, in a line."""
    first, last = (datetime.fromtimestamp(frame.times_ns[at] / 1e9, UTC) for at in (0, -1))
    span = (
        f"{first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC"
        if recording.times_ns is not None
        else "no times"
    )
    count = len(recording.values)
    told = (
        f"{len(frame.rows)} rows"
        if len(frame.rows) == count
        else f"the latest {len(frame.rows)} of {count} rows"
    )
    notes = f" ({'; '.join(recording.notes)})" if recording.notes else ""
    return f"{recording.name}: {told} of {', '.join(frame.channels)}; {span}{notes}"


def _tell(line: str) -> None:
    from edge_agent.logs import printable

    sys.stdout.write(printable(line) + "\n")
    sys.stdout.flush()


def _send(
    settings: "Config", frame: "Frame", asked: Mapping[str, str], *, timeout_s: float, wait_s: float
) -> Mapping[str, Any]:
    """Send the rows part by part, and wait until they are learnt; what came of it.

    Raises:
        CommandError: the agent refused them or does not answer, or they could not be learnt.
        UsageError: there are too many rows.
    """
    from edge_agent.alarms.management.uploads import packed
    from edge_agent.cli.operator_client import OperatorClient
    from edge_agent.errors import UsageError

    try:
        parts = packed(frame)
    except ValueError as error:
        raise UsageError(str(error)) from error
    upload = uuid.uuid4().hex
    with OperatorClient(settings, client_id=client_id("learn"), timeout_s=timeout_s) as client:
        reply: Mapping[str, Any] = {}
        for number, data in enumerate(parts, start=1):
            fields = {"id": uuid.uuid4().hex, "sent": datetime.now(UTC).isoformat(), **asked}
            told = {"upload": upload, "part": number, "parts": len(parts), "data": data}
            reply = client.send("learn", {**fields, **told})
        if wait_s > 0 and reply["result"] == "done":
            outcome = _outcome(client, frame.machine, wait_s=wait_s)
            reply = {**reply, "detail": f"{reply['detail']}\n{outcome}"}
    return reply


def _outcome(client: "OperatorClient", machine: str, *, wait_s: float) -> str:
    """What the agent says of the machine once it has learnt.

    Raises:
        CommandError: it could not be learnt.
    """
    from edge_agent.errors import CommandError

    end_s = time.monotonic() + wait_s
    time.sleep(_LOOKED_EVERY_S)  # a status of before says nothing
    while time.monotonic() < end_s:
        one = client.view().status.get("machines", {}).get(machine, {})
        following = one.get("relearning", {})
        if one.get("state") == "failed" or following.get("stage") == "failed":
            raise CommandError(
                f"{machine} was not learnt: {following.get('told') or one.get('reason', '')}", "failed"
            )
        if following.get("stage") in ("comparing", "waiting"):
            return f"{machine}: a new profile is learnt; the old one watches until both were compared with what comes"
        if one.get("state") == "ready" and not following:
            return f"{machine} is learnt, and watched from its next row"
        time.sleep(_LOOKED_EVERY_S)
    return f"{machine} is not learnt yet after {wait_s:g} s: see `edge-agent machines show {machine}`"


def _write(settings: "Config", frame: "Frame") -> Mapping[str, Any]:
    """Learn here, and write the profile where the agent will find it.

    Raises:
        StateError: an agent runs on this directory, or it cannot be written.
        CommandError: the machine is learnt already. CommissionError: nothing can be learnt.
    """
    from edge_agent.errors import CommandError
    from edge_agent.pipeline.learning import learn as learn_from
    from edge_agent.pipeline.relearning.from_rows import request_of
    from edge_agent.service.wiring import load_scorer, pipeline_settings
    from edge_agent.store.state_dir import StateDir

    scorer, rules = load_scorer(settings, expecting=False), pipeline_settings(settings)
    store = StateDir(settings.agent.state_dir)
    store.open()
    try:
        known = {profile.machine for profile in store.load(encoder=scorer.bundle.encoder).profiles}
        if frame.machine in known:
            raise CommandError(
                f"{frame.machine} is learnt already: start the agent and use `learn` without --offline",
                "busy",
            )
        profile = learn_from(request_of(frame, scorer=scorer, settings=rules), scorer=scorer, settings=rules)
        path = store.save_profile(profile)
    finally:
        store.close()
    return {
        "result": "done",
        "detail": f"{frame.machine} is learnt: {path}; the agent watches it from its start",
    }
