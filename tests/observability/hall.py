"""A simulated hall with an agent that Prometheus watches: a motor breaks and a sensor sticks while it looks."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from benchmarks.harness.user import User
from tests.observability.stage import Watchers, Webhook
from tests.support.simulation import Feed, Scenario

LEARNT_ROWS = 1800
NOW = LEARNT_ROWS + 800
WATCHED_S = 240
BROKEN = "motor-2"
SCENARIO = Scenario(
    machines={
        "pump-1": "pump",
        "motor-1": "motor",
        "pump-3": "pump",
        "pump-2": "pump",
        BROKEN: "motor",
    },
    newcomer=("furnace-2", "furnace"),
    faults=(f"{BROKEN}:phase_unbalance:{NOW + 140}:60",),
    stuck=("motor-1", "winding_temperature", NOW + 30),
    learnt_rows=LEARNT_ROWS,
    now=NOW,
    after_rows=900,
)


@dataclass(frozen=True, slots=True)
class Hall:
    """What runs."""

    agent: Agent
    user: User
    watchers: Watchers

    def watch(self) -> None:
        """Waits until the motor's alarm is open and Prometheus has looked long enough; garbage comes in between."""
        began = time.monotonic()
        while (passed_s := time.monotonic() - began) < WATCHED_S:
            if WATCHED_S / 4 < passed_s < WATCHED_S / 2:
                self.user.publish("sensors/pump-2", b"not json").wait_for_publish(10)
            time.sleep(2)
        wait_until(
            lambda: any(alert["machine"] == BROKEN for alert in self.user.alerts),
            what=f"the alarm of {BROKEN}",
            patience_s=60,
        )


@contextmanager
def watched_hall(folder: Path) -> Iterator[Hall]:
    """Broker, agent, machines, and Prometheus with the rules as they ship."""
    with ExitStack() as leaving:
        broker = Broker(folder).start()
        leaving.callback(broker.kill)
        bundle = ROOT / "edge_agent/models/pretrained"
        agent = Agent(folder, bundle=bundle, port=broker.port, commission_rows=LEARNT_ROWS)
        leaving.callback(agent.kill)
        agent.start().ready()
        user = User(broker.port)
        leaving.callback(user.close)
        feed = Feed(user, SCENARIO, began_s=int(time.time()) - NOW - 20)
        leaving.callback(feed.stop)
        feed.catch_up()
        feed.start()
        hook = Webhook()
        leaving.callback(hook.close)
        watchers = Watchers(folder, agent_port=agent.metrics_port, webhook_port=hook.port, quick=False)
        leaving.callback(watchers.close)
        yield Hall(agent, user, watchers)
