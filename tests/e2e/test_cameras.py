"""A camera over a real broker: learnt from its pictures, killed while it learns and while it alarms, and over."""

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from benchmarks.harness.subscriber import Reader
from tests.support.scenes import jpeg, scene

pytestmark = pytest.mark.broker
SOURCE = '[[source]]\ntopic = "cam/{machine}/{channel}"\nformat = "image"\n[source.image]\nsize = 128\n'
START_S = 1_700_000_000
FRAMES = 12


class Camera:
    """Publishes pictures a second of their own time apart."""

    def __init__(self, port: int) -> None:
        self.sent = 0
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="camera")
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def send(self, files: Sequence[bytes]) -> None:
        for file in files:
            payload = {"ts": START_S + self.sent, "image": base64.b64encode(file).decode()}
            self._client.publish("cam/press-4/cam1", json.dumps(payload), qos=1).wait_for_publish(20)
            self.sent += 1

    def close(self) -> None:
        self._client.loop_stop()
        self._client.disconnect()


@pytest.fixture
def agent(tmp_path: Path, tiny_bundle: Path, broker: Broker) -> Iterator[Agent]:
    agent = Agent(tmp_path, bundle=tiny_bundle, port=broker.port)
    text = agent.config.read_text().replace("[commission]\n", f"[commission]\nframes = {FRAMES}\n")
    agent.config.write_text(f"{text}{SOURCE}[limits]\npayload_bytes = 1_000_000\n")
    yield agent.start().ready()
    agent.kill()


def accepted(agent: Agent) -> float:
    return agent.metric('edge_agent_messages_total{outcome="accepted"}')


def test_a_camera_from_its_first_picture_to_the_end_of_its_alarm(agent: Agent, broker: Broker) -> None:
    camera, reader = Camera(broker.port), Reader(broker.port)
    camera.send([jpeg(scene(number)) for number in range(5)])
    wait_until(lambda: len(list(agent.state.glob("cameras/*.gathered/*"))) == 5, what="five kept pictures")
    agent.kill()
    camera.send([jpeg(scene(number)) for number in range(5, FRAMES)])
    agent.start().ready()
    wait_until(lambda: agent.log("camera_learnt"), what="the camera to be learnt")
    assert list(agent.state.glob("cameras/*.npz"))
    assert not list(agent.state.glob("cameras/*.gathered/*"))
    camera.send([jpeg(scene(number)) for number in range(20, 24)])
    camera.send([b"\xff\xd8\xff no picture"] * 2)
    camera.send([jpeg(scene(number, scratch=True)) for number in range(30, 32)])
    alert = wait_until(lambda: _pictured(reader), what="the alert")[-1]
    assert alert["kind"] == "picture"
    assert alert["state"] == "open"
    assert alert["picture"]["camera"] == "cam1"
    box = alert["picture"]["boxes"][0]
    assert 0.2 < box["x"] + box["width"] / 2 < 0.6
    assert box["y"] + box["height"] / 2 > 0.6
    assert len(base64.b64decode(alert["picture"]["map"])) == 1024
    agent.kill()
    agent.start().ready()
    camera.send([jpeg(scene(number)) for number in range(40, 52)])
    over = wait_until(lambda: [one for one in _pictured(reader) if one["state"] == "closed"], what="the end")
    assert {one["id"] for one in _pictured(reader)} == {alert["id"]}
    assert over[-1]["summary"].startswith("press-4 looks usual again to cam1.")

    assert not agent.log("internal_error")
    assert agent.stop() == 0
    camera.close()
    reader.close()


def _pictured(reader: Reader) -> list[dict[str, object]]:
    return [one for one in reader.alerts() if one.get("kind") == "picture"]
