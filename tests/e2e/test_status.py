"""`edge-agent status` beside a running agent, one that was killed, and none at all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import free_port, wait_until
from benchmarks.harness.user import FAULT_SHIFT, User
from edge_agent.cli.status import losses
from edge_agent.metrics.page_reader import read_samples

pytestmark = pytest.mark.broker


def status(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_agent", "status", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )


def test_an_agent_is_seen_with_its_machines_alarms_and_losses_and_missed_when_it_dies(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    broker = Broker(tmp_path).start()
    agent = Agent(tmp_path, bundle=tiny_bundle, port=broker.port).start().ready()
    user = User(broker.port)
    where = ("-c", str(agent.config))
    try:
        user.publish_rows("pump-1", 0, 300)
        wait_until(lambda: user.machine("pump-1") == "ready", what="learning")
        user.publish_rows("pump-1", 300, 340, shift=FAULT_SHIFT)
        user.publish("sensors/pump-2", b"no json")
        wait_until(lambda: user.alerts, what="the alert")
        wait_until(lambda: agent.ledger().get("rejected"), what="the ledger")
        raised = user.alerts[0]
        place = f"alerts/pump-1/{raised['id']}"
        wait_until(lambda: user.retained.get(place), what="the retained alert, which `status` reads")

        user.publish_rows("pump-1", 340, 360, shift=FAULT_SHIFT)  # a silent machine is not well
        text, told = status(*where), status(*where, "--json")
        assert (text.returncode, told.returncode) == (0, 0), text.stdout + text.stderr
        assert "online and well" in text.stdout
        assert raised["summary"].split(":")[0] in text.stdout
        assert "1 rejected" in text.stdout
        table = json.loads(told.stdout)
        assert table["well"]
        assert table["losses"]["rejected"] == 1
        assert table["status"]["machines"]["pump-1"]["state"] == "ready"
        # On a slow machine the source has been silent for so long before that it has a finding of its own.
        assert raised["id"] in [alarm["id"] for alarm in table["alarms"]]

        agent.kill()  # its last will says so
        wait_until(lambda: user.status.get("state") == "offline", what="the last will")
        gone = status(*where, "--json")
        assert gone.returncode == 10
        assert json.loads(gone.stdout)["amiss"] is None
        broker.kill()
        nobody = status(*where, "--timeout", "0.5")
        assert nobody.returncode == 9
        assert "no agent answers" in nobody.stderr
    finally:
        user.close()
        agent.kill()
        broker.kill()


def test_the_page_is_enough_where_the_broker_is_gone(tmp_path: Path, tiny_bundle: Path) -> None:
    agent = Agent(tmp_path, bundle=tiny_bundle, port=free_port()).start()
    try:
        done = status("-c", str(agent.config), "--timeout", "0.5")
    finally:
        agent.kill()
    assert done.returncode == 10
    assert "amiss: broker" in done.stdout
    assert "not heard" in done.stdout


def test_samples_are_read_as_the_page_writes_them() -> None:
    text = (
        "# HELP edge_agent_messages_total x\n"
        'edge_agent_messages_total{outcome="late"} 3.0\nedge_agent_internal_errors_total 1.0\n'
        'edge_agent_score_ratio{machine="a \\"b\\""} 0.5\nedge_agent_build_info{a="b",c="d"} 1.0\n'
    )
    samples = read_samples(text)
    assert losses(samples) == {"late": 3, "internal errors": 1}
    assert samples["edge_agent_score_ratio", 'a "b"'] == 0.5
    assert len(samples) == 3
