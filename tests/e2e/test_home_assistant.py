"""Learnt machines appear in Home Assistant, and go with `forget`; what is told is not read back as sensor data."""

import json
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from benchmarks.harness.user import User

pytestmark = pytest.mark.broker


class Listener:
    """What Home Assistant would hear."""

    def __init__(self, port: int) -> None:
        self.told: dict[str, bytes] = {}
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _c, _u, message: self.told.update({message.topic: message.payload})
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("homeassistant/#", 1)
        self._client.loop_start()

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_message = None


def test_a_learnt_machine_is_told_and_forgotten(broker: Broker, tmp_path: Path, tiny_bundle: Path) -> None:
    agent = Agent(
        tmp_path,
        bundle=tiny_bundle,
        port=broker.port,
        commission_rows=300,
        settings={"home_assistant": "enabled = true", "commands": 'allow = ["forget"]'},
    )
    wide = '[[source]]\ntopic = "{kind}/{machine}/#"\nformat = "json"\n'  # would hear what is told, too
    agent.config.write_text(agent.config.read_text() + wide)
    agent.start().ready()
    user, listener = User(broker.port), Listener(broker.port)
    try:
        sent = user.publish_rows("press-1", 0, 200)
        agent.wait_received(sent)
        assert not listener.told  # nothing is learnt yet
        sent += user.publish_rows("press-1", 200, 340)
        wait_until(lambda: len(listener.told) == 3, what="the machine's entities")
        alarm = next(json.loads(one) for topic, one in listener.told.items() if "/alarm/" in topic)
        assert alarm["state_topic"] == "agents/hall/status"
        late = Listener(broker.port)
        wait_until(lambda: late.told == listener.told, what="retained messages for who comes late")
        late.close()
        user.publish(
            "agents/hall/cmd/forget",
            json.dumps({"machine": "press-1", "id": "r1", "by": "t", "confirm": True}).encode(),
        )
        wait_until(lambda: not any(listener.told.values()), what="the entities to be taken back")
        assert agent.ledger()["received"] == sent
    finally:
        listener.close()
        user.close()
        agent.kill()
