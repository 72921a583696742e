"""Rules before a real agent: each fires for its fault, reaches who is to be called, and ends; every panel has data."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from doubles.shopfloor import FAULT_SHIFT, ROOT, AgentProcess, Mosquitto, User, rows, wait_until

from observability.stage import Watchers, Webhook

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
LEARN_ROWS = 300
RESULTS = os.environ.get("OBSERVABILITY_RESULTS")


class Scene:
    """All of it, and what was measured."""

    def __init__(self, folder: Path, leaving: ExitStack) -> None:
        self.broker = Mosquitto(folder).start()
        leaving.callback(self.broker.kill)
        bundle = ROOT / "edge_agent/models/pretrained"
        self.agent = AgentProcess(folder, bundle=bundle, broker_port=self.broker.port, rows=LEARN_ROWS)
        leaving.callback(self.agent.kill)
        self.agent.start().ready()
        self.user = User(self.broker.port)
        leaving.callback(self.user.close)
        self.hook = Webhook()
        leaving.callback(self.hook.close)
        self.watchers = Watchers(folder, agent_port=self.agent.metrics_port, webhook_port=self.hook.port)
        leaving.callback(self.watchers.close)
        self.began_s = int(time.time()) - 1200
        self.row = 0
        self.measured: dict[str, dict[str, float]] = {}
        self.panels: dict[str, int] = {}

    def send(self, count: int, *, machine: str = "pump-1", shift: float = 0.0, **stuck: float) -> None:
        """The machine's next rows; `stuck` channels say the same all the time."""
        infos = []
        for row, values in rows(machine, self.row, self.row + count, shift=shift):
            payload = {"ts": self.began_s + row, "values": values | stuck}
            infos.append(self.user.publish(f"sensors/{machine}", json.dumps(payload).encode()))
        self.row += count
        for info in infos:
            info.wait_for_publish(20)

    def expect(self, name: str, break_it: Callable[[], object], mend_it: Callable[[], object]) -> None:
        """The webhook hears of the fault once it is there, and of its end once it is mended."""
        for status, act in (("firing", break_it), ("resolved", mend_it)):
            before, began = len(self.hook.heard), time.monotonic()
            act()
            wait_until(
                lambda wanted=(name, status), seen=before: wanted in self.hook.heard[seen:],
                what=f"{name} {status}; heard {self.hook.heard[before:]}",
                patience_s=90,
            )
            self.measured.setdefault(name, {})[f"{status}_after_s"] = round(time.monotonic() - began, 1)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with ExitStack() as leaving:
        scene = Scene(tmp_path_factory.mktemp("watched"), leaving)
        scene.send(LEARN_ROWS)
        wait_until(lambda: scene.user.machine("pump-1") == "ready", what="pump-1", patience_s=90)
        scene.send(60)
        yield scene
    if RESULTS:
        told = {"rules": scene.measured, "panels": scene.panels}
        Path(RESULTS).write_text(json.dumps(told, indent=2) + "\n")


def test_machine_alarm(scene: Scene) -> None:
    scene.expect("EdgeAgentMachineAlarm", lambda: scene.send(90, shift=FAULT_SHIFT), lambda: scene.send(200))


def test_sensor_finding(scene: Scene) -> None:
    scene.expect("EdgeAgentSensorFinding", lambda: scene.send(150, flow=40.0), lambda: scene.send(200))


def test_rejects_rising(scene: Scene) -> None:
    end = time.monotonic() + 14

    def garble() -> None:
        while time.monotonic() < end:
            scene.user.publish("sensors/pump-1", b"not json").wait_for_publish(10)
            time.sleep(0.1)

    scene.expect("EdgeAgentRejectsRising", garble, lambda: scene.send(2))


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
                found = len(scene.watchers.query(query.replace("$__rate_interval", "30s")))
                scene.panels[f"{file.stem}: {panel['title']} {target['refId']}"] = found
                empty += [] if found else [(file.stem, panel["title"], query)]
    assert empty == []


def test_reload_refused(scene: Scene) -> None:
    good = scene.agent.config.read_text()

    def spoil() -> None:
        scene.agent.config.write_text(good + "\n[window]\nhop_s = -1\n")
        assert scene.agent.process
        scene.agent.process.send_signal(signal.SIGHUP)

    scene.expect("EdgeAgentReloadRefused", spoil, lambda: scene.agent.config.write_text(good))


def test_machine_silent(scene: Scene) -> None:
    def say(age_s: int) -> None:
        payload = {"ts": time.time() - age_s, "values": {"flow": 1.0}}
        for _ in range(2):
            scene.user.publish("sensors/old-2", json.dumps(payload).encode()).wait_for_publish(10)

    scene.expect("EdgeAgentMachineSilent", lambda: say(1000), lambda: say(0))


def test_no_data(scene: Scene) -> None:
    scene.expect("EdgeAgentNoData", lambda: None, lambda: scene.send(5))


def test_broker_lost(scene: Scene) -> None:
    scene.expect("EdgeAgentBrokerLost", scene.broker.kill, scene.broker.start)


def test_state_cannot_be_saved(scene: Scene, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    scene.agent.stop()
    disk = tmp_path / "disk"
    shutil.copytree(scene.agent.state_dir, disk / "copy")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(scene.agent.state_dir)], check=False
    )
    if mounted.returncode:
        pytest.skip("no mounting here")
    try:
        shutil.copytree(disk / "copy", scene.agent.state_dir, dirs_exist_ok=True)
        scene.agent.start().ready()
        ballast = scene.agent.state_dir / "ballast"

        def fill() -> None:
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

        def clear() -> None:
            ballast.unlink()
            scene.send(60)

        scene.expect("EdgeAgentDegraded", fill, clear)
        assert ("EdgeAgentDiskFilling", "firing") in scene.hook.heard
    finally:
        scene.agent.kill()
        subprocess.run(["umount", "-l", str(scene.agent.state_dir)], check=False)
        scene.agent.start()


def test_agent_down(scene: Scene) -> None:
    scene.expect("EdgeAgentDown", scene.agent.kill, scene.agent.start)
