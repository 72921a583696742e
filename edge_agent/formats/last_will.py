"""What devices' last wills say: that a machine is gone, or there. No sensor data, hence no rows. Pure.

A device leaves its will with the broker, which says it when the device is lost; mostly as a retained message, with a
word for "there" once it is back. What is retained counts: it is a state. Forms read: a bare word (`Offline`), and JSON
with the word at a place (`{"state": "offline"}`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import MaxLen, MinLen

from edge_agent.formats.items import read_json
from edge_agent.formats.mapping.pointer import at, parse_pointer
from edge_agent.records import Delivery, Reject, SourceEvents, Stale
from edge_agent.topics import NamePattern, Template, is_name

WILL = "will"
"""What `format` of a `[[source]]` says of topics that tell whether machines are there."""


@dataclass(frozen=True, slots=True)
class WillSettings:
    """The section `[source.will]`.

    Attributes:
        gone: words for "gone", in any case; every other says that the machine is there.
        place: of the word, where the message is JSON; "" where it is the message.
    """

    gone: Annotated[tuple[str, ...], MinLen(1), MaxLen(20)] = field(
        default=("offline", "false", "0", "lost", "disconnected", "dead")
    )
    place: str = ""

    def __post_init__(self) -> None:
        """Refuse a place that is none.

        Raises:
            ValueError: says what is wrong with it.
        """
        parse_pointer(self.place)


@dataclass(frozen=True, slots=True)
class WillTopic:
    """A family of topics that tell whether machines are there."""

    template: Template
    machine: NamePattern
    settings: WillSettings


class LastWills:
    """Parts what wills say from sensor data."""

    def __init__(self, topics: Sequence[WillTopic]) -> None:
        self._topics = tuple(topics)

    def part(self, deliveries: list[Delivery]) -> tuple[list[Delivery], list[SourceEvents], dict[str, bool]]:
        """(the messages that are no wills, what the others come to, whether each machine that they name is there)."""
        if not self._topics:
            return deliveries, [], {}
        rest: list[Delivery] = []
        events: list[SourceEvents] = []
        there: dict[str, bool] = {}
        for delivery in deliveries:
            told = self._read(delivery)
            if told is None:
                rest.append(delivery)
            elif isinstance(told, Reject):
                events.append(SourceEvents(outcome=told))
            else:
                machine, gone = told
                stale = (Stale(machine, delivery.received_ns, "ddeath"),) if gone else ()
                events.append(SourceEvents(stale, "accepted"))
                there[machine] = not gone
        return rest, events, there

    def _read(self, delivery: Delivery) -> tuple[str, bool] | Reject | None:
        """(the machine, whether it is gone); None where it is no will."""
        for topic in self._topics:
            found = topic.template.match(delivery.topic)
            if found is None:
                continue
            if not all(map(is_name, found.values())) or not is_name(machine := topic.machine.fill(found)):
                return Reject("bad_topic", ascii(delivery.topic[:120]))
            word = _word(delivery.payload, topic.settings.place)
            if isinstance(word, Reject):
                return word
            gone = {one.casefold() for one in topic.settings.gone}
            return machine, word.casefold() in gone
        return None


def _word(payload: bytes, place: str) -> str | Reject:
    """The word that a message says."""
    if not place:
        try:
            return payload.decode().strip().strip('"')
        except UnicodeDecodeError:
            return Reject("not_utf8")
    item: Any = read_json(payload)
    if isinstance(item, Reject):
        return item
    found = at(item, parse_pointer(place))
    if isinstance(found, bool):
        return str(found)
    if not isinstance(found, str | int):
        return Reject("no_values", f"no word at {place}")
    return str(found)
