"""The bytes of a command to a checked request or a refusal, and the answer to bytes. Decides nothing, sends nothing.

A command is JSON on `agents/{agent}/cmd/{name}`. Unknown fields, wrong types, long texts and what cannot be printed
are refused whole: a mistyped `for_s` must not become shelving without end.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from edge_agent.alarms.maintenance import EVERY_MACHINE, to_ns

SCHEMA_VERSION = 1
PAYLOAD_LIMIT_BYTES = 4096
PART_LIMIT_BYTES = 80_000
"""Of a command that carries a part of a recording."""
PARTS_LIMIT = 400
NOBODY = "unidentified"
"""Last level of the reply's topic where the request's id cannot be read."""

Result = Literal["done", "unchanged", "refused"]
Reason = Literal[
    "",
    "too_large",
    "malformed",
    "unknown_command",
    "not_allowed",
    "id_reused",
    "expired",
    "too_long",
    "unknown_machine",
    "unknown_alarm",
    "no_open_alarm",
    "alarm_open",
    "anomalous",
    "busy",
    "too_many",
    "bad_name",
    "not_ready",
    "too_many_faults",
    "not_available",
    "not_acceptable",
    "looks_like_a_fault",
    "failed",
]
"""Why a command was refused. Bounded: readers act on it."""

RequestId = Annotated[
    str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$", description="Names the reply's topic; new for every request.")
]
By = Annotated[str, Meta(min_length=1, max_length=120, description="Who asks; kept in the audit log.")]
Comment = Annotated[str, Meta(max_length=500)]
Name = Annotated[str, Meta(min_length=1, max_length=300)]
PerWeek = Annotated[float, Meta(gt=0, le=10_000)]
DisplayName = Annotated[str, Meta(max_length=120)]
Part = Annotated[int, Meta(ge=1, le=PARTS_LIMIT)]
Fault = Annotated[str, Meta(min_length=1, max_length=64)]
Duration = Annotated[int, Meta(ge=1, le=366 * 86_400, description="Seconds from now.")]
Moment = Annotated[datetime, Meta(tz=True)]
Sent = Annotated[Moment | None, Meta(description="When it was sent; one that is too old is refused.")]


class Request(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every command says."""

    id: RequestId
    by: By
    comment: Comment = ""
    sent: Sent = None


