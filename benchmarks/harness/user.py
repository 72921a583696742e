"""Someone else at the broker: publishes rows of three channels, reads alerts and the agent's status, gives commands."""

import json
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.harness.patience import wait_until

START_TS = 1_600_000_000
FAULT_SHIFT = 12.0
"""In standard deviations of the noise: a fault that nobody could miss."""


class User:
    """A client at the broker.

    Args:
        enter: what the client needs before it connects, such as a password.
    """

    def __init__(self, port: int, *, enter: Callable[[mqtt.Client], None] | None = None) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.retained: dict[str, bytes] = {}
        self.status: dict[str, Any] = {}
        self.replies: dict[str, dict[str, Any]] = {}
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe([("alerts/#", 1), ("agents/#", 1)])
        subscribed = threading.Event()  # connected is not enough: what comes before the SUBACK is missed
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.reconnect_delay_set(1, 1)
        if enter is not None:
            enter(self._client)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        wait_until(subscribed.is_set, what="the user's subscription")

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        if message.topic.startswith("agents/"):
            kind = message.topic.split("/")[2]
            if kind == "status":
                self.status = json.loads(message.payload)
            elif kind == "reply":
                self.replies[message.topic.split("/")[3]] = json.loads(message.payload)
        elif message.topic.count("/") > 1:
            self.retained[message.topic] = bytes(message.payload)
        else:
            self.alerts.append(json.loads(message.payload))

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1
    ) -> mqtt.MQTTMessageInfo:
        """Any message at all."""
        return self._client.publish(topic, payload, qos=qos, retain=retain)

    def publish_rows(self, machine: str, first: int, last: int, *, shift: float = 0.0) -> int:
        """Rows [first, last) of a machine's life; returns how many once the broker has all of them."""
        infos = [
            self.publish(f"sensors/{machine}", json.dumps({"ts": START_TS + row, "values": values}).encode())
            for row, values in rows(machine, first, last, shift=shift)
        ]
        for info in infos:
            info.wait_for_publish(120)
        return len(infos)

    def machine(self, name: str) -> str:
        """The machine's state as the status message tells it."""
        return str(self.status.get("machines", {}).get(name, {}).get("state", ""))

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_message = (
            None  # ends the circle of references, so that paho closes its sockets at once
        )


def rows(
    machine: str, first: int, last: int, *, shift: float = 0.0
) -> Iterator[tuple[int, dict[str, float]]]:
    """Three channels that breathe together; `shift` moves `pressure` by so many noise deviations."""
    seed = sum(machine.encode())
    for row in range(first, last):
        noise = np.random.default_rng((seed, row)).normal(size=3)
        wave = math.sin(row / 7)
        yield (
            row,
            {
                "pressure": round(5 + wave + 0.1 * float(noise[0]) + 0.1 * shift, 4),
                "flow": round(40 - 4 * wave + 0.4 * float(noise[1]), 4),
                "current": round(12 + 0.5 * wave + 0.05 * float(noise[2]), 4),
            },
        )
