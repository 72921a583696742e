"""What the demo plays on: an embedded broker, the agent and a simulated plant as processes, and a user's client.

The plant is a program of the training side; the agent never imports it, so it is started as a process of its own.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from edge_agent.cli.demo.script import Script
from edge_agent.errors import EdgeAgentError, UsageError
from edge_agent.metrics.page_reader import read_samples
from edge_agent.mqtt.connection import BrokerAddress
from edge_agent.mqtt.egress import Egress
from edge_agent.mqtt.inbox import Inbox
from edge_agent.mqtt.ingest import Ingest
from edge_agent.mqtt.outbox import Message, Outbox

_HOST = "127.0.0.1"
_METRICS_PORT = 9108
_PAGE_PORT = 9109
_PAYLOAD_LIMIT_BYTES = 1_000_000
_START_PATIENCE_S = 30.0
_RATIO, _RECEIVED = "edge_agent_score_ratio", "edge_agent_messages_received_total"
_CONFIG = """\
# Written by `edge-agent demo`.
[agent]
name = "demo"
state_dir = "state"

[broker]
host = "{host}"
port = {port}

[commission]
rows = {rows}

[metrics]
port = {metrics_port}

[page]
enabled = true
listen = "{host}:{page_port}"
token_file = "token"

[log]
format = "json"
"""


StartBroker = Callable[[Path, ExitStack], int]
"""Starts a broker that may write into the folder, ends it with the stack, and says its port on this computer."""


def start_embedded(_: Path, leaving: ExitStack) -> int:
    """A broker within this process.

    Raises:
        UsageError: it is not installed.
    """
    try:
        from iotcore import Broker  # an optional dependency, for the demo alone
    except ImportError as error:
        raise UsageError("the demo needs an embedded broker: pip install 'edge-agent[demo]'") from error
    port = _port(0)
    broker = Broker(port=port, listen=_HOST, max_payload_size=_PAYLOAD_LIMIT_BYTES)
    broker.start()
    leaving.callback(broker.stop)
    return port


@dataclass(frozen=True, slots=True)
class Observation:
    """What a user sees at one moment.

    Attributes:
        machines: the status message's entry of each machine.
        ratios: latest score over threshold of each machine that has one.
        received: messages that the agent has taken in.
    """

    machines: dict[str, dict[str, Any]]
    ratios: dict[str, float]
    received: int


class Stage(AbstractContextManager["Stage"]):
    """Everything that runs beside the demo itself; leaving it ends all of it."""

    def __init__(self, out: Path, *, script: Script, start_ts: float, broker: StartBroker) -> None:
        """Prepare; nothing starts before `with`.

        Args:
            out: folder for the configuration, logs and state.
            script: what is played.
            start_ts: time of its first row.
            broker: starts one.
        """
        self.alerts: list[dict[str, Any]] = []
        """Every alert message that the user has read."""
        self.published = 0
        self._leaving = ExitStack()
        self.metrics_port = _own_port(_METRICS_PORT, self._leaving)
        self._page_port = _own_port(_PAGE_PORT, self._leaving)
        self._out = out
        self._script = script
        self._plant = script.plant_arguments(start_ts)
        self._broker = broker
        self._status: dict[str, Any] = {}
        self._token = secrets.token_urlsafe(16)
        self._agent: subprocess.Popen[bytes]
        self._plant_process: subprocess.Popen[bytes]
        self._lines: Iterator[str]
        self._inbox = Inbox(
            messages_limit=100_000, bytes_limit=100_000_000, shed_after_s=60.0, monotonic=time.monotonic
        )
        self._outbox = Outbox(limit=100_000)
        self._reader: Ingest
        self._writer: Egress

    def __enter__(self) -> Self:
        with self._leaving:
            self._out.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(self._out / "state", ignore_errors=True)  # a demo begins with machines nobody knows
            port = self._broker(self._out, self._leaving)
            self._start_agent(port)
            self._start_plant()
            self._connect(port)
            self._leaving = self._leaving.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.close()

    # -- for the play ---------------------------------------------------------------------------------------

    def publish(self, messages: int) -> int:
        """Send that many of the plant's next messages; returns how many there were, once the broker has them.

        Raises:
            EdgeAgentError: the broker does not take them.
        """
        taken = [line for _, line in zip(range(messages), self._lines, strict=False)]
        for number, line in enumerate(taken):
            message = json.loads(line)
            payload = json.dumps(message["payload"]).encode()
            self._outbox.put(Message(("row", str(self.published + number)), message["topic"], payload))
        patience_s = time.monotonic() + _START_PATIENCE_S
        while len(self._outbox):
            self._writer.publish_waiting()
            if time.monotonic() > patience_s:
                raise EdgeAgentError("demo: the broker takes no messages")
            time.sleep(0.0005)
        self.published += len(taken)
        return len(taken)

    @property
    def page_url(self) -> str:
        """The agent's page for people."""
        return f"http://{_HOST}:{self._page_port}/"

    @property
    def login_url(self) -> str:
        """The page with the demo's token: behind `#`, so that it goes to no server and into no log."""
        return f"{self.page_url}#/login/{self._token}"

    def change_script(self, script: Script, *, start_ts: float) -> None:
        """Go on by another script that was the same so far: what of it was published is passed over."""
        before = self._plant_process
        self._plant = script.plant_arguments(start_ts)
        self._start_plant()
        for _ in zip(range(self.published), self._lines, strict=False):
            pass
        _end(before)

    def command(self, name: str, **what: str) -> None:
        """Send the agent a command, as a technician's screen would."""
        payload = json.dumps({"id": f"demo-{name}", "by": "technician", **what}).encode()
        self._outbox.put(Message(("command", name), f"agents/demo/cmd/{name}", payload))

    def observe(self) -> Observation:
        """Read what has arrived.

        Raises:
            EdgeAgentError: the agent has ended.
        """
        if self._agent.poll() is not None:
            raise EdgeAgentError(
                f"demo: the agent ended with code {self._agent.returncode}; see {self._out / 'agent.log'}"
            )
        batch = self._inbox.drain(limit=10_000, timeout_s=0.0)
        for delivery in batch.deliveries:
            if delivery.topic.startswith("agents/"):
                self._status = json.loads(delivery.payload)
            else:
                self._take_alert(delivery.payload)
        self._reader.acknowledge(batch.receipts)
        ratios, received = self._scrape()
        return Observation(self._status.get("machines", {}), ratios, received)

    def _take_alert(self, payload: bytes) -> None:
        """Keep an alert and append it to the file that stays."""
        if not payload:  # what was retained is over
            return
        alert = json.loads(payload)
        if any((alert["id"], alert["revision"]) == (known["id"], known["revision"]) for known in self.alerts):
            return
        self.alerts.append(alert)
        with (self._out / "alarms.jsonl").open("ab") as file:
            file.write(payload + b"\n")

    def _scrape(self) -> tuple[dict[str, float], int]:
        samples = read_samples(self.page("/metrics"))
        ratios = {machine: value for (name, machine), value in samples.items() if name == _RATIO}
        return ratios, int(samples.get((_RECEIVED, ""), 0))

    def page(self, path: str) -> str:
        """A page of the agent's, empty while there is none."""
        try:
            with urllib.request.urlopen(f"http://{_HOST}:{self.metrics_port}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    # -- setting up -----------------------------------------------------------------------------------------

    def _start_agent(self, port: int) -> None:
        token = self._out / "token"
        token.unlink(missing_ok=True)
        token.touch(mode=0o600)
        token.write_text(self._token, encoding="utf-8")
        config = self._out / "agent.toml"
        config.write_text(
            _CONFIG.format(
                host=_HOST,
                port=port,
                rows=self._script.commission_rows,
                metrics_port=self.metrics_port,
                page_port=self._page_port,
            )
            + self._script.config,
            encoding="utf-8",
        )
        (self._out / "alarms.jsonl").write_bytes(b"")
        log = self._leaving.enter_context((self._out / "agent.log").open("wb"))
        self._agent = self._start("edge_agent", "run", "--config", str(config), stderr=log)
        patience_s = time.monotonic() + _START_PATIENCE_S
        while not self.page("/readyz"):
            if self._agent.poll() is not None or time.monotonic() > patience_s:
                raise EdgeAgentError(f"demo: the agent does not start; see {self._out / 'agent.log'}")
            time.sleep(0.05)

    def _start_plant(self) -> None:
        self._plant_process = plant = self._start("simulator", *self._plant, stdout=subprocess.PIPE)
        assert plant.stdout is not None  # noqa: S101 - asked for one line above
        self._leaving.callback(plant.stdout.close)
        self._lines = (line.decode() for line in plant.stdout)

    def _start(
        self, module: str, *arguments: str, stdout: int | None = None, stderr: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        # One thread each: the demo's programs share a small computer.
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            env=one_thread | os.environ,
            stdout=stdout,
            stderr=stderr,
        )
        self._leaving.callback(_end, process)
        return process

    def _connect(self, port: int) -> None:
        address = BrokerAddress(host=_HOST, port=port)
        self._reader = Ingest(
            address,
            client_id="demo-user",
            filters=["alerts/#", "agents/+/status"],
            inbox=self._inbox,
            payload_limit_bytes=_PAYLOAD_LIMIT_BYTES,
            wall_clock_ns=time.time_ns,
            report=lambda *_, **__: None,
        )
        self._writer = Egress(
            address,
            client_id="demo-plant",
            will=Message(("will",), "demo/plant", b"gone"),
            outbox=self._outbox,
            report=lambda *_, **__: None,
        )
        for connection in (self._reader, self._writer):
            connection.start()
            self._leaving.callback(connection.stop)


def _own_port(wanted: int, leaving: ExitStack) -> int:
    """The wanted port if neither another program nor another demo has it, else any free one.

    A demo's agent takes its port a second after the demo has looked. Until the stack is left, a name that only one
    process can hold (an abstract socket of Linux) keeps the next demo from the same port.
    """
    claim = socket.socket(socket.AF_UNIX)
    leaving.callback(claim.close)
    try:
        claim.bind(f"\0edge-agent-demo-{wanted}")
    except OSError:
        return _port(0)
    return _port(wanted)


def _port(wanted: int) -> int:
    """The wanted port if it is free, else any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, wanted))
        except OSError:
            return _port(0)
        return int(probe.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