class Ack(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """I have seen this alarm."""

    alarm: Name


class Shelve(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Call nobody for this machine for a while, or once: for as long as its present alarm is active."""

    machine: Name | None = None
    alarm: Name | None = None
    for_s: Duration | None = None
    until: Moment | None = None
    once: bool = False


class Unshelve(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Call for this machine again."""

    machine: Name | None = None
    alarm: Name | None = None


class Suppress(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """This machine, or "*" for all, is worked on: for a while, or until `unsuppress`."""

    machine: Name
    for_s: Duration | None = None
    until: Moment | None = None


class Unsuppress(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The work is done."""

    machine: Name


class Label(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """This alarm was that fault."""

    alarm: Name
    fault: Fault


class Accept(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What this notice, or alarm, tells of is normal from now on; or, with `undo`, is no longer."""

    alarm: Name
    undo: bool = False


class Recommission(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Forget what is normal for this machine and learn it afresh from now on."""

    machine: Name
    force: bool = False


class Relearn(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Learn this machine anew beside the profile that watches it; or decide what becomes of that."""

    machine: Name
    decision: Literal["begin", "take_new", "keep_old"] = "begin"
    force: bool = False


class Learn(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Learn this machine from a recording, of which this is a part; `edge-agent learn` makes and sends them."""

    machine: Name
    upload: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$", description="The same for all parts.")]
    part: Part
    parts: Part
    data: Annotated[str, Meta(max_length=70_000, description="Base64: zlib, in it MessagePack.")]


class Budget(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """So many false alarms a week are accepted of this machine; without a number, as the configuration says."""

    machine: Name
    per_week: PerWeek | None = None


class Rename(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """People call this machine so; an empty name: as the configuration says."""

    machine: Name
    name: DisplayName


class Forget(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Remove all that is known of this machine, for good."""

    machine: Name
    confirm: bool = False


COMMANDS: dict[str, type[Request]] = {
    "ack": Ack,
    "shelve": Shelve,
    "unshelve": Unshelve,
    "suppress": Suppress,
    "unsuppress": Unsuppress,
    "label": Label,
    "accept": Accept,
    "recommission": Recommission,
    "relearn": Relearn,
    "learn": Learn,
    "budget": Budget,
    "rename": Rename,
    "forget": Forget,
}
SEVERAL: tuple[type[Request], ...] = (Shelve, Unshelve, Suppress, Unsuppress, Relearn, Budget, Forget)
"""Commands whose `machine` may be a pattern."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command that is not obeyed."""

    reason: Reason
    detail: str
    id: str = ""
    by: str = ""


def decode(name: str, payload: bytes) -> Request | Refusal:
    """The command `name` with this payload."""
    kind = COMMANDS.get(name)
    limit_bytes = PART_LIMIT_BYTES if kind is Learn else PAYLOAD_LIMIT_BYTES
    if len(payload) > limit_bytes:
        return Refusal("too_large", f"longer than {limit_bytes} bytes")
    if kind is None:
        return _refused(payload, "unknown_command", f"known: {', '.join(COMMANDS)}")
    try:
        request = msgspec.json.decode(payload, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _refused(payload, "malformed", str(error))
    if contradiction := _contradiction(request):
        return _refused(payload, "malformed", contradiction)
    return request


def _contradiction(request: Request) -> str:
    """What the types do not say."""
    for field in request.__struct_fields__:
        value = getattr(request, field)
        if isinstance(value, str) and not value.isprintable():
            return f"{field} holds what cannot be printed"
    if isinstance(request, Shelve | Unshelve) and (request.machine is None) == (request.alarm is None):
        return "name either the machine or the alarm"
    if isinstance(request, Shelve):
        given = (request.for_s is not None) + (request.until is not None) + request.once
        return "" if given == 1 else "say one of for_s, until and once"
    if isinstance(request, Suppress) and request.for_s is not None and request.until is not None:
        return "say for_s or until, not both"
    return ""


class _Sender(Struct):
    id: RequestId
    by: By = ""


def _refused(payload: bytes, reason: Reason, detail: str) -> Refusal:
    """A refusal that reaches its sender where the request at least has an id."""
    try:
        sender = msgspec.json.decode(payload, type=_Sender)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Refusal(reason, detail)
    if not (sender.id + sender.by).isprintable():  # "$" in a pattern lets a line feed pass
        return Refusal(reason, detail)
    return Refusal(reason, detail, id=sender.id, by=sender.by)


def until_ns(request: Shelve | Suppress, *, now_ns: int) -> int | None:
    """When the command wants its effect to end; None where it names no time."""
    if request.for_s is not None:
        return now_ns + request.for_s * 1_000_000_000
    return None if request.until is None else to_ns(request.until)


def target(request: Request) -> str:
    """What the command is about, for the audit log."""
    named = (getattr(request, field, None) for field in ("alarm", "machine"))
    return next((name for name in named if name is not None), EVERY_MACHINE)


class Reply(Struct, frozen=True, kw_only=True):
    """What became of a command."""

    schema_version: int = SCHEMA_VERSION
    agent: str
    request: Annotated[str, Meta(description="The request's id; empty where it could not be read.")]
    command: str
    result: Result
    reason: Annotated[Reason, Meta(description="Why it was refused, one word; empty otherwise.")]
    detail: Annotated[str, Meta(description="The same for people.")]
    time: str


def encode_reply(reply: Reply) -> bytes:
    """The reply's message."""
    return msgspec.json.encode(reply)
