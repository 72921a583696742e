"""SKAB over real MQTT: the shipped agent as a process, measured by the alerts it publishes and by nothing else.

`python -m benchmarks.detection.skab_live` starts mosquitto and `edge-agent run`, publishes 34 runs of the water
circulation testbed (QoS 1, the recording's own time stamps, one machine a run, faster than life), reads the alerts
like any subscriber, and holds them against the labels, which are never sent. Protocol of the data set: the first 400
rows of each run are learnt from, the rest is judged, points of all runs pooled.

The pictures' scores come from `edge-agent replay` of the same run, which drives the same pipeline; the report says
how many runs raised the same alarms there as over MQTT.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import paho.mqtt.client as mqtt
import pyarrow.parquet as pq
from edge_trainer.evaluation.measures import event_measures, point_measures, segments
from paho.mqtt.enums import CallbackAPIVersion
from PIL import Image

from benchmarks import RESULTS, ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from edge_agent.recordings import tables as recordings
from edge_agent.recordings.replay import row_times_ns
from edge_agent.recordings.tables import Recording

mpl.use("Agg")
from matplotlib import pyplot as plt

LEARN_ROWS, SECONDS_A_WEEK = 400, 7 * 24 * 3600


@dataclass(slots=True)
class Run:
    """One recording, what was published of it and what came back."""

    name: str
    recording: Recording
    label: np.ndarray
    alerts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds(self) -> np.ndarray:
        """[R] event times as they are sent."""
        return row_times_ns(self.recording) / 1e9

    def alarm(self) -> np.ndarray:
        """[R] rows whose time lies in an alarm that was not unsettled, from the alert messages alone."""
        seconds = self.seconds
        loud = np.zeros(len(seconds), bool)
        begun: set[str] = set()
        for alert in sorted(self.alerts, key=lambda alert: (alert["time"], alert["revision"])):
            since = alert["time"] if alert["id"] in begun else alert["onset"]
            begun.add(alert["id"])
            loud[seconds >= _seconds(since)] = alert["state"] == "open" and not alert["unsettled"]
        return loud

    def intervals(self) -> list[tuple[float, float]]:
        """Opening and closing times of the alarms; infinite where one was still open at the end."""
        opened: dict[str, float] = {}
        closed: dict[str, float] = {}
        for alert in self.alerts:
            opened.setdefault(alert["id"], _seconds(alert["onset"]))
            if alert["closed"] is not None:
                closed[alert["id"]] = _seconds(alert["closed"])
        return [(start, closed.get(name, np.inf)) for name, start in opened.items()]


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


class Subscriber:
    """A client that publishes rows and collects alerts."""

    def __init__(self, port: int) -> None:
        self.alerts: dict[tuple[str, int], dict[str, Any]] = {}
        self.states: dict[str, str] = {}
        self.read = 0
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.max_inflight_messages_set(100)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe(
            [("alerts/+", 1), ("agents/skab/status", 1)]
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        content = json.loads(message.payload)
        if message.topic.startswith("alerts/"):
            self.alerts[content["id"], content["revision"]] = content
            self.read += 1
        else:
            self.states = {name: machine["state"] for name, machine in content["machines"].items()}

    def publish(self, run: Run, start: int, end: int) -> int:
        """Rows [start, end) in the file's order; returns their number once the broker has them."""
        seconds, channels = run.seconds, run.recording.channels
        infos = []
        for row in range(start, min(end, len(seconds))):
            values = dict(zip(channels, run.recording.values[row].tolist(), strict=True))
            payload = json.dumps({"ts": float(seconds[row]), "values": values})
            infos.append(self._client.publish(f"sensors/{run.name}", payload, qos=1))
        for info in infos:
            info.wait_for_publish(60.0)
        return len(infos)

    def close(self) -> None:
        """Leave; the network thread ends by itself."""
        self._client.disconnect()


