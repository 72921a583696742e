"""What agents themselves say at the broker: no source may take it for sensor data. Opens no connection.

A source may be wide (`{machine}/#` at a unified namespace): what agents say is left out of it, silently and before
anything is counted, or each status would be a row that changes the next status. The same words of neighbouring agents
are left out, too. A source that could hear nothing else is refused.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from edge_agent.alarms.home_assistant import own_filter
from edge_agent.config.alarms import CommandsSection, LifecycleSection
from edge_agent.config.sections import AlertsSection
from edge_agent.topics import filter_covers, filters_overlap

_SPARKPLUG = ("spBv1.0/STATE/+", "spBv1.0/+/NCMD/+", "spBv1.0/+/DCMD/+/+")
_TOPICS_REMEMBERED = 4096


def own_filters(
    alerts: AlertsSection,
    commands: CommandsSection,
    lifecycle: LifecycleSection,
    *,
    sparkplug: bool,
    home_assistant: str = "",
) -> tuple[str, ...]:
    """MQTT filters of all that an agent of these sections, of whatever name, publishes or is told.

    Args:
        alerts: where it says its alarms, and its status.
        commands: where it is told something, and answers.
        lifecycle: where it tells of floods.
        sparkplug: whether it hosts a namespace.
        home_assistant: below which topic it tells Home Assistant of its machines; "" where it does not.
    """
    texts = [
        f"{alerts.topic}/#",  # an open alarm is retained under its id
        alerts.status_topic,
        alerts.receipt_topic,
        alerts.inspection_topic,
        commands.topic and f"{commands.topic}/#",
        f"{commands.reply_topic}/#",
        lifecycle.flood_topic,
        "agents/{agent}/echo",
        "agents/{agent}/doctor",
        "agents/+/members/#",  # of agents that share machines, in whatever group
        "agents/+/profiles/#",
        home_assistant and own_filter(home_assistant),
        *(_SPARKPLUG if sparkplug else ()),
    ]
    return tuple(
        dict.fromkeys(text.replace("{agent}", "+").replace("{machine}", "+") for text in texts if text)
    )


def own_words(own: Sequence[str], heard: Sequence[str]) -> Callable[[str], bool]:
    """The function that tells whether a topic of these sources' filters is an agent's own."""
    mixed = [one for one in own if any(filters_overlap(one, source) for source in heard)]

    @lru_cache(maxsize=_TOPICS_REMEMBERED)
    def is_own(topic: str) -> bool:
        return any(filter_covers(one, topic) for one in mixed)

    return is_own if mixed else lambda _topic: False


def swallowed(own: Sequence[str], heard: Sequence[str]) -> Iterator[tuple[int, str]]:
    """(number of a source, the agents' own filter) for each source that could hear nothing but agents' own words."""
    for number, source in enumerate(heard):
        for one in own:
            if filter_covers(one, source):
                yield number, one
