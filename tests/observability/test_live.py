"""Rules before a real agent: each fires for its fault, reaches who is to be called, and ends; every panel has data."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks import ROOT
from benchmarks.harness.patience import wait_until
from benchmarks.harness.user import FAULT_SHIFT
from tests.observability.scene import Scene

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600), pytest.mark.xdist_group("observability")]


def test_machine_alarm(scene: Scene) -> None:
    name = "EdgeAgentMachineAlarm"
    scene.fire(name, "a machine runs off its normal state", lambda: scene.send(90, shift=FAULT_SHIFT))
    scene.end(name, "it runs as before", lambda: scene.send(200))


def test_sensor_finding(scene: Scene) -> None:
    name = "EdgeAgentSensorFinding"
    scene.fire(name, "a flow meter is stuck", lambda: scene.send(150, flow=40.0))
    scene.end(name, "it moves again", lambda: scene.send(200))


def test_rejects_rising(scene: Scene) -> None:
    end = time.monotonic() + 14

    def garble() -> None:
        while time.monotonic() < end:
            scene.user.publish("sensors/pump-1", b"not json").wait_for_publish(10)
            time.sleep(0.1)

    name = "EdgeAgentRejectsRising"
    scene.fire(name, "a gateway sends what is not JSON", garble)
    scene.end(name, "it sends JSON", lambda: scene.send(2))


def test_every_panel_has_data(scene: Scene) -> None:
    files = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
    assert files
    for _ in range(4):  # rates need rows that came while Prometheus looked, more than once
        scene.send(10)
        time.sleep(2)
    empty = []
    for file in files:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", []):
                query = target["expr"].replace("$instance", ".*").replace("$machine", "pump-1")
                if query.startswith(("edge_agent_alarm_info", "edge_agent_alarm_channel_share")):
                    query = f"last_over_time({query}[30m])"  # the alarm of before is over by now
                found = len(scene.watchers.query(query.replace("$__rate_interval", "30s")))
                scene.panels[f"{file.stem}: {panel['title']} {target['refId']}"] = found
                empty += [] if found else [(file.stem, panel["title"], query)]
    assert empty == []


def test_reload_refused(scene: Scene) -> None:
    good = scene.agent.config.read_text()

    def spoil() -> None:
        scene.agent.config.write_text(good + "\n[window]\nhop_s = -1\n")
        scene.reload()

    name = "EdgeAgentReloadRefused"
    scene.fire(name, "a wrong setting, and SIGHUP", spoil)
    scene.end(name, "the file is mended", lambda: scene.agent.config.write_text(good))


def test_machine_silent(scene: Scene) -> None:
    def say(age_s: int) -> None:
        payload = {"ts": time.time() - age_s, "values": {"flow": 1.0}}
        for _ in range(2):
            scene.user.publish("sensors/old-2", json.dumps(payload).encode()).wait_for_publish(10)

    name = "EdgeAgentMachineSilent"
    scene.fire(name, "a machine's latest row is 1000 s old", lambda: say(1000))
    scene.end(name, "it sends a new one", lambda: say(0))


def test_no_data(scene: Scene) -> None:
    scene.fire("EdgeAgentNoData", "nobody publishes", lambda: None)
    scene.end("EdgeAgentNoData", "five rows come", lambda: scene.send(5))


def test_broker_lost(scene: Scene) -> None:
    scene.fire("EdgeAgentBrokerLost", "mosquitto is killed", scene.broker.kill)
    scene.end("EdgeAgentBrokerLost", "it is started", scene.broker.start)


def test_state_cannot_be_saved(scene: Scene, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    scene.agent.stop()
    state_dir, copy = scene.agent.state, tmp_path / "copy"
    shutil.copytree(state_dir, copy)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(state_dir)], check=False)
    if mounted.returncode:
        scene.agent.start()
        pytest.skip("no mounting here")
    try:
        shutil.copytree(copy, state_dir, dirs_exist_ok=True)
        ballast = state_dir / "ballast"
        scene.fire("EdgeAgentDiskFilling", "the state lies on a disk of 24 MB", scene.agent.start)
        full = len(scene.hook.heard)
        scene.fire("EdgeAgentDegraded", "that disk is filled", lambda: _fill(scene, ballast))
        kept = "EdgeAgentHistoryDegraded"
        scene.fire(kept, "the history lies on that disk, too", lambda: scene.send(60), since=full)

        def clear() -> None:
            ballast.unlink()
            scene.send(60)

        scene.end("EdgeAgentDegraded", "the file that fills it is removed", clear)
        scene.end(kept, "that file is removed", lambda: scene.send(60), since=full)
        since = len(scene.hook.heard)
    finally:
        scene.agent.kill()
        subprocess.run(["umount", "-l", str(state_dir)], check=False)
        scene.agent.start().ready()
    moved = "the agent is started with its state on a disk with room"
    scene.end("EdgeAgentDiskFilling", moved, lambda: None, since=since)
    wait_until(lambda: scene.agent.metric("edge_agent_state_free_bytes") > 200e6, what="a disk with room")


def _fill(scene: Scene, ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                break
    end = time.monotonic() + 20
    while time.monotonic() < end:
        scene.send(40)
        time.sleep(0.5)


def test_agent_down(scene: Scene) -> None:
    scene.fire("EdgeAgentDown", "the agent is killed", scene.agent.kill)
    scene.end("EdgeAgentDown", "it is started", scene.agent.start)
