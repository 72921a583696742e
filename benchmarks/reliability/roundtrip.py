"""From a machine's messages to an agent that names its faults, by the programs that users run and nothing by hand.

`python -m benchmarks.reliability.roundtrip` starts mosquitto, sends a simulated pump through it, and runs `edge-agent
record`, `edge-trainer label`, `edge-trainer fit` and `edge-agent run` one after the other; then the pump fails anew.
It writes benchmarks/results/roundtrip.json and ends with 1 unless every fault was named as it was injected.
"""

import argparse
import csv
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks import RESULTS, ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import free_port, wait_until
from edge_agent.recordings import tables as recording
from simulator import Injection, Run, simulate

_MACHINE, _KIND, _MACHINE_SEED = "pump-1", "pump", 7
_NORMAL_ROWS, _FAULT_ROWS, _REST_ROWS = 1800, 240, 400
_EPISODES = 4
_PATIENCE_S = 120.0
_START_S = 1_767_225_600


def main() -> None:
    """Walk the road and say where it led."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--faults", nargs="+", default=["cavitation", "suction_blockage"])
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = walk(Path(folder), options.faults)
    found |= {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": " ".join(["python -m benchmarks.reliability.roundtrip", *sys.argv[1:]]),
        "seconds": round(time.monotonic() - started, 1),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "roundtrip.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    if any(one["said"] != one["injected"] for one in found["alarms"]) or found["sent"] != found["recorded"]:
        raise SystemExit(1)


def walk(folder: Path, faults: Sequence[str]) -> dict[str, Any]:
    """All stations; what each brought."""
    broker = Broker(folder).start()
    try:
        run, table = history(faults)
        recorded = _record(folder, broker.port, run)
        _write_failures(folder / "failures.csv", table)
        took = _train(folder)
        alarms = [_fails_anew(folder, broker.port, fault, number) for number, fault in enumerate(faults)]
    finally:
        broker.stop()
    return {"sent": len(run.values), "recorded": recorded, **took, "alarms": alarms}


def history(faults: Sequence[str]) -> tuple[Run, list[tuple[int, int, str]]]:
    """(a pump's past, (first row, row after the last, fault) of each time that it failed)."""
    table = []
    at = _NORMAL_ROWS
    for _ in range(_EPISODES):
        for fault in faults:
            table.append((at, at + _FAULT_ROWS, fault))
            at += _FAULT_ROWS + _REST_ROWS
    injected = [Injection(fault, start, 20, 1.0, end) for start, end, fault in table]
    return simulate(_KIND, rows=at, seed=11, machine_seed=_MACHINE_SEED, injections=injected), table


def _record(folder: Path, port: int, run: Run) -> int:
    """Send the past while `edge-agent record` listens; how many rows its tables hold."""
    config = _config(folder, port, name="recorder")
    recorder = started(
        [sys.executable, "-m", "edge_agent", "record", "-c", str(config), "--to", str(folder / "recordings")],
        folder / "recorder.log",
    )
    wait_until(
        lambda: "connected" in (folder / "recorder.log").read_text(), what="the recorder's subscription"
    )
    time.sleep(1.0)
    _send(port, run, start_s=_START_S)
    time.sleep(2.0)
    recorder.send_signal(signal.SIGTERM)
    if recorder.wait(60):
        raise SystemExit((folder / "recorder.log").read_text())
    tables = recording.find(folder / "recordings")
    return sum(len(recording.read(path).values) for path in tables)


def _write_failures(path: Path, table: Sequence[tuple[int, int, str]]) -> None:
    """As a maintenance system would export it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(("machine", "start", "end", "fault"))
        lines.writerows((_MACHINE, _START_S + start, _START_S + end, fault) for start, end, fault in table)


def _train(folder: Path) -> dict[str, Any]:
    labelled, began = folder / "labelled", time.monotonic()
    trainer = [sys.executable, "-m", "edge_trainer"]
    label = [*trainer, "label", str(folder / "recordings"), "--failures", str(folder / "failures.csv")]
    subprocess.run([*label, "--out", str(labelled)], check=True, cwd=ROOT, stdout=sys.stderr)
    fit = [*trainer, "fit", "--config", "trainer/configs/recorded.toml", "--data", str(labelled)]
    names = f"finetune.names_file={labelled / 'names.toml'}"
    done = subprocess.run(
        [*fit, "--out", str(folder / "run"), "--set", names],
        check=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    (folder / "bundle").symlink_to(Path(done.stdout.strip().splitlines()[-1]))
    return {"runs": len(recording.find(labelled)), "train_s": round(time.monotonic() - began, 1)}


def _fails_anew(folder: Path, port: int, fault: str, number: int) -> dict[str, Any]:
    """Start the agent with the bundle and a pump that fails; what its last alert says."""
    agent = Agent(
        folder / f"agent-{number}",
        bundle=folder / "bundle",
        port=port,
        name=f"agent-{number}",
        longest_wait_s=None,
        retry_max_s=None,
    )
    alerts: list[dict[str, Any]] = []
    client = new_client(port)
    client.on_message = lambda _c, _u, message: alerts.append(json.loads(message.payload))
    client.subscribe("alerts/+", 1)
    try:
        agent.start().ready()
        injected = [Injection(fault, 400, 20, 1.0)]
        run = simulate(_KIND, rows=560, seed=900 + number, machine_seed=_MACHINE_SEED, injections=injected)
        _send(port, run, start_s=_START_S + 10_000_000)
        wait_until(
            lambda: any(alert["machine"] == _MACHINE for alert in alerts),
            what=f"an alert of {fault}",
            patience_s=_PATIENCE_S,
        )
        time.sleep(3.0)
    finally:
        agent.stop()
        client.loop_stop()
    opened = [alert for alert in alerts if alert["revision"] == 1]
    return {
        "injected": fault,
        "said": alerts[-1]["fault"]["name"],
        "probability": alerts[-1]["fault"]["probability"],
        "alarms": len(opened),
        "onset_after_rows": round(_seconds(opened[0]["onset"]) - _START_S - 10_000_000 - 400),
        "summary": alerts[-1]["summary"],
    }


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _config(folder: Path, port: int, *, name: str, bundle: Path | None = None) -> Path:
    model = "" if bundle is None else f'[model]\nbundle = "{bundle}"\n'
    path = folder / f"{name}.toml"
    path.write_text(
        f'[agent]\nname = "{name}"\nstate_dir = "{folder / name}"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {port}\n{model}'
        f'[metrics]\nport = {free_port()}\n[log]\nformat = "json"\n'
    )
    return path


def _send(port: int, run: Run, *, start_s: int) -> None:
    client = new_client(port)
    last = None
    for row, values in enumerate(run.values.tolist()):
        told = {name: round(value, 5) for name, value in zip(run.channels, values, strict=True)}
        payload = json.dumps({"ts": start_s + row / run.rate_hz, "values": told})
        last = client.publish(f"sensors/{_MACHINE}", payload, qos=1)
        if row % 200 == 199:
            last.wait_for_publish(30)
    if last is not None:
        last.wait_for_publish(30)
    client.disconnect()
    client.loop_stop()


def new_client(port: int) -> mqtt.Client:
    """Somebody else at the broker."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def started(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """A program of its own, with its output in a file."""
    with log.open("wb") as file:
        return subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)


if __name__ == "__main__":
    main()
