"""All that a source says of how its messages are read, beside their wire format. Reads nothing itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.formats.mapping.names import NameTemplate
from edge_agent.formats.mapping.quality import QualityReader
from edge_agent.formats.mapping.times import TimeRule
from edge_agent.formats.mapping.values import ValueReader, ValueRule

_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Reading:
    """How names, numbers, times and quality are read.

    Attributes:
        values, time: of numbers and times. quality: None where nothing says it.
        machine: of a name that the payload says; None where the topic alone names the machine.
        channel: of a channel's name, with `{name}` for what the payload calls it; None: that name, behind the topic's.
    """

    values: ValueReader = field(default_factory=lambda: ValueReader(ValueRule()))
    time: TimeRule = field(default_factory=TimeRule)
    quality: QualityReader | None = None
    machine: NameTemplate | None = None
    channel: NameTemplate | None = None

    @property
    def has_sentinels(self) -> bool:
        """Whether some numbers say that there is no value, so that each must be looked at."""
        return bool(self.values.sentinels)

    def channel_name(
        self,
        name: str,
        *,
        topic_channel: str | None,
        words: Mapping[str, str] = _NOTHING,
        documents: Sequence[object] = (),
        alone: bool = False,
    ) -> str:
        """What a channel is called; "" where its template has nothing to stand for.

        Args:
            name: what the payload calls it.
            topic_channel: what the topic does.
            words: what topic levels and keys stand for.
            documents: where places are looked for.
            alone: whether the payload has this one value, so that the topic's name is enough.
        """
        if self.channel is not None:
            return self.channel.fill({"name": name, **words}, documents) or ""
        if topic_channel is None:
            return name
        if alone or not name or name.lower() == topic_channel.lower():
            return topic_channel
        return f"{topic_channel}.{name}"


PLAIN = Reading()
"""Of a source that says nothing of the kind."""
