"""Rules about the agent itself before a real one: each fires for its fault, and ends when that is mended."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks import ROOT
from benchmarks.harness.patience import wait_until
from benchmarks.harness.user import FAULT_SHIFT, rows
from tests.observability.scene import BUNDLE, LEARN_ROWS, MACHINE, Scene

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600), pytest.mark.xdist_group("observability")]
FLOOD = 5000
CELL = [f"robot-{number}" for number in range(32)]
OUTBOX = 30
BUGGY = """
import sys

sys.path.insert(0, {root!r})
from edge_agent import __main__
from edge_agent.pipeline import pipeline

sound = pipeline.Pipeline.step


def step(self, deliveries, *rest):
    topics = {{delivery.topic for delivery in deliveries}}
    if "sensors/crash/x" in topics:
        raise RuntimeError("planted")
    self.ledger.received += "sensors/miscount/x" in topics
    return sound(self, deliveries, *rest)


pipeline.Pipeline.step = step
__main__.main()
"""
"""The agent with two bugs: a message at which a step breaks off, and one that is counted twice."""
UNABLE = """
import sys
from pathlib import Path

sys.path.insert(0, {root!r})
from edge_agent import __main__
from edge_agent.service.wiring import TimedScorer as Scorer

sound = Scorer.score


def score(self, *asked):
    if Path({flag!r}).exists():
        raise RuntimeError("planted")
    return sound(self, *asked)


