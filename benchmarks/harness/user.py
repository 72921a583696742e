"""What stands around an agent in end-to-end tests: a broker program, the agent as a process, and a user's client."""

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.signals.row_buffer import RingState
from edge_agent.store.database import Database
from edge_agent.store.journal import remembered

ROOT = Path(__file__).parents[2]
START_TS = 1_600_000_000
FAULT_SHIFT = 12.0
"""In standard deviations of the noise: a fault that nobody could miss."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(true: Callable[[], Any], *, what: str, patience_s: float = 30.0) -> Any:
    """The first truthy answer; fails the test after `patience_s`."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if answer := true():
            return answer
        time.sleep(0.02)
    pytest.fail(f"waited {patience_s:.0f} s in vain for {what}")


class Mosquitto:
    """A real broker on its own port, which can be killed and started again."""

    def __init__(self, folder: Path, *, access: str = "allow_anonymous true") -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            if os.environ.get("CI") == "true":
                pytest.fail("mosquitto is missing: apt install mosquitto")
            pytest.skip("mosquitto is missing: apt install mosquitto")
        self.port = free_port()
        self._program = program
        self._file = folder / "mosquitto.conf"
        self._file.write_text(f"listener {self.port} 127.0.0.1\n{access}\nmax_queued_messages 100000\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._listens, what="mosquitto")
        return self

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=0.2):
            return True
        return False


class AgentProcess:
    """`edge-agent run` as a user starts it."""

    def __init__(
        self,
        folder: Path,
        *,
        bundle: Path,
        broker_port: int,
        rows: int = 300,
        access: str = "",
        longest_wait_s: float = 0.0,
    ) -> None:
        """By default nothing is passed over: tests send in a second what a slow computer judges in ten."""
        self.metrics_port = free_port()
        self.state_dir = folder / "state"
        self.log_file = folder / "agent.log"
        self.config = folder / "agent.toml"
        self.config.write_text(
            f"""
            [agent]
            name = "hall"
            state_dir = "{self.state_dir}"
            [broker]
            host = "127.0.0.1"
            port = {broker_port}
            retry_max_s = 1
            longest_wait_s = {longest_wait_s}
            {access}
            [model]
            bundle = "{bundle}"
            [commission]
            rows = {rows}
            [metrics]
            port = {self.metrics_port}
            [log]
            format = "json"
            """
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.program: tuple[str, ...] | None = None
        """What is run in place of the agent; None: the agent."""

    def start(self) -> Self:
        program = self.program or (sys.executable, "-m", "edge_agent")
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*program, "run", "-c", str(self.config)],
                cwd=ROOT,
                stderr=log,
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        wait_until(lambda: self.page("/healthz")[0] == 200, what="the agent's health page")
        return self

    def ready(self) -> Self:
        wait_until(lambda: self.page("/readyz")[0] == 200, what="the agent to be ready")
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=20)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def page(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, series: str) -> float:
        """The value of one series, written as on the page; 0 where it is absent."""
        for line in self.page("/metrics")[1].splitlines():
            name, _, value = line.rpartition(" ")
            if name == series:
                return float(value)
        return 0.0

    def ledger(self) -> dict[str, float]:
        """received and the five outcomes, of one scrape."""
        found: dict[str, float] = {}
        for line in self.page("/metrics")[1].splitlines():
            name, _, value = line.rpartition(" ")
            if name == "edge_agent_messages_received_total":
                found["received"] = float(value)
            elif name.startswith("edge_agent_messages_total{"):
                found[name.split('"')[1]] = float(value)
        return found

    def settled_for(self, quiet_s: float) -> bool:
        """Whether no message has come for a while."""
        before = self.ledger()
        time.sleep(quiet_s)
        return bool(before) and before == self.ledger()

    def ring(self, machine: str) -> RingState:
        """The machine's rows as they are on disk."""
        contents = Database(self.state_dir / "state.db").read()
        found = remembered(contents.states, [(turn, block) for turn, block, _ in contents.samples])
        return found.rings[machine][1]

    def log_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_file.read_text().splitlines() if line.startswith("{")]


class User:
    """Someone else at the broker: publishes sensor rows, reads alerts and the agent's status."""

    def __init__(self, port: int, *, enter: Callable[[mqtt.Client], None] | None = None) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.retained: dict[str, bytes] = {}
        self.status: dict[str, Any] = {}
        self.replies: dict[str, dict[str, Any]] = {}
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe([("alerts/#", 1), ("agents/#", 1)])
        subscribed = threading.Event()  # connected is not enough: what comes before the SUBACK is missed
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.reconnect_delay_set(1, 1)
        if enter is not None:
            enter(self._client)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        wait_until(subscribed.is_set, what="the user's subscription")

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        if message.topic.startswith("agents/"):
            kind = message.topic.split("/")[2]
            if kind == "status":
                self.status = json.loads(message.payload)
            elif kind == "reply":
                self.replies[message.topic.split("/")[3]] = json.loads(message.payload)
        elif message.topic.count("/") > 1:
            self.retained[message.topic] = message.payload
        else:
            self.alerts.append(json.loads(message.payload))

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1
    ) -> mqtt.MQTTMessageInfo:
        return self._client.publish(topic, payload, qos=qos, retain=retain)

    def publish_rows(self, machine: str, first: int, last: int, *, shift: float = 0.0) -> int:
        """Rows [first, last) of a machine's life; returns how many once the broker has all of them."""
        infos = [
            self.publish(f"sensors/{machine}", json.dumps({"ts": START_TS + row, "values": values}).encode())
            for row, values in rows(machine, first, last, shift=shift)
        ]
        for info in infos:
            info.wait_for_publish(20)
        return len(infos)

    def machine(self, name: str) -> str:
        """The machine's state as the status message tells it."""
        return str(self.status.get("machines", {}).get(name, {}).get("state", ""))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_message = (
            None  # ends the circle of references, so that paho closes its sockets at once
        )


def rows(
    machine: str, first: int, last: int, *, shift: float = 0.0
) -> Iterator[tuple[int, dict[str, float]]]:
    """Three channels that breathe together; `shift` moves `pressure` by so many noise deviations."""
    seed = sum(machine.encode())
    for row in range(first, last):
        noise = np.random.default_rng((seed, row)).normal(size=3)
        wave = math.sin(row / 7)
        yield (
            row,
            {
                "pressure": round(5 + wave + 0.1 * float(noise[0]) + 0.1 * shift, 4),
                "flow": round(40 - 4 * wave + 0.4 * float(noise[1]), 4),
                "current": round(12 + 0.5 * wave + 0.05 * float(noise[2]), 4),
            },
        )
