"""A verdict on a part as the message that subscribers read; its form is fixed in docs/inspection.schema.json."""

from typing import Any

import msgspec

from edge_agent.alarms.payload import rfc3339
from edge_agent.mqtt.outbox import VERDICT, Message
from edge_agent.pipeline.cameras.inspection import Inspection
from edge_agent.topics import Template

SCHEMA_VERSION = 1
_DIGITS = 4


def message(found: Inspection, *, agent: str, topic: Template) -> Message:
    """It is kept until the broker has it, over restarts, too."""
    return Message(
        key=(VERDICT, found.id),
        topic=topic.fill(machine=found.machine, agent=agent),
        payload=msgspec.json.encode(_payload(found, agent=agent)),
        durable=True,
    )


def _payload(found: Inspection, *, agent: str) -> dict[str, Any]:
    kind = {"name": found.kind, "probability": found.probability} if found.kind else None
    return {
        "schema_version": SCHEMA_VERSION,
        "id": found.id,
        "agent": agent,
        "machine": found.machine,
        "camera": found.camera,
        "part": found.part,
        "time": rfc3339(found.time_ns),
        "verdict": found.verdict,
        "why": found.why,
        "score": None if found.score is None else round(found.score, _DIGITS),
        "kind": kind,
        "boxes": [
            {
                "x": round(box.x, _DIGITS),
                "y": round(box.y, _DIGITS),
                "width": round(box.width, _DIGITS),
                "height": round(box.height, _DIGITS),
                "score": round(box.score, _DIGITS),
            }
            for box in found.boxes
        ],
        "model": found.model,
    }