def main() -> int:
    """Run the benchmark; exit status 0 if the ledgers agree, whatever the measures are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("EDGE_AGENT_DATA", ROOT / "../shared/data"))
    )
    parser.add_argument("--bundle", type=Path, help="bundle directory (default: the shipped one)")
    parser.add_argument("--runs", type=int, default=None, help="only the first so many runs")
    parser.add_argument("--no-pictures", action="store_true")
    options = parser.parse_args()
    runs = load_runs(options.data / "skab")[: options.runs]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as leaving:
        config, ledger, took_s = play(runs, folder=Path(folder), bundle=options.bundle, leaving=leaving)
        replayed = replay(runs, data=options.data / "skab", config=config, folder=Path(folder))
        same = sum(replayed[run.name][1] == {alert["id"] for alert in run.alerts} for run in runs)
        for run in [] if options.no_pictures else runs:
            picture(run, replayed[run.name][0])
    report = measure(runs) | {
        "ledger": ledger,
        "publishing_took_s": round(took_s, 1),
        "same_alarms_in_replay": same,
    }
    report |= {
        "command": "python -m benchmarks.detection.skab_live",
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "skab_live.json").write_text(json.dumps(report, indent=1) + "\n")
    sys.stdout.write(
        json.dumps({key: value for key, value in report.items() if key != "runs"}, indent=1) + "\n"
    )
    return 0 if ledger["agrees"] else 1


def load_runs(folder: Path) -> list[Run]:
    """The 34 runs of the protocol, in the index's order."""
    with (folder / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["group"] != "anomaly-free"]
    runs = []
    for row in rows:
        recording = recordings.read(folder / row["file"], exclude=("changepoint",))
        label = np.zeros(len(recording.values)) if recording.label is None else recording.label
        runs.append(Run(row["series_id"], recording, np.asarray(label) > 0))
    return runs


def play(
    runs: list[Run], *, folder: Path, bundle: Path | None, leaving: ExitStack
) -> tuple[Path, dict[str, Any], float]:
    """Everything over the wire; returns the configuration, the ledger and the seconds it took."""
    broker = Broker(folder).start()
    leaving.callback(broker.stop)
    agent = Agent(
        folder,
        bundle=bundle and bundle.resolve(),
        port=broker.port,
        name="skab",
        commission_rows=LEARN_ROWS,
        off_delay_s=None,
        retry_max_s=None,
        settings={"window": "hop_s = 1.0"},
    )
    leaving.callback(agent.stop)
    agent.start().ready()
    subscriber = Subscriber(broker.port)
    leaving.callback(subscriber.close)
    started = time.monotonic()
    published = sum(subscriber.publish(run, 0, LEARN_ROWS) for run in runs)
    wait_until(
        lambda: all(subscriber.states.get(run.name) == "ready" for run in runs),
        what="learning",
        patience_s=300,
    )
    published += sum(subscriber.publish(run, LEARN_ROWS, len(run.label)) for run in runs)
    wait_until(
        lambda: agent.ledger().get("received", 0) >= published, what="the agent to take in all messages"
    )
    took_s = time.monotonic() - started
    wait_until(
        lambda: agent.series().get("edge_agent_outbox_messages") == 0,
        what="the last alerts to be acknowledged",
    )
    acknowledged = agent.series()["edge_agent_alerts_acknowledged_total"]
    wait_until(lambda: subscriber.read >= acknowledged, what=f"{acknowledged:.0f} alerts to arrive")
    of_machines = [alert for alert in subscriber.alerts.values() if alert["kind"] == "machine"]
    for alert in sorted(of_machines, key=lambda alert: (alert["time"], alert["revision"])):
        next(run for run in runs if run.name == alert["machine"]).alerts.append(alert)
    ledger: dict[str, Any] = {"published": published, **agent.ledger()}
    outcomes = sum(value for name, value in ledger.items() if name not in {"published", "received"})
    ledger["agrees"] = published == ledger["received"] == outcomes
    return agent.config, ledger, took_s


