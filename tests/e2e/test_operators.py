"""Operators command a running agent over a real broker: they are obeyed or refused, answered and written down."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
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
ALERT = json.loads((ROOT / "docs" / "alert.schema.json").read_text())
COMMANDS = json.loads((ROOT / "docs" / "commands.schema.json").read_text())
REPLY = {"$ref": "#/$defs/Reply"} | COMMANDS


@pytest.fixture
def agent(tmp_path: Path, broker: Broker, tiny_bundle: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path, bundle=tiny_bundle, port=broker.port)
    yield agent
    agent.kill()


@pytest.fixture
def user(broker: Broker) -> Iterator[User]:
    user = User(broker.port)
    yield user
    user.close()


def allow(agent: Agent, *names: str) -> Agent:
    agent.config.write_text(agent.config.read_text() + f"[commands]\nallow = {list(names)}\n")
    return agent


def command(user: User, name: str, request: str, **fields: Any) -> dict[str, Any]:
    user.replies.pop(request, None)
    user.publish(f"agents/hall/cmd/{name}", json.dumps({"id": request, "by": "anna"} | fields).encode())
    reply: dict[str, Any] = wait_until(lambda: user.replies.get(request), what=f"the reply to {request}")
    jsonschema.validate(reply, REPLY)
    return reply


def events(user: User, alarm_id: str) -> list[str]:
    return [told["lifecycle"]["event"] for told in user.alerts if told["id"] == alarm_id]


def open_alarm(user: User, machine: str = "pump-1") -> str:
    user.publish_rows(machine, 0, 300)
    wait_until(lambda: user.machine(machine) == "ready", what=f"{machine} to be commissioned")
    user.publish_rows(machine, 300, 340, shift=FAULT_SHIFT)
    return str(wait_until(lambda: user.alerts and user.alerts[0], what="the alert")["id"])


def marks(user: User, alarm_id: str) -> dict[str, Any]:
    raw = user.retained.get(f"alerts/pump-1/{alarm_id}")
    found: dict[str, Any] = json.loads(raw)["lifecycle"] if raw else {}
    return found


def log_of_commands(agent: Agent) -> list[tuple[str, str, str]]:
    lines = [line for line in agent.log() if line["event"] == "command"]
    return [(line["command"], line["result"], line["reason"]) for line in lines]


def test_an_alarm_is_acknowledged_shelved_and_raised_again(agent: Agent, user: User) -> None:
    agent.start().ready()
    alarm_id = open_alarm(user)

    assert command(user, "ack", "r1", alarm=alarm_id, comment="seen")["result"] == "done"
    wait_until(lambda: marks(user, alarm_id).get("acknowledged"), what="the acknowledgement")
    assert marks(user, alarm_id)["acknowledged"]["by"] == "anna"
    assert command(user, "ack", "r2", alarm=alarm_id)["result"] == "unchanged"

    assert command(user, "shelve", "r3", machine="pump-1", for_s=600)["result"] == "done"
    wait_until(lambda: user.status["machines"]["pump-1"].get("shelved"), what="the shelving in the status")
    before = len(user.alerts)
    user.publish_rows("pump-1", 340, 440, shift=FAULT_SHIFT)
    wait_until(lambda: marks(user, alarm_id).get("event") == "updated", what="a silent update")
    assert len(user.alerts) == before
    wait_until(lambda: agent.metric('edge_agent_alarms{state="shelved"}') == 1, what="the gauge")

    assert command(user, "unshelve", "r4", machine="pump-1")["result"] == "done"
    wait_until(lambda: "unshelved" in events(user, alarm_id), what="the alarm, raised again")
    user.publish_rows("pump-1", 440, 640)
    wait_until(lambda: "closed" in events(user, alarm_id), what="the closing revision")
    for told in user.alerts:
        jsonschema.validate(told, ALERT)
    assert {told["id"] for told in user.alerts} == {alarm_id}, "one fault, its end included, is one alarm"
    revisions = [told["revision"] for told in user.alerts]
    assert revisions == sorted(set(revisions))
    done = [("ack", "done", ""), ("ack", "unchanged", ""), ("shelve", "done", ""), ("unshelve", "done", "")]
    wait_equal(lambda: log_of_commands(agent), done, what="the log of the commands")
    obeyed = 'edge_agent_commands_total{command="ack",result="done"}'
    wait_until(lambda: agent.metric(obeyed) == 1, what="the count")


def test_what_is_not_allowed_unknown_or_garbage_is_refused_answered_and_logged(
    agent: Agent, user: User, record_property: Callable[[str, object], None]
) -> None:
    agent.start().ready()
    alarm_id = open_alarm(user)
    assert command(user, "recommission", "n1", machine="pump-1", force=True)["reason"] == "not_allowed"
    assert command(user, "ack", "n2", alarm="no-such-alarm")["reason"] == "unknown_alarm"
    assert command(user, "shelve", "n3", machine="pump-9", for_s=60)["reason"] == "unknown_machine"
    assert command(user, "shelve", "n4", machine="pump-1", for_s=10**6)["reason"] == "too_long"
    assert command(user, "ack", "n5", alarm=alarm_id, sent="2020-01-01T00:00:00Z")["reason"] == "expired"
    assert command(user, "format", "n6")["reason"] == "unknown_command"
    user.publish("agents/hall/cmd/ack", b"\xff{")
    assert wait_until(lambda: user.replies.get("unidentified"), what="a reply")["reason"] == "malformed"
    assert user.status["machines"]["pump-1"]["state"] == "ready"
    wait_until(lambda: marks(user, alarm_id), what="the retained alert")
    assert not marks(user, alarm_id)["acknowledged"]
    refusal = ("recommission", "refused", "not_allowed")
    wait_until(lambda: refusal in log_of_commands(agent), what="the refusal in the log")
    refused = 'edge_agent_commands_total{command="unknown",result="refused"}'
    wait_equal(lambda: agent.metric(refused), 1, what="the count of what is unknown")
    wait_equal(lambda: all_refused(agent), 7, what="the count of all that was refused")
    record_property("faults", 7)


def all_refused(agent: Agent) -> float:
    """Of every command, by one look at the page."""
    counts = agent.series().items()
    return sum(
        value
        for name, value in counts
        if name.startswith("edge_agent_commands_total") and 'result="refused"' in name
    )


def test_a_command_counts_once_and_is_remembered_over_a_restart(agent: Agent, user: User) -> None:
    agent.start().ready()
    alarm_id = open_alarm(user)
    first = command(user, "shelve", "once", machine="pump-1", for_s=3600)
    assert agent.stop() == 0
    user.replies.clear()
    unheard = b'{"id": "late", "by": "anna", "machine": "pump-1"}'
    user.publish("agents/hall/cmd/unshelve", unheard)
    agent.start().ready()
    assert command(user, "shelve", "once", machine="pump-1", for_s=3600) == first
    assert command(user, "ack", "once", alarm="other")["reason"] == "id_reused"
    wait_until(lambda: user.status["machines"]["pump-1"].get("shelved"), what="the shelving, restored")
    assert "late" not in user.replies
    user.publish_rows("pump-1", 340, 640)
    wait_until(lambda: any(told["state"] == "closed" for told in user.alerts), what="the closing revision")
    user.publish_rows("pump-1", 640, 680, shift=FAULT_SHIFT)
    wait_until(lambda: {topic.split("/")[2] for topic in user.retained} - {alarm_id}, what="a second alarm")
    assert {told["id"] for told in user.alerts} == {alarm_id}, "nobody was called for it"


def test_an_alarm_that_closed_before_the_agent_was_killed_is_named_after_it(agent: Agent, user: User) -> None:
    allow(agent, "label").start().ready()
    alarm_id = open_alarm(user)
    user.publish_rows("pump-1", 340, 540)
    wait_until(lambda: "closed" in events(user, alarm_id), what="the closing revision")
    agent.kill()
    agent.start().ready()
    wait_until(lambda: user.machine("pump-1") == "ready", what="the restored machine")
    assert command(user, "label", "l1", alarm=alarm_id, fault="leak")["result"] == "done"
    wait_equal(
        lambda: [(line["alarm"], line["fault"]) for line in agent.log("fault_named")],
        [(alarm_id, "leak")],
        what="the name in the log",
    )
    wait_equal(lambda: len(list((agent.state / "faults").glob("*.npz"))), 1, what="the labelled windows")


def test_retained_commands_are_ignored_and_counted(agent: Agent, user: User) -> None:
    user.publish("agents/hall/cmd/suppress", b'{"id": "r", "by": "x", "machine": "*"}', retain=True)
    allow(agent, "suppress").start().ready()
    ignored = 'edge_agent_commands_total{command="unknown",result="ignored"}'
    wait_until(lambda: agent.metric(ignored) == 1, what="the count")
    assert user.replies == {}


def test_a_machine_is_learnt_afresh_but_never_in_an_alarm_without_force(agent: Agent, user: User) -> None:
    allow(agent, "recommission").start().ready()
    alarm_id = open_alarm(user)
    assert command(user, "recommission", "c1", machine="pump-1")["reason"] == "alarm_open"
    assert command(user, "recommission", "c2", machine="pump-1", force=True)["result"] == "done"
    wait_until(lambda: events(user, alarm_id)[-1] == "recommissioned", what="the closing revision")
    user.publish_rows("pump-1", 340, 345)
    wait_until(lambda: user.machine("pump-1") == "commissioning", what="the machine to begin anew")
    user.publish_rows("pump-1", 345, 660)
    wait_until(lambda: user.machine("pump-1") == "ready", what="the machine to be learnt")
    wait_equal(lambda: len(agent.log("machine_commissioned")), 2, what="both times in the log")
    wait_equal(
        lambda: sorted(path.name.rpartition(".")[2] for path in (agent.state / "profiles").iterdir()),
        ["forgotten-1", "npz", "second"],
        what="the old profile aside, the new one in place",
    )


def test_the_command_line_lists_acknowledges_and_shelves(agent: Agent, broker: Broker, user: User) -> None:
    agent.start().ready()
    alarm_id = open_alarm(user)

    def alarms(*words: str) -> subprocess.CompletedProcess[str]:
        whom = ("--broker", f"127.0.0.1:{broker.port}", "--agent", "hall", "--by", "anna")
        line = [sys.executable, "-m", "edge_agent", "alarms", *whom, *words]
        return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)

    wait_until(lambda: marks(user, alarm_id), what="the retained alert")
    listed = alarms("list")
    assert alarm_id in listed.stdout
    assert "not acknowledged" in listed.stdout
    acked = alarms("--json", "ack", alarm_id)
    assert json.loads(acked.stdout)["result"] == "done"
    wait_until(lambda: marks(user, alarm_id)["acknowledged"], what="the acknowledgement at the broker")
    assert alarms("shelve", "pump-1", "--for", "30", "--comment", "cleaning").stdout == "done\n"
    wait_until(lambda: user.status["machines"]["pump-1"].get("shelved"), what="the shelving")
    table = json.loads(alarms("--json", "list").stdout)
    assert table["alarms"][0]["lifecycle"]["acknowledged"]["by"] == "anna"
    assert table["status"]["machines"]["pump-1"]["shelved"]["comment"] == "cleaning"
    refused = alarms("ack", "no-such-alarm")
    assert (refused.returncode, "unknown_alarm" in refused.stderr) == (9, True)
    agent.stop()
    wait_equal(lambda: user.status.get("state"), "offline", what="the agent's farewell")
    silent = alarms("--timeout", "0.5", "ack", alarm_id)
    assert (silent.returncode, "in vain" in silent.stderr) == (9, True)
    assert "offline" in alarms("list").stdout


def test_the_sample_access_list_keeps_commands_to_those_who_may(tmp_path: Path) -> None:
    folder = ROOT / "deploy" / "mosquitto"
    passwords = tmp_path / "passwd"
    passwords.touch(mode=0o600)
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        missing("mosquitto_passwd is missing: apt install mosquitto")
    for name in ("edge-agent", "anna", "display", "boris"):
        subprocess.run([tool, "-b", str(passwords), name, f"{name}-secret"], check=True, capture_output=True)
    rules = tmp_path / "acl"
    rules.write_text((folder / "edge-agent.acl").read_text())
    for path in (tmp_path, passwords, rules):
        path.chmod(0o755 if path.is_dir() else 0o644)  # mosquitto gives up being root
    access = f"allow_anonymous false\npassword_file {passwords}\nacl_file {rules}"
    broker = Broker(tmp_path, access=access).start()
    got = tmp_path / "got"
    try:
        listener = listen(broker.port, "edge-agent", "agents/edge-agent/cmd/+", got)
        for name, topic in (
            ("display", "cmd/ack"),
            ("anna", "cmd/ack"),
            ("anna", "cmd/recommission"),
            ("boris", "cmd/recommission"),
        ):
            say(broker.port, name, f"agents/edge-agent/{topic}", f"{name} {topic}")
        wait_until(lambda: "boris" in got.read_text(), what="the last command")
        heard = [
            line for line in got.read_text().splitlines() if line.split()[0] in ("display", "anna", "boris")
        ]
        assert heard == ["anna cmd/ack", "boris cmd/recommission"]
        listener.kill()
        listener.wait()
    finally:
        broker.kill()


def say(port: int, name: str, topic: str, text: str) -> None:
    who = ["-p", str(port), "-u", name, "-P", f"{name}-secret"]
    subprocess.run(["mosquitto_pub", *who, "-q", "1", "-t", topic, "-m", text], check=True)


def listen(port: int, name: str, topic: str, into: Path) -> subprocess.Popen[bytes]:
    who = ["-p", str(port), "-u", name, "-P", f"{name}-secret"]
    with into.open("wb") as file:
        process = subprocess.Popen(
            ["stdbuf", "-oL", "mosquitto_sub", *who, "-q", "1", "-t", topic, "-d", "-F", "%p"], stdout=file
        )
    wait_until(lambda: b"SUBACK" in into.read_bytes(), what="the subscription")
    return process
