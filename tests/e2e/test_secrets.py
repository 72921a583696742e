"""Secrets stay where they are: whatever the agent says, writes or serves, a canary's song is not in it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from benchmarks import ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from benchmarks.harness.user import FAULT_SHIFT, User
from tests.support.pki import Authority

pytestmark = [pytest.mark.broker, pytest.mark.slow]
USER, PASSWORD, WRONG = "canary-user-5f1d", "canary-password-8c2e", "canary-mistake-a77b"
SONGS = (USER, PASSWORD, WRONG)


def sung(text: bytes) -> list[str]:
    return [song for song in SONGS if song.encode() in text]


def run(*arguments: str) -> bytes:
    """What a command says; it may fail."""
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", *arguments], capture_output=True, cwd=ROOT, check=False
    )
    return done.stdout + done.stderr


def refuse(agent: Agent, wrong: str) -> None:
    """Have the agent read a file that it must not take over."""
    agent.config.write_text(wrong)
    series = 'edge_agent_reloads_total{result="refused"}'
    before = agent.metric(series) or 0
    assert agent.process is not None
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: (agent.metric(series) or 0) > before, what="the refusal")


@pytest.fixture
def broker(tmp_path: Path) -> Broker:
    subprocess.run(["mosquitto_passwd", "-b", "-c", "users", USER, PASSWORD], cwd=tmp_path, check=True)
    subprocess.run(["mosquitto_passwd", "-b", "users", "reader", "reader"], cwd=tmp_path, check=True)
    authority = Authority(tmp_path)
    shown = authority.issue("server")
    authority.issue("hall")
    return Broker(
        tmp_path,
        access=f"password_file {tmp_path}/users\nallow_anonymous false\n"
        f"cafile {authority.file}\ncertfile {shown.cert}\nkeyfile {shown.key}",
    )


def test_no_canary_sings(
    tmp_path: Path,
    tiny_bundle: Path,
    broker: Broker,
    record_property: Callable[[str, object], None],
) -> None:
    (tmp_path / "user").write_text(f"{USER}\n")
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    access = (
        'username_file = "user"\npassword_file = "password"\ntls_ca_file = "ca.pem"\n'
        'tls_cert_file = "hall.pem"\ntls_key_file = "hall.key"\n'
    )

    def as_reader(client: mqtt.Client) -> None:
        client.username_pw_set("reader", "reader")
        client.tls_set(str(tmp_path / "ca.pem"))

    agent = Agent(tmp_path, bundle=tiny_bundle, port=broker.port, access=access)
    agent.config.write_text(agent.config.read_text().replace('format = "json"', 'level = "debug"'))
    good = agent.config.read_text()
    said = [run("check", "-c", str(agent.config))]
    try:
        broker.start()
        agent.start().ready()
        user = User(broker.port, enter=as_reader)
        user.publish_rows("pump-1", 0, 300)
        wait_until(lambda: user.machine("pump-1") == "ready", what="learning")
        user.publish_rows("pump-1", 300, 340, shift=FAULT_SHIFT)
        wait_until(lambda: user.alerts, what="the alert")
        said += [repr(user.retained).encode(), repr(user.status).encode(), repr(user.alerts).encode()]

        user.close()

        # A secret in every wrong place of the file, and a reload of each.
        wrong_files = (
            good.replace("[broker]", f'[broker]\npassword = "{WRONG}"'),
            good.replace("port = ", f'port = "{WRONG}" #', 1),
            good.replace('host = "127.0.0.1"', f'host = "{USER}:{WRONG}@127.0.0.1"', 1),
            good.replace("[broker]", f"[broker]\n{WRONG} {PASSWORD}"),
            good.replace("[broker]", f'[broker]\nusername = "{WRONG}"'),
        )
        for wrong in wrong_files:
            refuse(agent, wrong)
            said += [run("check", "-c", str(agent.config))]

        (tmp_path / "password").write_bytes(b"\xff" + PASSWORD.encode())  # cannot be read
        broker.kill()
        broker.start()
        wait_until(lambda: "credentials_unreadable" in agent.log_file.read_text(), what="the complaint")
        (tmp_path / "password").write_text(f"{WRONG}\n")  # is not accepted
        broker.kill()
        broker.start()
        wait_until(lambda: "Not authorized" in agent.log_file.read_text(), what="the refusal")
        said += [page.encode() for _, page in map(agent.page, ("/metrics", "/healthz", "/readyz", "/x"))]
        assert agent.process is not None
        agent.process.send_signal(signal.SIGABRT)  # and it crashes
        agent.process.wait(60)
    finally:
        agent.kill()
        broker.kill()
    said += [agent.log_file.read_bytes()]
    said += [path.read_bytes() for path in agent.state.rglob("*") if path.is_file()]
    said += [run("run", "-c", str(agent.config))]
    assert len(said) > 12
    assert [song for text in said for song in sung(text)] == []
    assert sung(os.environb.get(b"PATH", b"") + PASSWORD.encode()) == [PASSWORD]  # the ear hears
    body = (tmp_path / "hall.key").read_bytes().splitlines()[1]
    assert not any(body in text for text in said)
    record_property("faults", len(wrong_files) + 3)  # two passwords that do not serve, and a crash
    record_property("texts_searched", len(said))
