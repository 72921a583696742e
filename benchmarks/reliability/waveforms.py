"""Vibration as blocks over a real broker: learnt while normal, alarmed when damaged, named after what operators said.

`python -m benchmarks.reliability.waveforms --data DIR` sends blocks of the CWRU bearing (48 kHz) and of a ceiling fan
(200 Hz) through mosquitto to `edge-agent run`; labels go to it as commands. It writes
benchmarks/results/waveforms.{json,md}.

CWRU holds 5 s of a healthy bearing, about 30 frames: both commissioning and the normal control draw blocks at random
places of all of them, so that this control says nothing of false alarms; learnt from one half, the other half is
alarmed. Of each damaged bearing the first half of a recording is labelled; what must be named is its second half, and
another bearing with the same damage. The fan's control is its unseen last part; its faulty run is one recording, of
which the first half is labelled and the second must be named.
"""

import argparse
import base64
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import RESULTS
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from benchmarks.reliability.roundtrip import new_client
from edge_agent.recordings import tables

_START_S = 1_767_225_600
_PATIENCE_S = 120.0
_SETTLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Trial:
    """A machine, its source, and its recordings [samples, channels] by what they show.

    Attributes:
        source: lines of `[source.waveform]`.
        learn, control: normal. named: (true fault, what is labelled, what must then be named by its relation to it).
        blocks: frames sent of each.
    """

    machine: str
    rate_hz: float
    frame_samples: int
    channels: tuple[str, ...]
    source: str
    learn: NDArray[np.float32]
    control: NDArray[np.float32]
    named: tuple[tuple[str, NDArray[np.float32], Mapping[str, NDArray[np.float32]]], ...]
    learn_blocks: int
    recover_blocks: int
    blocks: int
    random_places: bool


def cwru(data: Path) -> Trial:
    """The drive end's bearing, 6205-2RS; lengths in inches."""

    def read(name: str) -> NDArray[np.float32]:
        path = data / "cwru/DE48" / f"1797_{name}.parquet"
        return tables.read(path, channels=["DE_acc"]).values

    def fault(name: str, labelled: str, other: str) -> tuple[str, Any, Mapping[str, Any]]:
        samples = read(labelled)
        half = len(samples) // 2
        return name, samples[:half], {"same bearing, later": samples[half:], "another bearing": read(other)}

    normal = read("Normal")
    return Trial(
        machine="motor",
        rate_hz=48_000.0,
        frame_samples=8192,
        channels=("de",),
        source="rpm = 1797.0\nbearing = { rollers = 9, roller_diameter = 0.3126, pitch_diameter = 1.537 }\n",
        learn=normal,
        control=normal,
        named=(
            fault("inner race", "IR_7_DE48", "IR_21_DE48"),
            fault("outer race", "ORat6_7_DE48", "ORat6_21_DE48"),
        ),
        learn_blocks=600,
        recover_blocks=320,
        blocks=160,
        random_places=True,
    )


def fan(data: Path) -> Trial:
    """A ceiling fan at low speed; a weight is taped to a blade."""

    def read(name: str) -> NDArray[np.float32]:
        path = data / "fan_accel" / f"{name}.parquet"
        return tables.read(path, channels=["acc_x", "acc_y", "acc_z"]).values

    normal, weight = read("fan_0_low_0_weight"), read("fan_0_low_1_weight")
    half = len(weight) // 400 * 200
    return Trial(
        machine="fan",
        rate_hz=200.0,
        frame_samples=200,
        channels=("x", "y", "z"),
        source="",
        learn=normal[: 360 * 200],
        control=normal[360 * 200 :],
        named=(("weight on a blade", weight[:half], {"same fan, later": weight[half:]}),),
        learn_blocks=360,
        recover_blocks=220,
        blocks=220,
        random_places=False,
    )


