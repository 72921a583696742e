"""The stage with an agent on it: faults are made on it by name, and what the webhook heard of them is kept."""

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from benchmarks import ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from benchmarks.harness.user import User, rows
from tests.observability.stage import Watchers, Webhook

LEARN_ROWS = 300
BUNDLE = ROOT / "edge_agent/models/pretrained"
MACHINE = "pump-1"
_PATIENCE_S = 90

Act = Callable[[], object]


class Scene:
    """Broker, agent, Prometheus, Alertmanager and webhook, and what was measured."""

    def __init__(self, folder: Path, leaving: ExitStack) -> None:
        self.folder = folder
        self.broker = Broker(folder).start()
        leaving.callback(self.broker.kill)
        self.agent = Agent(folder, bundle=BUNDLE, port=self.broker.port, commission_rows=LEARN_ROWS)
        self.agent.config.write_text(self.agent.config.read_text() + '[commands]\nallow = ["recommission"]\n')
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
        self.measured: dict[str, dict[str, str | float]] = {}
        self.panels: dict[str, int] = {}

    # -- machines -------------------------------------------------------------------------------------------

    def send(self, count: int, *, machine: str = MACHINE, shift: float = 0.0, **stuck: float) -> None:
        """The machine's next rows; `stuck` channels say the same all the time."""
        first, self.row = self.row, self.row + count
        self.say(
            machine,
            (
                (self.began_s + row, values | stuck)
                for row, values in rows(machine, first, first + count, shift=shift)
            ),
        )

    def say(self, machine: str, told: Iterator[tuple[float, dict[str, float]]]) -> None:
        """Rows as (time, values), once the broker has all of them."""
        infos = [
            self.user.publish(f"sensors/{machine}", json.dumps({"ts": ts, "values": values}).encode())
            for ts, values in told
        ]
        for info in infos:
            info.wait_for_publish(20)

    def learnt(self, machine: str) -> None:
        """Wait until it is watched."""
        wait_until(lambda: self.user.machine(machine) == "ready", what=f"{machine} learnt")

    def recommission(self, machine: str) -> None:
        """The operator's command, forced: the machine is fine as it is."""
        request = f"again-{machine}"
        words = {"id": request, "by": "anna", "machine": machine, "force": True}
        self.user.publish("agents/hall/cmd/recommission", json.dumps(words).encode())
        reply = wait_until(lambda: self.user.replies.get(request), what=f"the reply to {request}")
        assert reply["result"] == "done", reply

    def figure(self, name: str, machine: str) -> float:
        """One of a machine's series, now."""
        return self.agent.metric(f'edge_agent_{name}{{machine="{machine}"}}')

    # -- the agent ------------------------------------------------------------------------------------------

    def restart(self) -> None:
        self.agent.stop()
        self.agent.start().ready()

    def reload(self) -> None:
        assert self.agent.process
        self.agent.process.send_signal(signal.SIGHUP)

    @contextmanager
    def configured(self, *changes: tuple[str, str]) -> Iterator[None]:
        """The agent restarted with parts of its configuration replaced; the old one afterwards."""
        before = self.agent.config.read_text()
        after = before
        for old, new in changes:
            assert old in after
            after = after.replace(old, new)
        self.agent.config.write_text(after)
        try:
            self.restart()
            yield
        finally:
            self.agent.config.write_text(before)
            self.agent.kill()
            self.agent.start().ready()

    # -- what the webhook hears -----------------------------------------------------------------------------

    def fire(self, name: str, fault: str, break_it: Act, *, since: int | None = None) -> None:
        """The webhook hears of the fault, in words `fault`, once it is there; `since`: or was heard before."""
        self.measured[name] = {"fault": fault, **self._hear(name, "firing", break_it, since)}

    def end(self, name: str, mended: str, mend_it: Act, *, since: int | None = None) -> None:
        """The webhook hears of its end once it is mended, in words `mended`."""
        self.measured[name] |= {"mended": mended, **self._hear(name, "resolved", mend_it, since)}

    def _hear(self, name: str, status: str, act: Act, since: int | None) -> dict[str, float]:
        before, began = len(self.hook.heard) if since is None else since, time.monotonic()
        act()
        wait_until(
            lambda: (name, status) in self.hook.heard[before:],
            what=f"{name} {status}; heard {self.hook.heard[before:]}",
            patience_s=_PATIENCE_S,
        )
        return {f"{status}_after_s": round(time.monotonic() - began, 1)}


class Slow:
    """A machine that says a row a minute, sent as fast as it goes; its clock began some weeks ago.

    Three channels that breathe together and follow the load.
    """

    def __init__(self, scene: Scene, name: str) -> None:
        self.name = name
        self._scene = scene
        self._began_s = int(time.time()) - 30 * 86_400
        self._row = 0
        self._rng = np.random.default_rng(sum(name.encode()))

    def run(self, count: int, *, noise: float = 1.0, shift: float = 0.0, load: float | None = 0.0) -> None:
        """Its next rows: noise relative to the usual, pressure off by so many deviations, load None: all in turn."""
        first, self._row = self._row, self._row + count
        told = (
            (self._began_s + 60 * row, self._values(row, noise, shift, load))
            for row in range(first, self._row)
        )
        self._scene.say(self.name, told)

    def _values(self, row: int, noise: float, shift: float, load: float | None) -> dict[str, float]:
        wave, e = math.sin(row / 7), noise * self._rng.normal(size=3)
        turn = row / 150 % 2
        load = min(turn, 2 - turn) if load is None else load
        return {
            "pressure": 5 + 3 * load + wave * 0.3 + 0.1 * (float(e[0]) + shift),
            "flow": 40 - 4 * load - wave + 0.4 * float(e[1]),
            "current": 12 + 2 * load + 0.05 * float(e[2]),
        }