Scorer.score = score
__main__.main()
"""
"""The agent that cannot score anything while a file is there."""


def test_machine_not_learnt(scene: Scene) -> None:
    """One of six sensors is heard at a time, for fifty rows: none of them in half of the rows."""

    def told(first: int, last: int, *, whole: bool) -> Iterator[tuple[float, dict[str, float]]]:
        for row, values in rows("mill-5", first, last):
            heard = range(6) if whole or row == 0 else [row // 50 % 6]
            yield scene.began_s + row, {f"t{at}": values["flow"] + at for at in heard}

    name = "EdgeAgentMachineNotLearnt"
    scene.fire(
        name,
        "a gateway sends one of six sensors at a time",
        lambda: scene.say("mill-5", told(0, LEARN_ROWS + 10, whole=False)),
    )
    scene.end(
        name,
        f"it sends all; the next {LEARN_ROWS} rows are learnt",
        lambda: scene.say("mill-5", told(LEARN_ROWS + 10, 3 * LEARN_ROWS, whole=True)),
    )


def test_state_corrupt(scene: Scene) -> None:
    def spoil() -> None:
        scene.agent.kill()
        for file in scene.agent.state.glob("state.db*"):
            file.write_bytes(os.urandom(max(file.stat().st_size, 4096)))
        scene.agent.start().ready()

    name = "EdgeAgentStateCorrupt"
    scene.fire(name, "the agent is killed and its database overwritten with noise, then started", spoil)
    scene.end(name, "the hour passes, here 10 s", lambda: None)
    assert (scene.agent.state / "state.db.aside-1").exists()
    assert scene.user.machine(MACHINE) == "ready"


def _cell(
    machine: str, first: int, last: int, *, shift: float = 0.0
) -> Iterator[tuple[float, dict[str, float]]]:
    began_s = int(time.time()) - 1000
    return ((began_s + row, values) for row, values in rows(machine, first, last, shift=shift))


def test_alerts_wait_and_are_lost(scene: Scene) -> None:
    """A subscriber that is to confirm each alert is away while a cell of robots alarms."""
    receipts = (
        f'[alerts]\nreceipt_topic = "agents/{{agent}}/receipts"\noutbox_messages = {OUTBOX}\n[commands]'
    )

    def alarm(machines: list[str]) -> None:
        for machine in machines:
            scene.say(machine, _cell(machine, LEARN_ROWS, LEARN_ROWS + 60, shift=FAULT_SHIFT))

    def confirm() -> bool:
        for told in list(scene.user.alerts):
            receipt = json.dumps({"id": told["id"], "revision": told["revision"]}).encode()
            scene.user.publish("agents/hall/receipts", receipt)
        time.sleep(1)
        return scene.agent.metric("edge_agent_alerts_waiting") == 0

    with scene.configured(("[commands]", receipts)):
        for machine in CELL:
            scene.say(machine, _cell(machine, 0, LEARN_ROWS))
        for machine in CELL:
            scene.learnt(machine)
        away = "alarms of 22 machines, and the subscriber that confirms alerts is away"
        scene.fire("EdgeAgentOutboxFilling", away, lambda: alarm(CELL[:22]))
        more = f"alarms of ten more, with room for {OUTBOX}"
        scene.fire("EdgeAgentAlertsLost", more, lambda: alarm(CELL[22:]))
        since = len(scene.hook.heard)
        scene.end("EdgeAgentOutboxFilling", "it confirms them", lambda: wait_until(confirm, what="receipts"))
        scene.end(
            "EdgeAgentAlertsLost",
            "nothing more is lost for five minutes, here 10 s",
            lambda: None,
            since=since,
        )


def test_shedding(scene: Scene) -> None:
    """While a turn hangs the queue fills; a longer patience would keep the messages at the broker."""
    payload = json.dumps({"values": {"flow": 1.0}}).encode()

    def pour() -> None:
        other = sqlite3.connect(scene.agent.state / "state.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for _ in range(FLOOD):
            info = scene.user.publish("sensors/flood-6", payload, qos=0)
        info.wait_for_publish(60)
        time.sleep(4)
        other.close()

    name = "EdgeAgentShedding"
    with scene.configured(("[model]", "queue_messages = 1000\nshed_after_s = 1\n[model]")):
        words = (
            f"another program locks the database for 4 s and {FLOOD} messages come (queue 1000, patience 1 s)"
        )
        scene.fire(name, words, pour)
        scene.end(name, "it has let go; five minutes pass, here 10 s", lambda: None)
        ledger = scene.agent.ledger()
    assert ledger["shed"] > 0
    assert ledger["received"] == sum(ledger.values()) - ledger["received"]


def test_model_expires(scene: Scene, tmp_path: Path) -> None:
    sign = pytest.importorskip("edge_trainer.bundle.sign")
    key, _ = sign.keygen(tmp_path / "key.pem")
    place = tmp_path / "bundle"

    def sign_for(lasts: timedelta, counter: int) -> None:
        sign.run(BUNDLE, keys=[key], counter=counter, expires=datetime.now(UTC) + lasts, to=place)

    def replace() -> None:
        sign_for(timedelta(days=365), 2)
        scene.reload()

    sign_for(timedelta(seconds=30), 1)
    with scene.configured((f'bundle = "{BUNDLE}"', f'bundle = "{place}"')):
        scene.fire("EdgeAgentModelExpiring", "a bundle that is good for 30 s more", lambda: None)
        since = len(scene.hook.heard)
        scene.end("EdgeAgentModelExpiring", "the 30 s pass", lambda: None)
        scene.fire("EdgeAgentModelExpired", "a bundle whose last day has passed", lambda: None, since=since)
        scene.end("EdgeAgentModelExpired", "the next release, good for a year, and SIGHUP", replace)


def test_bugs(scene: Scene, tmp_path: Path) -> None:
    """No input is known that makes the shipped agent do this: two bugs are planted."""
    script = tmp_path / "buggy.py"
    script.write_text(BUGGY.format(root=str(ROOT)))
    scene.agent.launcher = (str(script),)
    try:
        scene.restart()
        say = scene.user.publish
        planted = "a bug planted in the agent: a message at which a step breaks off"
        scene.fire("EdgeAgentInternalErrors", planted, lambda: say("sensors/crash/x", b"1"))
        scene.end("EdgeAgentInternalErrors", "the hour passes, here 10 s", lambda: None)
        twice = "a bug planted in the agent: a message that is counted twice"
        scene.fire("EdgeAgentLedgerOff", twice, lambda: say("sensors/miscount/x", b"1"))
    finally:
        scene.agent.launcher = ("-m", "edge_agent")
    scene.end("EdgeAgentLedgerOff", "the sound agent is started", scene.restart)
    assert wait_until(lambda: scene.agent.metric("edge_agent_internal_errors_total") == 0, what="no error")


def test_a_machine_that_cannot_be_scored(scene: Scene, tmp_path: Path) -> None:
    """No input is known that makes the shipped agent do this: a bug is planted."""
    flag, script = tmp_path / "unable", tmp_path / "unable.py"
    script.write_text(UNABLE.format(root=str(ROOT), flag=str(flag)))
    scene.agent.launcher = (str(script),)
    try:
        scene.restart()
        scene.learnt(MACHINE)

        def fail() -> None:
            flag.touch()
            for _ in range(12):
                scene.send(10)
                time.sleep(1.0)

        def work() -> None:
            flag.unlink()
            scene.send(60)

        scene.fire("EdgeAgentMachineNotWatched", "a bug planted in the agent: no window can be scored", fail)
        scene.end("EdgeAgentMachineNotWatched", "windows are scored again", work)
    finally:
        scene.agent.launcher = ("-m", "edge_agent")
        scene.restart()
