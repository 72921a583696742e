"""The whole agent as a process between a real broker and a user."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from benchmarks import ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_equal, wait_until
from benchmarks.harness.user import FAULT_SHIFT, User
from tests.support.missing import missing

pytestmark = pytest.mark.broker
SCHEMA = json.loads((ROOT / "docs" / "alert.schema.json").read_text())


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    yield broker
    broker.kill()


@pytest.fixture
def agent(tmp_path: Path, broker: Broker, tiny_bundle: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path, bundle=tiny_bundle, port=broker.port)
    yield agent
    agent.kill()


@pytest.fixture
def user(broker: Broker) -> Iterator[User]:
    broker.start()
    user = User(broker.port)
    yield user
    user.close()


def commission(user: User, machine: str = "pump-1") -> int:
    sent = user.publish_rows(machine, 0, 300)
    wait_until(lambda: user.machine(machine) == "ready", what=f"{machine} to be commissioned")
    return sent


def settled(agent: Agent, received: int) -> dict[str, float]:
    """The ledger once all messages have arrived; it must add up."""
    ledger = wait_until(
        lambda: (found := agent.ledger()) and found["received"] >= received and found,
        what=f"{received} messages",
    )
    assert ledger["received"] == sum(value for name, value in ledger.items() if name != "received")
    wait_until(lambda: alerts_add_up(agent), what="the alerts' own ledger to add up")
    return ledger


def test_a_new_machine_is_learnt_and_its_fault_alerted_and_closed(agent: Agent, user: User) -> None:
    agent.start().ready()
    sent = commission(user)
    sent += user.publish_rows("pump-1", 300, 400)
    assert settled(agent, sent)["accepted"] == sent
    assert user.alerts == []

    sent += user.publish_rows("pump-1", 400, 440, shift=FAULT_SHIFT)
    opened = wait_until(lambda: user.alerts and user.alerts[0], what="the alert")
    assert (opened["machine"], opened["state"], opened["revision"]) == ("pump-1", "open", 1)
    assert opened["channels"][0]["name"] == "pressure"
    assert opened["onset"] >= "2020-09-13T12:33:20"
    wait_until(lambda: user.retained.get(f"alerts/pump-1/{opened['id']}"), what="the retained alert")
    wait_until(lambda: agent.metric('edge_agent_alarms_open{machine="pump-1"}') == 1, what="the gauge")

    sent += user.publish_rows("pump-1", 440, 640)
    closed = wait_until(
        lambda: [alert for alert in user.alerts if alert["state"] == "closed"], what="the closing revision"
    )[0]
    assert closed["id"] == opened["id"]
    assert closed["closed"] > opened["time"]
    wait_until(lambda: user.retained[f"alerts/pump-1/{opened['id']}"] == b"", what="the retained alert to go")
    revisions = [(alert["id"], alert["revision"]) for alert in user.alerts]
    assert len(revisions) == len(set(revisions))
    for alert in user.alerts:
        jsonschema.validate(alert, SCHEMA)
    assert settled(agent, sent)["accepted"] == sent
    wait_until(
        lambda: (
            agent.metric("edge_agent_alerts_acknowledged_total")
            == agent.metric("edge_agent_alerts_sent_total")
            > 0
        ),
        what="every alert to be acknowledged",
    )


def test_garbage_is_counted_by_reason_and_harms_nobody(agent: Agent, user: User) -> None:
    agent.start().ready()
    sent = commission(user)
    garbage = {
        b"\xff\xfe": "not_utf8",
        b"{": "not_json",
        b"[" * 60_000: "not_json",
        b"[1]": "wrong_type",
        b'{"values": {"pressure": NaN}}': "not_finite",
        b'{"values": {"pressure": null}}': "no_values",
        b'{"ts": -1, "values": {"pressure": 1}}': "bad_timestamp",
        b'{"ts": 9e9, "values": {"pressure": 1}}': "future_timestamp",
        b"x" * 70_000: "too_large",
    }
    for payload in garbage:
        user.publish("sensors/pump-1", payload)
    user.publish("sensors/pump-1/pressure", b"not a number")
    sent += user.publish_rows("pump-1", 300, 350)
    ledger = settled(agent, sent + len(garbage) + 1)
    assert ledger["rejected"] == len(garbage) + 1
    assert ledger["accepted"] == sent
    for reason in set(garbage.values()) | {"not_a_number"}:
        expected = sum(known == reason for known in garbage.values()) + (reason == "not_a_number")
        series = f'edge_agent_rejects_total{{reason="{reason}"}}'
        wait_equal(lambda name=series: agent.metric(name), expected, what=series)
    told = [line["reason"] for line in agent.log() if line["event"] == "message_rejected"]
    assert sorted(told) == sorted(set(told))  # one line a reason and minute


def test_a_broker_that_is_absent_at_start_is_waited_for(agent: Agent, broker: Broker) -> None:
    agent.start()
    status, body = agent.page("/readyz")
    assert status == 503
    assert "not connected" in body
    wait_until(lambda: any(line["event"] == "broker_unreachable" for line in agent.log()), what="a log line")
    broker.start()
    agent.ready()
    user = User(broker.port)
    wait_until(lambda: user.status.get("state") == "online", what="the status")
    user.close()


def test_a_killed_broker_costs_nothing_that_it_had_passed_on(
    agent: Agent, broker: Broker, user: User
) -> None:
    agent.start().ready()
    sent = commission(user)
    sent += user.publish_rows("pump-1", 300, 340, shift=FAULT_SHIFT)
    opened = wait_until(lambda: user.alerts and user.alerts[0], what="the alert")
    settled(agent, sent)
    broker.kill()
    wait_until(lambda: agent.page("/readyz")[0] == 503, what="the agent to notice")
    user.close()
    broker.start()  # without any memory: the retained alert is gone
    agent.ready()
    late_user = User(broker.port)
    wait_until(
        lambda: f"alerts/pump-1/{opened['id']}" in late_user.retained, what="the open alarm, said again"
    )
    wait_until(lambda: late_user.status.get("state") == "online", what="the status, said again")
    sent += late_user.publish_rows("pump-1", 340, 540)
    wait_until(
        lambda: any(alert["state"] == "closed" for alert in late_user.alerts), what="the closing revision"
    )
    assert settled(agent, sent)["accepted"] == sent
    late_user.close()


def test_a_restart_goes_on_where_it_stood(agent: Agent, user: User) -> None:
    agent.start().ready()
    sent = commission(user)
    sent += user.publish_rows("pump-1", 300, 340, shift=FAULT_SHIFT)
    opened = wait_until(lambda: user.alerts and user.alerts[0], what="the alert")
    settled(agent, sent)  # what it has not taken up yet would come again
    assert agent.stop() == 0
    wait_until(lambda: user.status["state"] == "offline", what="the offline status")

    user.publish_rows("pump-1", 340, 360)  # the broker keeps these for the agent
    agent.start().ready()
    wait_until(lambda: user.machine("pump-1") == "ready", what="the restored machine")
    assert settled(agent, 20)["accepted"] == 20
    started = [line for line in agent.log() if line["event"] == "started"][-1]
    assert (started["restored"], started["open_alarms"]) == (["pump-1"], [opened["id"]])
    assert sum(line["event"] == "machine_commissioned" for line in agent.log()) == 1
    closes_under_its_old_id(user, opened, first=360)


def closes_under_its_old_id(user: User, opened: dict[str, Any], *, first: int) -> None:
    user.publish_rows("pump-1", first, first + 200)
    closed = wait_until(
        lambda: [a for a in user.alerts if a["state"] == "closed"], what="the closing revision"
    )[0]
    assert closed["id"] == opened["id"]
    wait_until(lambda: user.retained[f"alerts/pump-1/{opened['id']}"] == b"", what="the retained alert to go")
    assert {alert["id"] for alert in user.alerts} == {opened["id"]}
    assert sum(alert["revision"] == 1 for alert in user.alerts) >= 1


def test_a_killed_agent_goes_on_with_its_alarm_and_scores_nothing_twice(agent: Agent, user: User) -> None:
    agent.start().ready()
    commission(user)
    user.publish_rows("pump-1", 300, 340, shift=FAULT_SHIFT)
    opened = wait_until(lambda: user.alerts and user.alerts[0], what="the alert")
    publish = threading.Thread(
        target=user.publish_rows, args=["pump-1", 340, 1340], kwargs={"shift": FAULT_SHIFT}
    )
    publish.start()
    wait_until(lambda: agent.ledger().get("received", 0) > 500, what="the middle of a burst")
    agent.kill()
    publish.join()
    agent.start().ready()
    user.publish_rows("pump-1", 1340, 1341, shift=FAULT_SHIFT)
    wait_until(lambda: user.machine("pump-1") == "ready", what="the restored machine")
    wait_until(lambda: agent.settled_for(3.0), what="every row to be there")
    ledger = agent.ledger()
    assert ledger["received"] == sum(value for name, value in ledger.items() if name != "received")
    assert (ledger["late"], ledger["rejected"], ledger["shed"]) == (0, 0, 0)
    wait_until(lambda: alerts_add_up(agent), what="the alerts' own ledger to add up")
    closes_under_its_old_id(user, opened, first=1341)
    # The alarm closes before the last row is there; what is unread at a stop waits at the broker.
    wait_until(lambda: agent.settled_for(3.0), what="the last rows")
    assert agent.stop() == 0
    ring = agent.buffer_state("pump-1")
    assert ring.row_count == 1541, "a row was lost or counted twice"


def alerts_add_up(agent: Agent) -> bool:
    series = agent.series()
    ends = [f'edge_agent_alerts_total{{outcome="{end}"}}' for end in ("delivered", "merged", "dropped")]
    ended = sum(series.get(name, 0.0) for name in [*ends, "edge_agent_alerts_waiting"])
    return series.get("edge_agent_alerts_made_total") == ended


def test_the_wait_at_the_broker_is_measured_and_nothing_is_passed_over(
    tmp_path: Path, tiny_bundle: Path, broker: Broker, user: User
) -> None:
    agent = Agent(tmp_path, bundle=tiny_bundle, port=broker.port, longest_wait_s=30.0)
    try:
        agent.start().ready()
        wait_until(lambda: 0 < agent.metric("edge_agent_broker_wait_seconds") < 5, what="an echo")
        sent = commission(user)
        settled(agent, sent)
        wait_equal(lambda: agent.metric("edge_agent_heard_share"), 1, what="the share that is heard")
        assert agent.ledger()["shed"] == agent.ledger()["rejected"] == 0
        assert agent.stop() == 0
    finally:
        agent.kill()


def test_killed_agents_leave_a_last_will(agent: Agent, user: User) -> None:
    agent.start().ready()
    wait_until(lambda: user.status.get("state") == "online", what="the status")
    agent.kill()
    wait_until(lambda: user.status["state"] == "offline", what="the will")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_agent_cleanly_and_sighup_does_not(agent: Agent, broker: Broker, number: int) -> None:
    broker.start()
    agent.start().ready()
    assert agent.process is not None
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: any(line.get("name") == "SIGHUP" for line in agent.log()), what="the log line")
    assert agent.process.poll() is None
    assert agent.stop(number) == 0
    assert agent.log()[-1]["event"] == "stopped"


def test_an_agent_that_is_learning_leaves_at_once(agent: Agent, user: User) -> None:
    agent.config.write_text(agent.config.read_text().replace("rows = 300", "rows = 3000"))
    agent.start().ready()
    user.publish_rows("pump-1", 0, 3000)
    wait_until(lambda: any(line["event"] == "machine_learning" for line in agent.log()), what="learning")
    assert agent.stop() == 0
    assert not any(line["event"] == "machine_commissioned" for line in agent.log()), "it was too fast to tell"


def test_two_agents_do_not_share_a_state_directory(agent: Agent, broker: Broker) -> None:
    broker.start()
    agent.start().ready()
    second = subprocess.run(
        [sys.executable, "-m", "edge_agent", "run", "-c", str(agent.config)],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert second.returncode == 7
    assert b"another agent" in second.stderr


def make_certificates(folder: Path) -> None:
    """A CA, and a server certificate for 127.0.0.1 that it has signed."""
    program = shutil.which("openssl")
    if program is None:
        missing("openssl is missing: apt install openssl")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    key = ["-newkey", "rsa:2048", "-nodes"]
    serial = ["-CAcreateserial", "-days", "1", "-extfile", "names"]
    for command in (
        ["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "1", "-subj", "/CN=ca"],
        ["req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server"],
        [
            "x509",
            "-req",
            "-in",
            "server.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            *serial,
            "-out",
            "server.pem",
        ],
    ):
        subprocess.run([program, *command], cwd=folder, check=True, capture_output=True)


def test_a_secured_broker_lets_in_who_knows_the_password_and_is_checked_itself(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    make_certificates(tmp_path)
    subprocess.run(["mosquitto_passwd", "-b", "-c", "users", "hall", "one two"], cwd=tmp_path, check=True)
    broker = Broker(
        tmp_path,
        access=f"password_file {tmp_path}/users\nallow_anonymous false\n"
        f"certfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.key",
    )
    (tmp_path / "password").write_text("one two\n")
    access = 'username = "hall"\npassword_file = "password"\ntls_ca_file = "ca.pem"'
    agent = Agent(tmp_path, bundle=tiny_bundle, port=broker.port, access=access)
    try:
        broker.start()
        agent.start().ready()
        assert agent.stop() == 0
        (tmp_path / "password").write_text("guessed\n")
        agent.start()
        wait_until(lambda: "Not authorized" in agent.log_file.read_text(), what="the refusal")
        assert agent.page("/readyz")[0] == 503
        assert agent.stop() == 0
        shutil.copy(tmp_path / "server.pem", tmp_path / "ca.pem")  # not who signed the broker's certificate
        agent.start()
        wait_until(lambda: "CERTIFICATE_VERIFY_FAILED" in agent.log_file.read_text(), what="our refusal")
        assert "one two" not in agent.log_file.read_text()
    finally:
        agent.kill()
        broker.kill()


def test_a_machine_that_stops_publishing_is_silent_until_it_is_heard_again(agent: Agent, user: User) -> None:
    agent.start().ready()
    commission(user)
    opened = wait_until(lambda: user.alerts and user.alerts[0], what="the finding")
    assert (opened["machine"], opened["kind"], opened["fault"]["name"]) == ("pump-1", "sensor", "silent")
    wait_until(
        lambda: agent.metric('edge_agent_sensor_findings_open{machine="pump-1"}') == 1, what="the gauge"
    )
    assert agent.stop() == 0
    agent.start().ready()
    user.publish_rows("pump-1", 300, 310)
    closed = wait_until(lambda: [one for one in user.alerts if one["state"] == "closed"], what="its end")[0]
    assert (closed["id"], closed["lifecycle"]["event"]) == (opened["id"], "closed")
    assert {one["id"] for one in user.alerts} == {opened["id"]}
    for alert in user.alerts:
        jsonschema.validate(alert, SCHEMA)
