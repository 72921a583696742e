"""What an optional part of the agent is: a source of messages, a sink of what was found, or both.

`agent` holds a list of parts and asks of none what it is. A part begins to work at `start`, may add to a turn or take
out of it in `poll`, and ends at `stop`; what else it may want to see or to show has a method here, too. All but `start`
and `stop` are called between two steps of the pipeline, by its thread, and must not wait.
"""

from collections.abc import Sequence
from dataclasses import replace

from edge_agent.alarms.home_assistant import HomeAssistant
from edge_agent.config.file import Config
from edge_agent.metrics.snapshot import Health, Snapshot
from edge_agent.metrics.waveform_gauges import WaveformGauges
from edge_agent.mqtt.connection import Connection
from edge_agent.mqtt.outbox import Message
from edge_agent.pipeline.results import StepResults
from edge_agent.records import Profile
from edge_agent.service.health import MACHINES_LIMIT
from edge_agent.service.turn import Turn, TurnProcessor
from edge_agent.signals.machine_rules import MachineFacts

_NOTHING_SAID = MachineFacts()


class AgentPart:
    """One of them; by itself it does nothing."""

    name: str
    """For people, where the part fails."""

    def start(self) -> None:
        """Begin to work; returns at once."""

    def poll(self, turn: Turn, processor: TurnProcessor) -> None:
        """Add to a turn, or take out of it, before it is made."""

    def stop(self) -> None:
        """Say good-bye; nothing is scored any more."""

    # -- what a part may want beside ------------------------------------------------------------------------

    @property
    def connections(self) -> Sequence[Connection]:
        """Its MQTT clients, for health and metrics; a lost one is set up anew by the agent."""
        return ()

    @property
    def filters(self) -> Sequence[str]:
        """Topics that it wants among the sensor messages, as of the start."""
        return ()

    def adopt(self, config: Config) -> None:
        """Go on by another configuration. Must not fail."""

    def observe_step(self, step: StepResults) -> None:
        """See what the pipeline made of a turn. Must not fail, nor take long."""

    def observe_profile(self, profile: Profile) -> None:
        """See a profile that is new or has changed. Must not fail."""

    def observe_forgotten(self, machine: str) -> None:
        """Know nothing of a machine any more. Must not fail."""

    def finish(self, processor: TurnProcessor) -> None:
        """The turn is made, what changed is on disk, and its messages are acknowledged."""

    def show(self, processor: TurnProcessor, *, snapshot: Snapshot, health: Health) -> None:
        """Twice a second: what the agent knows of itself."""

    def add_figures(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with what metrics say of this part."""
        return snapshot

    def amiss(self) -> Sequence[str]:
        """What keeps it from its work, for health."""
        return ()


class HomeAssistantPart(AgentPart):
    """Tells Home Assistant of the machines that are learnt, and takes back those that are not known any more."""

    name = "Home Assistant"

    def __init__(self, tell: HomeAssistant) -> None:
        self._tell = tell
        self._told: dict[str, tuple[str, str]] = {}
        """What people call each machine that was told, and where it is."""
        self._connects = 0

    def show(self, processor: TurnProcessor, *, snapshot: Snapshot, health: Health) -> None:  # noqa: ARG002
        """Tell what is new; all of it where the broker may have forgotten what it retained."""
        connects = sum(one.connects for one in snapshot.connections.values())
        if connects != self._connects:
            self._connects = connects
            self._told.clear()
        facts = processor.facts()
        learnt = [name for name, one in processor.pipeline.statuses().items() if one.learnt_ns is not None]
        for machine in learnt[:MACHINES_LIMIT]:
            said = facts.get(machine, _NOTHING_SAID)
            words = (said.display_name, said.location)
            if self._told.get(machine) != words:
                self._told[machine] = words
                for topic, payload in self._tell.entities(machine, called=words[0], location=words[1]):
                    processor.outbox.put(Message(("home_assistant", topic), topic, payload, retain=True))
        gone = self._told.keys() - processor.pipeline.machines.keys()
        for machine in gone:
            del self._told[machine]
            for topic in self._tell.topics(machine):
                processor.outbox.put(
                    Message(("home_assistant", topic), topic, b"", retain=True, durable=True)
                )


class WaveformPart(AgentPart):
    """Shows the latest features of fast samples on the metrics page."""

    name = "waveforms"

    def __init__(self) -> None:
        self._gauges = WaveformGauges()

    def observe_step(self, step: StepResults) -> None:
        """Take up the newest features."""
        self._gauges.take_frames(step.accepted)

    def add_figures(self, snapshot: Snapshot) -> Snapshot:
        """Their values."""
        return replace(snapshot, waveforms=self._gauges.latest)
