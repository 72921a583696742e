"""The Node-RED peer judges what it says it judges, and answers as the other peers do."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from benchmarks.performance.peers import node_red
from benchmarks.performance.peers import run as peers

WINDOW_ROWS = 128
_RUN = """
const body = require("fs").readFileSync(process.argv[1], "utf8");
const held = new Map(), tally = { heard: 0 };
const context = { get: (name) => held.get(name), set: (name, value) => held.set(name, value) };
const global_ = { get: () => tally };
const judge = new Function("msg", "context", "global", body);
const said = JSON.parse(require("fs").readFileSync(0, "utf8")).map((msg) => judge(msg, context, global_));
console.log(JSON.stringify({ said, heard: tally.heard }));
"""


def judged(messages: list[dict[str, Any]]) -> dict[str, Any]:
    if shutil.which("node") is None:
        pytest.skip("there is no node here")
    command = ["node", "-e", _RUN, str(node_red.HERE / "judge.js")]
    done = subprocess.run(command, input=json.dumps(messages), capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def message(machine: str, values: dict[str, Any]) -> dict[str, Any]:
    return {"topic": f"sensors/{machine}", "payload": {"ts": 0, "values": values}}


def rows_of(rng: np.random.Generator, *, rows: int) -> np.ndarray:
    return np.round(100.0 + np.clip(rng.normal(size=rows), -2.5, 2.5), 3)


def test_it_is_the_distance_to_the_moving_mean_in_moving_standard_deviations() -> None:
    values = rows_of(np.random.default_rng(0), rows=400)
    values[300] += 40.0
    found = judged([message("a", {"c0": value}) for value in values])
    assert found["heard"] == 400
    last = [values[max(0, at - WINDOW_ROWS) : at] for at in range(400)]
    expected = [
        abs(value - kept.mean()) / kept.std() if len(kept) == WINDOW_ROWS else 0.0
        for value, kept in zip(values, last, strict=True)
    ]
    told = [0.0 if said is None else said["payload"]["deviation"] for said in found["said"]]
    assert [deviation > 0 for deviation in told] == [deviation > 5 for deviation in expected]
    assert told[300] == pytest.approx(expected[300], rel=1e-6)
    assert found["said"][300]["topic"] == "alerts/a"


def test_a_block_is_its_rows_and_machines_and_channels_are_apart() -> None:
    rng = np.random.default_rng(1)
    normal, other = rows_of(rng, rows=200), rows_of(rng, rows=200) * 50
    broken = normal.copy()
    broken[150] += 40.0
    found = judged(
        [
            message("a", {"c0": normal.tolist(), "c1": other.tolist()}),
            message("b", {"c0": other.tolist(), "c1": broken.tolist()}),
        ]
    )
    assert found["said"][0] is None
    assert found["said"][1]["payload"]["machine"] == "b"


@pytest.mark.broker
@pytest.mark.node_red
def test_the_flow_takes_every_message_and_publishes_alerts(tmp_path: Path) -> None:
    if (why := node_red.absent()) is not None:
        pytest.skip(why)
    values = rows_of(np.random.default_rng(2), rows=300)
    values[200] += 40.0
    heard: list[mqtt.MQTTMessage] = []
    user = mqtt.Client(CallbackAPIVersion.VERSION2)
    user.on_message = lambda _client, _data, told: heard.append(told)
    broker = Broker(tmp_path).start()
    peer = peers.started("node-red", broker.port, tmp_path)
    try:
        user.connect("127.0.0.1", broker.port)
        user.subscribe("alerts/#", 1)
        user.loop_start()
        for value in values:
            user.publish("sensors/a", json.dumps({"ts": 0, "values": {"c0": value}}), 1)
        wait_until(lambda: peer.heard() == 300, what="all messages")
        wait_until(lambda: heard, what="the alert")
    finally:
        user.loop_stop()
        peer.stop()
        broker.kill()
    assert [(told.topic, told.qos) for told in heard] == [("alerts/a", 1)]
    assert json.loads(heard[0].payload)["deviation"] > 5


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(node_red, "PACKAGE", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/node")
    with pytest.raises(ModuleNotFoundError, match="make node-red"):
        peers.started("node-red", 1, tmp_path)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match="no node"):
        peers.started("node-red", 1, tmp_path)
    assert node_red.version() is None
