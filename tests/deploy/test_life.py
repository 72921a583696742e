"""The package's whole life in a booted Debian 12, one step after the other: each begins where the last one ended."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.package import build
from tests.deploy.container import Container, missing, until

pytestmark = [pytest.mark.service, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
PASSWORD = "canary-5up3r-secret"  # noqa: S105 - a canary
ROWS = 600
FAULT_ROW = 800
CONFIG = f"""\
[broker]
username = "edge-agent"
password_file = "credential:mqtt_password"
[commission]
rows = {ROWS}
"""
FIGURES: dict[str, Any] = {}


@pytest.fixture(scope="module")
def box() -> Iterator[Container]:
    if reason := missing():
        pytest.skip(reason)
    started = time.monotonic()
    container = Container()
    FIGURES["boot_s"] = round(time.monotonic() - started, 1)
    try:
        yield container
    finally:
        container.close()
        if named := os.environ.get("SERVICE_RESULTS"):
            Path(named).write_text(json.dumps(FIGURES, indent=1) + "\n")


@pytest.fixture(autouse=True)
def _noted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each step's time into the results; a step that fails ends the run and is not there."""
    started, failed = time.monotonic(), request.session.testsfailed
    yield
    if request.session.testsfailed == failed:
        name = request.node.name.removeprefix("test_")
        FIGURES.setdefault("steps", {})[name] = round(time.monotonic() - started, 1)


def package(revision: int) -> Path:
    """The package that `make deb` built; a later revision is packed from the same stage."""
    out = ROOT / "dist"
    stage = ROOT / "build/deb/amd64-3.11"
    if not stage.is_dir():
        pytest.skip("build the package first: make deb")
    return Path(build.pack(stage, arch="amd64", python="3.11", revision=revision, out=out))


