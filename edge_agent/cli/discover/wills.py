"""Topics at which devices, or the broker for them, say whether they are there, as sources of last wills. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.cli.discover.families import Family
from edge_agent.cli.discover.readings import HeardTopic
from edge_agent.formats.last_will import WILL

_WORDS = frozenset({"online", "offline", "connected", "disconnected", "lost"})
_PLACES = ("state", "status", "availability")


def will_place(topic: HeardTopic) -> str | None:
    """The place of the words by which a topic says that somebody is there, or gone; None where it says neither."""
    places = {_place(delivery.payload) for delivery in topic.kept}
    return places.pop() if len(places) == 1 else None


def _place(payload: bytes) -> str | None:
    text = payload.decode("utf-8", "replace").strip()
    if text.strip('"').casefold() in _WORDS:
        return ""
    try:
        item = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        return None
    if isinstance(item, dict) and len(item) == 1:
        key, word = next(iter(item.items()))
        if key in _PLACES and isinstance(word, str) and word.casefold() in _WORDS:
            return f"/{key}"
    return None


def will_sources(
    topics: Mapping[str, str], families: Sequence[Family]
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """(sources that hear these topics as wills of the machines that families name, topics that belong to none).

    Args:
        topics: the place of the word, by topic.
        families: the sources of values.
    """
    found: dict[str, Mapping[str, Any]] = {}
    homeless: list[str] = []
    for topic, place in topics.items():
        source = next(
            (one for family in families if (one := _source(topic, place, family)) is not None), None
        )
        if source is None:
            homeless.append(topic)
        else:
            found.setdefault(str(source["topic"]), source)
    return [*found.values()], homeless


def _source(topic: str, place: str, family: Family) -> Mapping[str, Any] | None:
    """The source of a will that stands beside, or below, the values of a family's machine; None where it does not."""
    machine, parts = str(family.source["machine"]), topic.split("/")
    front = str(family.source["topic"]).split("/")[: len(parts) - 1]
    above = parts[: len(front)]
    fits = all(one.startswith("{") or one in ("+", other) for one, other in zip(front, above, strict=True))
    if len(front) != len(parts) - 1 or not fits or "{/" in machine:
        return None
    holes = [one for one in front if one.startswith("{")]
    if any(f"{{{word}}}" not in holes for word in _words(machine)) or not holes:
        return None
    source: dict[str, Any] = {"topic": "/".join([*front, parts[-1]]), "machine": machine, "format": WILL}
    return {**source, "will": {"place": place}} if place else source


def _words(pattern: str) -> list[str]:
    return [part.split("}")[0] for part in pattern.split("{")[1:]]
