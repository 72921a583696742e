"""`edge-agent doctor` before a real broker and real faults: each is found, named, and comes with what to do."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks import ROOT
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import free_port
from benchmarks.harness.user import User
from edge_agent.cli.check import report
from edge_agent.cli.doctor import host
from edge_agent.cli.doctor.checks import check_all
from edge_agent.cli.doctor.findings import Finding, row, worst
from edge_agent.cli.tables import text
from edge_agent.config.file import defaults
from tests.support.pki import Authority

pytestmark = pytest.mark.broker
CLIENT, NOW = "doctor-under-test", datetime.now(UTC)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    subprocess.run(["mosquitto_passwd", "-b", "-c", "users", "hall", "right"], cwd=tmp_path, check=True)
    access = f"password_file {tmp_path}/users\nallow_anonymous false"
    broker = Broker(tmp_path, access=access).start()
    yield broker
    broker.kill()


def written(folder: Path, bundle: Path, *, port: int, shown: str = "right") -> Path:
    secret = folder / "password"
    secret.write_text(shown)
    secret.chmod(0o600)
    file = folder / "agent.toml"
    file.write_text(
        f'[agent]\nname = "hall"\nstate_dir = "state"\n[model]\nbundle = "{bundle}"\n'
        f"[metrics]\nport = {free_port()}\n"
        f'[broker]\nhost = "127.0.0.1"\nport = {port}\nusername = "hall"\npassword_file = "password"\n'
    )
    return file


def examined(file: Path) -> list[Finding]:
    return list(check_all(file, client_id=CLIENT, listen_s=0.6, now=NOW))


def failures(findings: list[Finding]) -> dict[str, Finding]:
    found = {finding.area: finding for finding in findings if finding.level == "fail"}
    assert all(finding.remedy for finding in found.values())
    return found


def test_a_well_agent_has_no_failure_and_the_command_ends_with_0(
    tmp_path: Path, tiny_bundle: Path, broker: Broker
) -> None:
    file = written(tmp_path, tiny_bundle, port=broker.port)
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", "doctor", "-c", str(file), "--seconds", "0.6", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    well = {item["area"] for item in report["findings"] if item["level"] == "ok"}
    assert {"config", "model", "provider", "disk", "secrets", "metrics", "broker", "login", "acl"} <= well
    assert report["fail"] == 0
    assert any("comes back" in item["what"] and item["level"] == "ok" for item in report["findings"])
    assert not list(tmp_path.rglob(".doctor-*"))  # what was written is gone


def test_what_check_refuses_fails_here_too(tmp_path: Path, tiny_bundle: Path) -> None:
    file = written(tmp_path, tiny_bundle, port=free_port())
    file.write_text(file.read_text() + "[commission]\nrows = 100\n")
    refused, code = report(file, now=NOW)
    findings = examined(file)
    found = failures(findings)
    assert code == 2
    assert "100 rows are too few" in found["config"].what
    assert refused["findings"][0]["where"] in found["config"].what
    assert not [one for one in findings if (one.area, one.level) == ("config", "ok")]


def test_a_wrong_port_is_nobody_listening(tmp_path: Path, tiny_bundle: Path) -> None:
    found = failures(examined(written(tmp_path, tiny_bundle, port=free_port())))
    assert set(found) == {"broker"}
    assert "nobody listens" in found["broker"].what


def test_a_wrong_password_is_a_failed_login(tmp_path: Path, tiny_bundle: Path, broker: Broker) -> None:
    findings = examined(written(tmp_path, tiny_bundle, port=broker.port, shown="canary-wrong"))
    found = failures(findings)
    assert set(found) == {"login"}
    assert "hall" in found["login"].what
    assert "canary-wrong" not in text(*map(row, findings))


def test_an_acl_that_lets_us_read_and_not_write(tmp_path: Path, tiny_bundle: Path) -> None:
    subprocess.run(["mosquitto_passwd", "-b", "-c", "users", "hall", "right"], cwd=tmp_path, check=True)
    (tmp_path / "acl").write_text("user hall\ntopic read #\n")
    access = f"password_file {tmp_path}/users\nallow_anonymous false\nacl_file {tmp_path}/acl"
    broker = Broker(tmp_path, access=access).start()
    try:
        findings = examined(written(tmp_path, tiny_bundle, port=broker.port))
    finally:
        broker.kill()
    (silent,) = [one for one in findings if one.area == "acl" and one.level == "warn"]
    assert "does not come back" in silent.what
    assert "topic readwrite agents/hall/doctor" in silent.remedy


def test_a_broker_that_acknowledges_long_messages_and_drops_them(tmp_path: Path, tiny_bundle: Path) -> None:
    broker = Broker(tmp_path, access="allow_anonymous true\nmessage_size_limit 4000").start()
    file = tmp_path / "agent.toml"
    file.write_text(
        f'[agent]\nstate_dir = "state"\n[model]\nbundle = "{tiny_bundle}"\n[metrics]\nport = {free_port()}\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n'
    )
    try:
        found = failures(examined(file))
    finally:
        broker.kill()
    assert set(found) == {"length"}
    assert "does not come back, though a short one does" in found["length"].what


def test_what_a_running_agent_says_of_a_namesake_is_a_failure() -> None:
    said = ["broker: egress was thrown out 5 times right after it was let in", "overload: the queue is full"]
    levels = {finding.what: finding.level for finding in host.metrics(defaults(), said)}
    assert levels[f"it says: {said[0]}"] == "fail"
    assert levels[f"it says: {said[1]}"] == "warn"


def test_rows_that_sensors_send_are_counted_and_their_clock_is_held_against_ours(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    (tmp_path / "open").mkdir()
    broker = Broker(tmp_path / "open").start()
    file = written(tmp_path, tiny_bundle, port=broker.port)
    user = User(broker.port)
    found: list[Finding] = []
    try:
        for finding in check_all(file, client_id=CLIENT, listen_s=1.0, now=NOW):
            found.append(finding)
            if finding.area == "login":  # before it listens
                late_s = datetime.now(UTC).timestamp() - 90
                user.publish("sensors/pump", json.dumps({"ts": late_s, "values": {"flow": 1.0}}).encode())
    finally:
        user.close()
        broker.kill()
    assert any(one.area == "data" and one.level == "ok" and "1 machine" in one.what for one in found)
    (clock,) = [one for one in found if one.area == "clock" and "sensors" in one.what]
    assert clock.level == "warn"
    assert "behind ours" in clock.what


def test_a_state_directory_that_cannot_be_written(tmp_path: Path, tiny_bundle: Path) -> None:
    (tmp_path / "state").write_text("a file where a directory should be")
    found = failures(examined(written(tmp_path, tiny_bundle, port=free_port())))
    assert "is a file" in found["disk"].what
    (finding,) = host.disk(Path("/proc/self/state"))  # even root cannot write there
    assert finding.level == "fail"
    assert "state_dir" in found["disk"].remedy


@pytest.mark.parametrize("expired", [True, False])
def test_certificates(tmp_path: Path, tiny_bundle: Path, *, expired: bool) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    shown = authority.issue("server", expired=expired)
    broker = Broker(
        tmp_path,
        access=f"allow_anonymous true\ncertfile {shown.cert}\nkeyfile {shown.key}",
    )
    broker.start()
    try:
        file = written(tmp_path, tiny_bundle, port=broker.port)
        good = file.read_text()
        file.write_text(good + f'tls_ca_file = "{authority.file}"\n')
        findings = examined(file)
        if expired:
            assert "expired" in failures(findings)["tls"].what
            return
        assert failures(findings) == {}
        dated = [one for one in findings if one.area == "tls" and "broker's certificate" in one.what]
        assert [one.level for one in dated] == ["warn"]  # good for a day only
        file.write_text(good + f'tls_ca_file = "{stranger.file}"\n')
        assert "tls_ca_file" in failures(examined(file))["tls"].remedy
        file.write_text(good.replace("127.0.0.1", "localhost") + f'tls_ca_file = "{authority.file}"\n')
        assert "host" in failures(examined(file))["tls"].remedy
    finally:
        broker.kill()


def test_a_port_that_is_taken_a_file_that_others_read_and_an_absent_model(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        file = written(tmp_path, tmp_path / "nowhere", port=free_port())
        text = file.read_text().splitlines()
        text[text.index("[metrics]") + 1] = f"port = {taken.getsockname()[1]}"
        file.write_text("\n".join(text))
        (tmp_path / "password").chmod(0o644)
        findings = examined(file)
    assert {"metrics", "model"} <= set(failures(findings))
    (secret,) = [one for one in findings if one.area == "secrets"]
    assert (secret.level, secret.remedy) == ("warn", f"`chmod 600 {tmp_path / 'password'}`")


def test_a_configuration_with_faults_is_told_finding_by_finding(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("[broker]\nport = 0\n[agnet]\n")
    findings = examined(tmp_path / "agent.toml")
    assert [one.level for one in findings] == ["fail", "fail"]
    assert worst(findings) == "fail"


def test_a_clock_is_believed_when_it_is_kept_right() -> None:
    assert host.clock(datetime(1970, 1, 1, tzinfo=UTC), synchronised=True).level == "fail"
    assert host.clock(NOW, synchronised=False).level == "warn"
    assert host.clock(NOW, synchronised=True).level == "ok"


def test_memory_is_what_the_kernel_says(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 1000000 kB\nMemAvailable: 100000 kB\n")
    (finding,) = host.memory(tmp_path / "meminfo")
    assert (finding.area, finding.level) == ("memory", "fail")