def simulated() -> list[str]:
    """Payloads of one pump, normal at first, then cavitating."""
    arguments = ["--rows", str(FAULT_ROW + 200), "--seed", "7", "--start-ts", str(int(time.time()) - 1000)]
    arguments += ["--machine", "pump-1=pump", "--fault", f"pump-1:cavitation:{FAULT_ROW}:30"]
    plant = [sys.executable, "-m", "simulator", *arguments]
    lines = subprocess.run(plant, capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()
    return [json.dumps(json.loads(line)["payload"]) for line in lines]


def publish(box: Container, payloads: list[str]) -> None:
    box.run("mosquitto_pub -u plc -P sensor -q 1 -t sensors/pump-1 -l", given="\n".join(payloads) + "\n")


def write_config(box: Container, text: str) -> None:
    box.put("/etc/edge-agent/agent.toml", text.encode())


def test_install(box: Container) -> None:
    made = package(1)
    box.put("/root/edge-agent.deb", made.read_bytes())
    box.run("dpkg -i /root/edge-agent.deb")
    assert box.run("edge-agent --version") == "edge-agent 0.1.0"
    assert box.property("ActiveState") == "inactive"
    assert box.run("find / -xdev -iname 'torch*' -path '*edge-agent*'") == ""
    assert box.run("stat -c '%a %U' /etc/edge-agent/credentials") == "700 root"
    FIGURES["package_mb"] = round(made.stat().st_size / 1e6, 1)
    FIGURES["installed_mb"] = int(box.run("du -sm /usr/lib/edge-agent").split()[0])


def test_the_sample_broker_settings_work(box: Container) -> None:
    box.run("cp /usr/share/doc/edge-agent/examples/mosquitto/edge-agent.acl /etc/mosquitto/")
    box.run("cp /usr/share/doc/edge-agent/examples/mosquitto/*.conf /etc/mosquitto/conf.d/")
    for flag, user, password in (
        ("-c", "edge-agent", PASSWORD),
        ("", "plc", "sensor"),
        ("", "anna", "operator"),
    ):
        box.run(f"mosquitto_passwd -b {flag} /etc/mosquitto/edge-agent.passwd {user} {password}")
    box.run("chown mosquitto: /etc/mosquitto/edge-agent.*; systemctl restart mosquitto")
    assert box.status("mosquitto_pub -t sensors/x -m 1") != 0, "strangers are kept out"


def test_start_with_a_credential(box: Container) -> None:
    write_config(box, CONFIG)
    box.put("/etc/edge-agent/credentials/password", PASSWORD.encode())
    started = time.monotonic()
    box.run("systemctl enable --now edge-agent")
    FIGURES["start_s"] = round(time.monotonic() - started, 1)
    assert box.property("ActiveState") == "active"
    assert until(lambda: box.seen("agents/edge-agent/status"), "no status")["state"] == "online"
    place = "/run/credentials/edge-agent.service/mqtt_password"
    assert box.run(f"cat {place}") == PASSWORD
    assert box.status(f"setpriv --reuid 65534 --clear-groups cat {place}") != 0, "others may not read it"
    assert PASSWORD not in box.journal()


def test_the_running_unit_is_hardened(box: Container) -> None:
    for unit in ("edge-agent.service", "edge-agent-gpu.service", "edge-agent@line1.service"):
        last = box.run(f"systemd-analyze security --no-pager {unit}").splitlines()[-1]
        FIGURES.setdefault("exposure", {})[unit] = float(last.split(": ")[1].split()[0])
    assert FIGURES["exposure"]["edge-agent.service"] <= 1.5
    assert FIGURES["exposure"]["edge-agent@line1.service"] <= 1.5
    assert FIGURES["exposure"]["edge-agent-gpu.service"] <= 2.0
    status = box.run(f"cat /proc/{box.property('MainPID')}/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["Uid"].split()[0] != "0"
    assert int(facts["CapEff"], 16) == 0
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    assert "cpuinfo" not in box.journal(), "the runtime sees what the CPU can do"


def test_an_alert_is_received(box: Container) -> None:
    payloads = simulated()
    listening = box.popen("mosquitto_sub -u anna -P operator -q 1 -t alerts/pump-1 -C 1 -W 120")
    publish(box, payloads[: ROWS + 20])
    until(lambda: '"ready"' in json.dumps(box.seen("agents/edge-agent/status")), "not learnt")
    publish(box, payloads[ROWS + 20 :])
    said, _ = listening.communicate(timeout=120)
    alert = json.loads(said)
    assert (alert["machine"], alert["state"], alert["revision"]) == ("pump-1", "open", 1)
    FIGURES["alert"] = alert["summary"]
    FIGURES["resident_mb"] = round(
        int(box.run(f"grep VmRSS /proc/{box.property('MainPID')}/status").split()[1]) / 1024, 1
    )


def test_reload(box: Container) -> None:
    pid = box.property("MainPID")
    write_config(box, CONFIG + "[budget]\nfalse_alarms_per_week = 2.0\n")
    box.run("systemctl reload edge-agent")
    until(lambda: '"event": "reloaded"' in box.journal(), "not reloaded")
    assert "budget.false_alarms_per_week" in box.journal()
    assert box.property("MainPID") == pid


def test_a_reload_of_a_broken_file_is_refused_and_disturbs_nobody(box: Container) -> None:
    pid = box.property("MainPID")
    write_config(box, CONFIG + "[budget]\nfalse_alarms_per_week = -1\n")
    box.run("systemctl reload edge-agent")
    until(lambda: '"event": "reload_refused"' in box.journal(), "not refused")
    assert (box.property("MainPID"), box.property("ActiveState")) == (pid, "active")
    assert "false_alarms_per_week" in box.journal()
    write_config(box, CONFIG)


def test_the_watchdog_restarts_an_agent_that_hangs(box: Container) -> None:
    pid, started = box.property("MainPID"), time.monotonic()
    box.run(f"kill -STOP {pid}")
    until(lambda: box.property("MainPID") not in (pid, "0"), "the watchdog sleeps")
    until(lambda: box.property("ActiveState") == "active", "it does not come back")
    FIGURES["watchdog_s"] = round(time.monotonic() - started, 1)
    assert "Watchdog timeout" in box.journal()
    assert box.property("NRestarts") == "1"
    assert '"restored": ["pump-1"]' in box.journal(), "what was learnt is still there"


def test_an_abort_leaves_its_stacks_in_the_journal(box: Container) -> None:
    pid, started = box.property("MainPID"), time.monotonic()
    box.run(f"kill -ABRT {pid}")
    until(lambda: box.property("NRestarts") == "2" and box.property("ActiveState") == "active", "stays away")
    FIGURES["restart_s"] = round(time.monotonic() - started, 1)
    assert "Fatal Python error: Aborted" in box.journal()
    assert "Current thread" in box.journal()


def test_a_config_error_does_not_loop(box: Container) -> None:
    write_config(box, CONFIG + "[budgett]\n")
    assert box.status("systemctl restart edge-agent") != 0
    time.sleep(8)  # four times RestartSec
    assert (box.property("ActiveState"), box.property("ExecMainStatus")) == ("failed", "2")
    assert box.property("NRestarts") == "0"
    assert "budgett" in box.journal()
    write_config(box, CONFIG)
    box.run("systemctl start edge-agent")


def test_a_second_instance(box: Container) -> None:
    box.run("mkdir -m 700 /etc/edge-agent/credentials-line1")
    box.run("cp /etc/edge-agent/credentials/password /etc/edge-agent/credentials-line1/")
    second = (
        f'[agent]\nname = "line1"\nstate_dir = "/var/lib/edge-agent-line1"\n{CONFIG}[metrics]\nport = 9109\n'
    )
    box.put("/etc/edge-agent/line1.toml", second.encode())
    box.run("systemctl start edge-agent@line1")
    users = [
        box.run(f"stat -c %u /proc/{box.property('MainPID', unit)}")
        for unit in ("edge-agent", "edge-agent@line1")
    ]
    assert users[0] != users[1], "they cannot read each other's state"
    assert box.run("ls /var/lib/private") == "edge-agent\nedge-agent-line1"
    box.run("systemctl stop edge-agent@line1")


def test_stop(box: Container) -> None:
    started = time.monotonic()
    box.run("systemctl stop edge-agent")
    FIGURES["stop_s"] = round(time.monotonic() - started, 1)
    assert (box.property("ActiveState"), box.property("Result")) == ("inactive", "success")
    assert box.seen("agents/edge-agent/status")["state"] == "offline"


def test_upgrade_keeps_what_was_edited_and_restarts(box: Container) -> None:
    box.run("systemctl start edge-agent")
    pid = box.property("MainPID")
    box.put("/root/edge-agent.deb", package(2).read_bytes())
    box.run("dpkg -i /root/edge-agent.deb")
    assert box.run("dpkg-query -W -f '${Version}' edge-agent") == "0.1.0-2"
    assert box.run("cat /etc/edge-agent/agent.toml") == CONFIG.strip()
    assert box.property("ActiveState") == "active"
    assert box.property("MainPID") != pid
    assert box.run("edge-agent check -c /etc/edge-agent/agent.toml", ok=False)
    assert box.journal().count('"restored": ["pump-1"]') >= 3


def test_remove_keeps_config_and_state(box: Container) -> None:
    box.run("dpkg -r edge-agent")
    assert box.run("pgrep -x edge-agent || true") == ""
    assert box.status("test -e /usr/lib/edge-agent") != 0
    assert box.status("test -e /lib/systemd/system/edge-agent.service") != 0
    assert box.run("cat /etc/edge-agent/agent.toml") == CONFIG.strip()
    assert box.run("ls /var/lib/private/edge-agent/profiles") != ""


def test_purge_leaves_nothing(box: Container) -> None:
    box.run("dpkg -P edge-agent")
    left = box.run("find /etc /usr /var /lib /run -xdev -name '*edge-agent*' -not -path '/etc/mosquitto/*'")
    assert left == ""
    assert box.run("systemctl --failed --no-legend") == ""
    FIGURES["all_steps_passed"] = True