class Bench:
    """One agent, one machine, one user."""

    def __init__(self, folder: Path, port: int, trial: Trial) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.states: dict[str, str] = {}
        self._trial = trial
        self._at_s = float(_START_S)
        self._rng = np.random.default_rng(5)
        self._client = new_client(port)
        self._client.on_message = self._heard
        self._client.subscribe([("alerts/+", 1), ("agents/#", 1)])
        source = _SOURCE.format(trial=trial)
        limits = {"limits": "payload_bytes = 1000000"}
        self._agent = Agent(
            folder,
            bundle=None,
            port=port,
            name="bench",
            commission_rows=trial.learn_blocks,
            retry_max_s=None,
            access=source,
            settings=limits,
        )
        self._agent.start().ready()

    def _heard(self, _client: object, _userdata: object, message: Any) -> None:
        told = json.loads(message.payload) if message.payload else {}
        if message.topic.startswith("alerts/"):
            self.alerts.append(told)
        elif message.topic.endswith("/status"):
            self.states = {name: one["state"] for name, one in told.get("machines", {}).items()}

    def play(self, samples: NDArray[np.float32], blocks: int) -> list[dict[str, Any]]:
        """Send so many blocks of one frame each; the alerts that came of them."""
        before, trial, S = len(self.alerts), self._trial, self._trial.frame_samples
        info = None
        for number in range(blocks):
            places = len(samples) - S + 1
            at = (
                int(self._rng.integers(places))
                if trial.random_places
                else number * S % (len(samples) // S * S)
            )
            payload = {
                "ts": round(self._at_s, 6),
                "rate_hz": trial.rate_hz,
                "samples": {
                    name: base64.b64encode(samples[at : at + S, column].astype("<f4").tobytes()).decode()
                    for column, name in enumerate(trial.channels)
                },
            }
            self._at_s += S / trial.rate_hz
            info = self._client.publish(f"wave/{trial.machine}", json.dumps(payload), qos=1)
            if number % 20 == 19:
                info.wait_for_publish(30)
        if info is not None:
            info.wait_for_publish(30)
        time.sleep(_SETTLE_S)
        return self.alerts[before:]

    def learnt(self) -> None:
        """Wait until the machine is watched."""
        wait_until(
            lambda: self.states.get(self._trial.machine) == "ready",
            what="commissioning",
            patience_s=_PATIENCE_S,
        )

    def label(self, alarm: str, fault: str) -> None:
        """As an operator would."""
        told = {"id": f"label-{len(self.alerts)}", "by": "benchmark", "alarm": alarm, "fault": fault}
        self._client.publish("agents/bench/cmd/label", json.dumps(told), qos=1).wait_for_publish(30)
        time.sleep(1.0)

    def close(self) -> None:
        """End the agent."""
        self._agent.stop()
        self._client.loop_stop()


_SOURCE = """
[[source]]
topic = "wave/{{machine}}"
format = "waveform"
[source.waveform]
rate_hz = {trial.rate_hz}
frame_samples = {trial.frame_samples}
{trial.source}
"""


def measure(trial: Trial) -> dict[str, Any]:
    """Commission, control, and each fault twice."""
    with tempfile.TemporaryDirectory() as name:
        broker = Broker(Path(name)).start()
        bench = Bench(Path(name), broker.port, trial)
        try:
            return _measure(bench, trial)
        finally:
            bench.close()
            broker.stop()


def _measure(bench: Bench, trial: Trial) -> dict[str, Any]:
    bench.play(trial.learn, trial.learn_blocks)
    bench.learnt()
    control = bench.play(trial.control, trial.blocks)
    faults = []
    for fault, labelled, _ in trial.named:
        alerts = bench.play(labelled, trial.blocks)
        faults.append(_told(fault, "labelled", alerts))
        for alarm in dict.fromkeys(alert["id"] for alert in alerts):
            bench.label(alarm, fault)
        bench.play(trial.control, trial.recover_blocks)
    for fault, _, unseen in trial.named:
        for role, samples in unseen.items():
            faults.append(_told(fault, role, bench.play(samples, trial.blocks)))
            bench.play(trial.control, trial.recover_blocks)
    return {
        "machine": trial.machine,
        "rows_learnt": trial.learn_blocks,
        "control_rows": trial.blocks,
        "alarms_in_control": len({alert["id"] for alert in control}),
        "faults": faults,
    }


def _told(fault: str, role: str, alerts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    opened = [alert for alert in alerts if alert["state"] == "open"]
    if not opened:
        return {"fault": fault, "role": role, "alarmed": False}
    last = opened[-1]
    return {
        "fault": fault,
        "role": role,
        "alarmed": True,
        "said": last["fault"]["name"],
        "probability": round(last["fault"]["probability"], 3),
        "severity": last["severity"],
        "channels": [channel["name"] for channel in last["channels"]],
        "bearing_lines": sorted(
            {
                f"{channel['name']}: {channel['observed']:.3g} (usually {channel['normal_low']:.3g} to "
                f"{channel['normal_high']:.3g})"
                for channel in last["channels"]
                if "envelope_" in channel["name"] and channel["observed"] is not None
            }
        ),
        "summary": last["summary"],
    }


def table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        "# Vibration as blocks over a broker",
        "",
        f"{report['date']}, `{report['command']}`.",
        "",
        "| machine | fault | role | alarmed | said | evidence |",
        "|---|---|---|---|---|---|",
    ]
    for trial in report["trials"]:
        normal = f"{trial['alarms_in_control']} alarms in {trial['control_rows']} calm rows"
        lines.append(f"| {trial['machine']} | none | control | {normal} | | |")
        for one in trial["faults"]:
            alarmed = "yes" if one["alarmed"] else "no"
            said = (
                trial["machine"],
                one["fault"],
                one["role"],
                alarmed,
                one.get("said", ""),
                one.get("summary", ""),
            )
            lines.append(f"| {' | '.join(said)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    report = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": " ".join(["python -m benchmarks.reliability.waveforms", *sys.argv[1:]]),
        "trials": [measure(trial) for trial in (cwru(options.data), fan(options.data))],
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "waveforms.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.out / "waveforms.md").write_text(table(report))
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
