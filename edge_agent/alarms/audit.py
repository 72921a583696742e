"""Who asked for what, when, and what became of it: bounded, kept over restarts. Knows no broker and no clock.

What was obeyed and what was refused are kept apart, so that a flood of refused commands cannot wash away the record of
those that changed something.
"""

from dataclasses import dataclass, field

import msgspec

from edge_agent.alarms.requests import Reason, Result

AUDIT_VERSION = 1
DONE_LIMIT = 500
REFUSED_LIMIT = 100


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One command.

    Attributes:
        digest: of name and payload, to tell a repetition from another command with the same id.
        reply: as it was sent, to be sent again.
    """

    time_ns: int
    by: str
    command: str
    target: str
    request: str
    result: Result
    reason: Reason
    digest: bytes
    reply: bytes


@dataclass(slots=True)
class AuditLog:
    """The latest commands, oldest first."""

    version: int = AUDIT_VERSION
    done: list[AuditEntry] = field(default_factory=list)
    refused: list[AuditEntry] = field(default_factory=list)

    def add(self, entry: AuditEntry) -> None:
        """Write an entry down; the oldest of its kind makes room."""
        table, limit = (self.refused, REFUSED_LIMIT) if entry.result == "refused" else (self.done, DONE_LIMIT)
        table.append(entry)
        del table[:-limit]

    def find(self, request: str) -> AuditEntry | None:
        """The entry of a request id, if it is still remembered."""
        return next((entry for entry in (*self.done, *self.refused) if entry.request == request), None)


def encode(audit: AuditLog) -> bytes:
    """The audit log as bytes."""
    return msgspec.msgpack.encode(audit)


def decode(raw: bytes) -> AuditLog | None:
    """The log of `encode`; None where the bytes are damaged or of another version."""
    try:
        audit = msgspec.msgpack.decode(raw, type=AuditLog)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return audit if audit.version == AUDIT_VERSION else None
