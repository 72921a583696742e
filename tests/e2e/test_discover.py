"""`edge-agent discover` at a real broker: what it proposes is a configuration that `check` accepts and that fits."""

import json
import os
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

import cbor2
import pytest

from benchmarks import ROOT
from benchmarks.harness.broker import Broker
from benchmarks.harness.edge_node import EdgeNodeDouble
from benchmarks.harness.user import User
from edge_agent.config.file import load
from edge_agent.records import Delivery, Frame
from edge_agent.service.wiring import message_decoder

pytestmark = pytest.mark.broker


def program(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_agent", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )


def messages() -> dict[str, bytes]:
    now = int(time.time())
    return {
        "hall/press-1": json.dumps({"ts": now, "values": {"force": 1.0, "speed": 2.0}}).encode(),
        "hall/press-2": json.dumps({"ts": now, "values": {"force": 1.5, "speed": 2.5}}).encode(),
        "plc/pump-1/flow": b"3.25",
        "plc/pump-1/head": b"7",
        "site-a/line-1/robot/state": cbor2.dumps({"ts": now, "values": {"torque": 1.0}}),
        "vendor/oven": json.dumps({"header": {"t": now * 1000}, "body": {"zone1": 210.0}}).encode(),
        "fan/senml": json.dumps([{"n": "rpm", "v": 900.0}]).encode(),
        "chat/room": b"good morning",
        "image/cam": b"\x89PNG\r\n\x1a\n\x00",
    }


def test_what_discover_proposes_is_accepted_and_reads_what_was_heard(broker: Broker, tmp_path: Path) -> None:
    user, node = User(broker.port), EdgeNodeDouble(broker.port, host_id="edge-agent")
    done = threading.Event()

    def talk() -> None:
        node.birth({"temp": 20.0})
        while not done.is_set():
            for topic, payload in messages().items():
                user.publish(topic, payload)
            node.data({"temp": 20.5})
            time.sleep(0.2)

    talker = threading.Thread(target=talk)
    talker.start()
    where = ("discover", "--seconds", "3", "--broker", f"127.0.0.1:{broker.port}")
    text, table = program(*where), program(*where, "--json")
    done.set()
    talker.join()
    node.close()
    user.close()
    assert (text.returncode, table.returncode) == (0, 0), text.stderr + table.stderr

    file = tmp_path / "proposed.toml"
    file.write_text(text.stdout)
    checked = program("check", "-c", str(file))
    assert checked.returncode == 0, checked.stderr
    decode = message_decoder(load(file), monotonic=time.monotonic)
    found = {
        topic: frame
        for topic, payload in messages().items()
        if isinstance(frame := decode(Delivery(topic, payload, time.time_ns())), Frame)
    }
    assert {topic: frame.machine for topic, frame in found.items()} == {
        "hall/press-1": "press-1",
        "hall/press-2": "press-2",
        "plc/pump-1/flow": "pump-1",
        "plc/pump-1/head": "pump-1",
        "site-a/line-1/robot/state": "robot",
        "vendor/oven": "oven",
        "fan/senml": "senml",
    }
    assert dict(zip(found["vendor/oven"].channels, found["vendor/oven"].rows[0], strict=True)) == {
        "zone1": 210.0
    }
    assert found["vendor/oven"].stamped

    report = json.loads(table.stdout)
    assert {item["topic"] for item in report["undecodable"]} == {"chat/room", "image/cam"}
    assert all(item["reason"] for item in report["undecodable"])
    assert "NOT READABLE" in text.stdout
    machines = {item["machine"]: item for item in report["machines"]}
    assert sorted(machines["pump-1"]["channels"]) == ["flow", "head"]
    assert sorted(machines["press-2"]["channels"]) == ["force", "speed"]
    assert (
        0.0 < machines["press-1"]["per_s"] < 8.0
    )  # five a second are sent, fewer where the computer is busy
    proposed = tomllib.loads(report["config"])["source"]
    assert [item["sparkplug"]["groups"] for item in proposed if item["format"] == "sparkplug"] == [["G"]]


def test_silence_is_an_error_that_says_so(broker: Broker) -> None:
    result = program("discover", "--seconds", "0.5", "--broker", f"127.0.0.1:{broker.port}")
    assert result.returncode == 9
    assert "nothing that can be read was heard" in result.stderr
