"""An operator's side of the broker: reads what agents say of their alarms, sends a command and waits for its answer.

For the command line; the agent itself is `service`. Knows no agent's memory, only its messages.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from edge_agent.config.file import Config
from edge_agent.config.sections import zone_of
from edge_agent.cycles.rules import SUFFIX
from edge_agent.errors import CommandError
from edge_agent.mqtt.egress import Egress
from edge_agent.mqtt.outbox import Message, Outbox
from edge_agent.records import ReceivedMessage
from edge_agent.service.wiring import broker_address
from edge_agent.topics import parse

_T = TypeVar("_T")
_TURN_S = 0.01
NO_WORD = "it takes the connection and says nothing: no MQTT broker, or one that wants TLS"
"""What to say of a broker where nothing else was said of it."""
_SETTLED_S = 0.3
"""Retained messages come in one burst: after so long without one there are no more."""


@dataclass(slots=True)
class AgentView:
    """What an agent says of itself: its status, and the alarms that are open.

    Attributes:
        alarms: id -> alert message.
    """

    status: Mapping[str, Any] = field(default_factory=dict)
    alarms: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def zone(self) -> tzinfo:
        """In which the agent tells people times; UTC where this computer does not know it."""
        try:
            return zone_of(str(self.status.get("timezone", "UTC")))
        except ValueError:
            return UTC


class OperatorClient:
    """One connection to the broker, for as long as the `with` lasts."""

    def __init__(self, config: Config, *, client_id: str, timeout_s: float) -> None:
        agent = config.agent.name
        template = parse(
            config.alerts.topic, allowed=frozenset({"machine", "agent"}), required=frozenset({"machine"})
        )
        self._agent = agent
        self._timeout_s = timeout_s
        self._where = f"{config.broker.host}:{config.broker.port}"
        self._status_topic = config.alerts.status_topic.replace("{agent}", agent)
        self._command_topic = config.commands.topic.replace("{agent}", agent)
        self._reply_topic = config.commands.reply_topic.replace("{agent}", agent)
        self._outbox = Outbox(limit=10)
        self._trouble = ""
        self._connection = Egress(
            broker_address(config),
            client_id=client_id,
            will=None,
            outbox=self._outbox,
            report=self._report,
            filters=(
                self._status_topic,
                f"{self._reply_topic}/+",
                f"{template.fill(machine='+', agent=agent)}/+",
                f"{template.fill(machine=f'+{SUFFIX}', agent=agent)}/+",
            ),
        )

    def __enter__(self) -> Self:
        self._connection.start()
        try:
            self._until(
                lambda: self._connection.listening or None,
                what=f"the broker at {self._where}",
                else_trouble=NO_WORD,
            )
        except CommandError:
            self._connection.stop()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._connection.stop()

    def view(self) -> AgentView:
        """The agent's status and the open alarms that it has retained.

        Raises:
            CommandError: the broker knows no agent of this name.
        """
        view = AgentView()
        settled_s = time.monotonic() + _SETTLED_S

        def gather() -> AgentView | None:
            nonlocal settled_s
            for heard in self._connection.drain_messages():
                settled_s = time.monotonic() + _SETTLED_S
                self._take_message(heard, view)
            return view if view.status and time.monotonic() >= settled_s else None

        return self._until(gather, what=f"the status of an agent named {self._agent}")

    def send(self, name: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a command; returns the agent's answer.

        Raises:
            CommandError: the agent refused it, or did not answer in time.
        """
        topic, payload = f"{self._command_topic}/{name}", msgspec.json.encode(fields)
        wanted = f"{self._reply_topic}/{fields['id']}"
        self._outbox.put(Message(("command",), topic, payload))

        def answer() -> Mapping[str, Any] | None:
            for heard in self._connection.drain_messages():
                if heard.topic == wanted and (reply := _decoded(heard.payload)):
                    return reply
            return None

        reply = self._until(answer, what=f"an answer of the agent {self._agent}")
        if reply.get("result") == "refused":
            reason = str(reply.get("reason", ""))
            raise CommandError(f"refused ({reason}): {reply.get('detail', '')}", reason)
        return reply

    def _take_message(self, heard: ReceivedMessage, view: AgentView) -> None:
        message = _decoded(heard.payload)
        if heard.topic == self._status_topic:
            view.status = message
        elif message.get("agent") == self._agent and "revision" in message:
            view.alarms[str(message["id"])] = message

    def _until(self, ask: Callable[[], _T | None], *, what: str, else_trouble: str = "") -> _T:
        """The first answer; asks until the time is over, and then says the trouble that was told, or the other."""
        end_s = time.monotonic() + self._timeout_s
        while time.monotonic() < end_s:
            self._connection.publish_waiting()
            if (answer := ask()) is not None:
                return answer
            time.sleep(_TURN_S)
        said = self._trouble or else_trouble
        trouble = f" ({said})" if said else ""
        raise CommandError(f"waited {self._timeout_s:g} s in vain for {what}{trouble}")

    def _report(self, event: str, **facts: object) -> None:
        if event in ("broker_unreachable", "subscription_refused", "broker_lost"):
            self._trouble = f"{event}: {facts.get('reason') or facts.get('topics')}"


def _decoded(payload: bytes) -> Mapping[str, Any]:
    """The message as a table; empty where it is none."""
    try:
        return msgspec.json.decode(payload, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}
