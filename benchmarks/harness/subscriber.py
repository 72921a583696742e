"""The subscriber: reads alerts and the agent's status, and keeps its own ledger of every message."""

import json
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.harness.patience import wait_until


@dataclass(frozen=True, slots=True)
class Heard:
    """One alert message and when it arrived, by the monotonic and by the wall clock."""

    at_s: float
    wall: datetime
    alert: dict[str, Any]


class Reader:
    """A subscriber whose session the broker keeps while it is away."""

    def __init__(self, port: int, *, name: str = "control-room") -> None:
        self.heard: list[Heard] = []
        """Every alert message on `alerts/{machine}`, repeats included, in order of arrival."""
        self.retained: dict[str, bytes] = {}
        self.status: dict[str, Any] = {}
        self.garbled: list[bytes] = []
        """What is no JSON: an agent never sends such."""
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe([("alerts/#", 1), ("agents/#", 1)])
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        wait_until(subscribed.is_set, what="the subscription")

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        now = time.monotonic()
        if message.topic.count("/") > 1 and message.topic.startswith("alerts/"):
            self.retained[message.topic] = bytes(message.payload)
        try:
            content = json.loads(message.payload or b"{}")
        except ValueError:
            self.garbled.append(bytes(message.payload))
            return
        if message.topic.endswith("/status"):
            self.status = content
        elif message.topic.startswith("alerts/") and content:
            self.heard.append(Heard(now, datetime.now(UTC), content))

    def state(self, machine: str) -> str:
        """Of a machine, as the agent's status tells it."""
        return str(self.status.get("machines", {}).get(machine, {}).get("state", ""))

    def alerts(self) -> list[dict[str, Any]]:
        """Each (id, revision) once, in order of arrival."""
        found: dict[tuple[str, int], dict[str, Any]] = {}
        for heard in list(self.heard):
            found.setdefault((heard.alert["id"], heard.alert["revision"]), heard.alert)
        return list(found.values())

    def open_ids(self) -> set[str]:
        """Ids that were opened and not closed."""
        closed = {alert["id"] for alert in self.alerts() if alert["state"] == "closed"}
        return {alert["id"] for alert in self.alerts()} - closed

    def close(self) -> None:
        """Leave; the broker keeps the session."""
        self._client.disconnect()
        self._client.loop_stop()