def measure(runs: list[Run]) -> dict[str, Any]:
    """Measures of the judged parts, pooled and per run."""
    alarm = np.concatenate([run.alarm()[LEARN_ROWS:] for run in runs])
    label = np.concatenate([run.label[LEARN_ROWS:] for run in runs])
    per_run = []
    for run in runs:
        events = event_measures(
            run.alarm()[LEARN_ROWS:], run.label[LEARN_ROWS:], rows_per_week=SECONDS_A_WEEK
        )
        points = point_measures(run.alarm()[LEARN_ROWS:], run.label[LEARN_ROWS:])
        # An alarm that was open already when the event began has found nothing.
        begins = [run.seconds[LEARN_ROWS:][start] for start, _ in segments(run.label[LEARN_ROWS:])]
        ends = [run.seconds[LEARN_ROWS:][end - 1] for _, end in segments(run.label[LEARN_ROWS:])]
        fresh = [
            any(begin <= opened <= end for opened, _ in run.intervals())
            for begin, end in zip(begins, ends, strict=True)
        ]
        told = {"run": run.name, "f1": points.f1, "far": points.far, "mar": points.mar}
        told |= {"events": events.n_events, "found": events.n_found, "found_by_a_new_alarm": sum(fresh)}
        told |= {"alarms": events.n_alarms, "false_alarms": events.n_false_alarms}
        per_run.append(told | {"delay_rows": events.delay_rows.tolist()})
    delays = np.array([delay for run in per_run for delay in run["delay_rows"]])
    n_events = sum(run["events"] for run in per_run)
    everything = point_measures(np.ones_like(label), label)
    return {
        "n_runs": len(runs),
        "n_events": n_events,
        "event_recall": sum(run["found"] for run in per_run) / n_events,
        "event_recall_by_new_alarms": sum(run["found_by_a_new_alarm"] for run in per_run) / n_events,
        "point": asdict(point_measures(alarm, label)),
        "point_if_always_alarmed": asdict(everything),
        "median_delay_rows": float(np.nanmedian(delays)) if np.isfinite(delays).any() else None,
        "alarms": sum(run["alarms"] for run in per_run),
        "false_alarms": sum(run["false_alarms"] for run in per_run),
        "runs": per_run,
    }


def replay(
    runs: list[Run], *, data: Path, config: Path, folder: Path
) -> dict[str, tuple[np.ndarray, set[str]]]:
    """The same runs through `edge-agent replay`: ([R, 2] score and threshold, ids of the alarms) of each."""
    out = folder / "replay"
    command = [
        sys.executable,
        "-m",
        "edge_agent",
        "replay",
        *(str(data / f"{run.name}.parquet") for run in runs),
    ]
    command += ["-c", str(config), "--exclude", "changepoint", "--commission-rows", str(LEARN_ROWS)]
    subprocess.run([*command, "--out", str(out)], stdout=subprocess.DEVNULL, check=True, cwd=ROOT)
    alarms = [json.loads(line) for line in (out / "alarms.jsonl").read_text().splitlines()]
    found = {}
    for run in runs:
        table = pq.read_table(out / f"{run.name}.scores.parquet")
        scores = np.stack([table.column(name).to_numpy() for name in ("score", "threshold")], axis=1)
        learnt_until = run.seconds[LEARN_ROWS - 1]
        later = {a["id"] for a in alarms if a["machine"] == run.name and _seconds(a["time"]) > learnt_until}
        found[run.name] = (scores, later)
    return found


def picture(run: Run, scores: np.ndarray) -> None:
    """Signals, score and alarms of one run."""
    channels = run.recording.channels
    figure, axes = plt.subplots(
        len(channels) + 1, 1, figsize=(11, 1.1 * len(channels) + 2.4), sharex=True, constrained_layout=True
    )
    rows = np.arange(len(run.label))
    for axis, name, values in zip(axes, channels, run.recording.values.T, strict=False):
        axis.plot(rows, values, lw=0.7, color="#345")
        axis.set_ylabel(name, rotation=0, ha="right", fontsize=7)
        axis.tick_params(labelsize=6)
    axes[-1].semilogy(rows, np.maximum(scores[:, 0], 1e-3), lw=0.9, color="#345", label="score")
    axes[-1].plot(rows, scores[:, 1], lw=0.9, color="#c33", label="threshold")
    axes[-1].legend(fontsize=6, loc="upper left")
    raised = run.alarm()
    for axis in axes:
        axis.axvline(LEARN_ROWS, color="#999", lw=0.8, ls=":")
        for start, end in segments(run.label):
            axis.axvspan(start, end, color="#fc6", alpha=0.35, lw=0)
        for start, end in segments(raised):
            axis.axvspan(start, end, ymin=0, ymax=0.08, color="#c33", lw=0)
    axes[0].set_title(
        f"{run.name}: fault (yellow), alarm as published (red bar), learnt left of the dots", fontsize=9
    )
    axes[-1].set_xlabel("row")
    target = RESULTS / "skab_live"
    target.mkdir(parents=True, exist_ok=True)
    figure.savefig(target / f"{run.name}.png", dpi=80)
    plt.close(figure)
    with Image.open(target / f"{run.name}.png") as image:
        few = image.convert("RGB").quantize(32)  # a quarter of the bytes, and 34 pictures are kept
    few.save(target / f"{run.name}.png", optimize=True)


if __name__ == "__main__":
    sys.exit(main())
