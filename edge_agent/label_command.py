"""The bytes of a `label` command to the alarm and the fault that it names. Decides nothing.

The command is JSON on `agents/{agent}/cmd/label`: {"id": ..., "by": ..., "alarm": ..., "fault": ...}.
"""

import msgspec

PAYLOAD_LIMIT_BYTES = 4096


class LabelCommand(msgspec.Struct, frozen=True, kw_only=True):
    """This alarm was that fault.

    Attributes:
        id: of the command, for who asked.
        by: who says so.
    """

    alarm: str
    fault: str
    id: str = ""
    by: str = ""


def topic(agent: str) -> str:
    """Where the agent takes the command."""
    return f"agents/{agent}/cmd/label"


def decode(payload: bytes) -> LabelCommand | None:
    """The command; None where the bytes are none."""
    if len(payload) > PAYLOAD_LIMIT_BYTES:
        return None
    try:
        return msgspec.json.decode(payload, type=LabelCommand)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
