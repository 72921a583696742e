"""Parts before a camera over a real broker, the agent killed again and again: one verdict on each, none lost."""

import base64
import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from benchmarks.harness.subscriber import Reader
from edge_agent.config.sections import SHIPPED_PICTURES
from edge_agent.formats.image.decoder import ImageSettings, pictures
from edge_agent.formats.origin import Origin
from edge_agent.model import picture as bundles
from edge_agent.model.session import PictureSession
from edge_agent.pipeline.cameras.desk import CameraDesk, CameraSettings
from edge_agent.pipeline.cameras.learning import learn
from edge_agent.records import Frame
from simulator.parts import part, png

pytestmark = [pytest.mark.broker, pytest.mark.slow]
SOURCE = (
    '[[source]]\ntopic = "cam/{machine}/{channel}"\nformat = "image"\n'
    '[source.image]\nsubject = "part"\nsize = 128\n[limits]\npayload_bytes = 1_000_000\n'
)
START_S, STEP_S = 1_700_000_000, 600
LEARNT, WORDS = 12, 8
SCRATCHED = (200, 203, 206, 207)
GOOD = [png(part("plate", number)) for number in range(24)]
BAD = [png(part("plate", number, "scratch")) for number in SCRATCHED]


class Verdicts:
    """A subscriber that the broker keeps messages for."""

    def __init__(self, port: int) -> None:
        self.heard: list[bytes] = []
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="sorter", clean_session=False)
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = lambda _client, _data, message: self.heard.append(bytes(message.payload))
        self._client.on_connect = lambda client, *_: client.subscribe("inspections/+", 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        wait_until(subscribed.is_set, what="the subscription")

    def by_part(self) -> dict[str, set[bytes]]:
        """All different messages on each part."""
        found: dict[str, set[bytes]] = {}
        for raw in self.heard.copy():
            found.setdefault(json.loads(raw)["part"], set()).add(raw)
        return found

    def close(self) -> None:
        self._client.loop_stop()
        self._client.disconnect()


def payloads(count: int) -> Iterator[bytes]:
    """After those that are learnt from: good ones, runs of bad ones, and now and then what is no picture."""
    for number in range(count):
        bad = number > LEARNT and number % 50 in range(20, 26)
        file = BAD[number % len(BAD)] if bad else GOOD[number % len(GOOD)]
        image = "none" if number > LEARNT and number % WORDS == 5 else base64.b64encode(file).decode()
        told = {"ts": START_S + STEP_S * number, "image": image, "part": f"part {number}"}
        yield json.dumps(told).encode()


@pytest.fixture
def agent(tmp_path: Path, tiny_bundle: Path, broker: Broker) -> Iterator[Agent]:
    agent = Agent(tmp_path, bundle=tiny_bundle, port=broker.port)
    text = agent.config.read_text().replace("[commission]\n", f"[commission]\nframes = {LEARNT}\n")
    agent.config.write_text(f"{text}{SOURCE}")
    yield agent.start().ready()
    agent.kill()


@pytest.mark.parametrize(
    ("frames", "kills"),
    [(70, 2), pytest.param(1000, 20, marks=pytest.mark.faults)],
)
def test_each_part_has_one_verdict_however_often_the_agent_dies(
    agent: Agent, broker: Broker, frames: int, kills: int
) -> None:
    verdicts, reader = Verdicts(broker.port), Reader(broker.port)
    camera = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="camera")
    camera.max_inflight_messages_set(1)
    camera.connect("127.0.0.1", broker.port)
    camera.loop_start()
    rng, sent = random.Random(1), list(payloads(frames))
    die_at = set(rng.sample(range(LEARNT + 1, frames), kills))
    for number, payload in enumerate(sent):
        camera.publish("cam/press-4/cam1", payload, qos=1).wait_for_publish(60)
        if number == LEARNT - 1:
            wait_until(lambda: agent.log("camera_learnt"), what="the camera to be learnt")
        if number in die_at:
            time.sleep(rng.random() * 0.3)
            agent.kill()
            agent.start().ready()
    pictured = [number for number, raw in enumerate(sent) if json.loads(raw)["image"] != "none"]
    wanted = {f"part {number}" for number in pictured}
    wait_until(lambda: verdicts.by_part().keys() >= wanted, what="a verdict on each", patience_s=180)
    found = verdicts.by_part()
    assert found.keys() == wanted
    assert [name for name, told in found.items() if len(told) != 1] == []
    told = {name: json.loads(next(iter(raw))) for name, raw in found.items()}
    assert len({one["id"] for one in told.values()}) == len(wanted)

    expected, alarms = undisturbed(sent)
    assert {name: (one["id"], one["verdict"]) for name, one in told.items()} == expected
    wait_until(
        lambda: {one["id"] for one in reader.alerts() if one["kind"] == "picture"} >= alarms, what="alarms"
    )
    assert {one["id"] for one in reader.alerts() if one["kind"] == "picture"} == alarms
    assert alarms
    assert not agent.log("internal_error")
    assert agent.stop() == 0
    camera.loop_stop()
    camera.disconnect()
    verdicts.close()
    reader.close()


def undisturbed(sent: list[bytes]) -> tuple[dict[str, tuple[str, str]], set[str]]:
    """What the same pictures come to where nothing dies: id and verdict of each part, and ids of alarms."""
    network = PictureSession(bundles.read(SHIPPED_PICTURES))
    desk = CameraDesk(network.look, network=network.bundle.digest, settings=CameraSettings(frames=LEARNT))
    decode, found, alarms = pictures(ImageSettings(subject="part", size=128)), {}, set()
    for payload in sent:
        frame = decode(payload, Origin("press-4", "cam1", time.time_ns(), 10**9))
        if isinstance(frame, Frame) and frame.picture is not None:
            desk.take(frame, frame.picture)
        for request in desk.requests():
            desk.install(learn(request))
        found |= {one.part: (one.id, one.verdict) for one in desk.inspections()}
        alarms |= {alarm.id for alarm in desk.alarms() if alarm.pictured is not None}
    return found, alarms
