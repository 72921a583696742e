"""What machines cost a gateway's memory, and what the packed memory of a machine changes about its scores.

`python -m benchmarks.performance.memory`: fleets of eight-channel machines are restored from a state directory in
processes of their own, run for some rows and looked at (VmRSS). Knows no MQTT and no threads: those cost the same for
any fleet.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks import RESULTS
from edge_agent.config.file import Config
from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.detect.detectors.in_context import InContext
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import CommissionRequest
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Frame, Reject
from edge_agent.service.wiring import load_scorer, pipeline_settings
from edge_agent.store.atomic_file import allow_open
from edge_agent.store.state_dir import StateDir

CHANNELS, ROWS, RUN_ROWS = 8, 3600, 150
FLEETS = {"none": (0, 0), "200 watched": (200, 0), "500 watched, 10,000 idle": (500, 10_000)}
"""Name: machines that are learnt and send rows, and machines heard once that then fell silent."""
_SECOND_NS = 1_000_000_000


def main() -> int:
    """Measure and write benchmarks/results/memory.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS / "memory.json")
    parser.add_argument("--fleet", type=int, nargs=2, metavar=("WATCHED", "IDLE"), help=argparse.SUPPRESS)
    parser.add_argument("--state", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fleet:
        sys.stdout.write(json.dumps(fleet(options.state, watched=options.fleet[0], idle=options.fleet[1])))
        return 0
    report: dict[str, Any] = {
        "command": "python -m benchmarks.performance.memory",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "channels": CHANNELS,
        "packed": packed(),
        "fleets": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        fill(state, machines=max(watched for watched, _ in FLEETS.values()))
        for name, (watched, idle) in FLEETS.items():
            told = ["--state", str(state), "--fleet", str(watched), str(idle)]
            command = [sys.executable, "-m", "benchmarks.performance.memory", *told]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            report["fleets"][name] = json.loads(answer)
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0


def packed() -> dict[str, float]:
    """The whole memory beside the packed one, on normal and on faulty rows: relative differences of what alarms."""
    scorer = load_scorer(Config.model_validate({}))
    rows, asked = _rows(seed=0), PipelineSettings()
    with mock.patch.object(ENSEMBLE, "compact", dict):
        memory = learn(_request("m", rows), scorer=scorer, settings=asked).memory
    small = ENSEMBLE.compact(memory)
    T = scorer.window_rows
    apart, crossed, total, spent = [], 0, 0, {}
    for seed in range(1, 6):
        later = _rows(seed=seed)
        later[ROWS // 2 :, seed] += 3.0 * later[:, seed].std()
        windows = np.lib.stride_tricks.sliding_window_view(later, T, axis=0)[::5].copy()
        found = {}
        for name, each in (("whole", memory), ("packed", small)):
            started = time.process_time()
            found[name] = ENSEMBLE.score(each, windows, None, judge=scorer.judge).value
            spent[name] = spent.get(name, 0.0) + time.process_time() - started
        apart.append(np.abs(found["packed"] - found["whole"]) / np.maximum(found["whole"], 0.1))
        crossed += int(((found["packed"] > 1.0) != (found["whole"] > 1.0)).sum())
        total += len(windows)
    off = np.concatenate(apart)
    return {
        "whole_bytes": sum(array.nbytes for array in memory.values()),
        "packed_bytes": sum(array.nbytes for array in small.values()),
        "packed_bytes_for_a_judge": sum(
            array.nbytes for name, array in small.items() if name.startswith(f"{InContext.name}_")
        ),
        "judge": scorer.judge is not None,
        "windows": total,
        "value_off_p50": round(float(np.median(off)), 6),
        "value_off_p99": round(float(np.quantile(off, 0.99)), 6),
        "value_off_max": round(float(off.max()), 6),
        "windows_on_the_other_side_of_the_threshold": crossed,
        **{f"{name}_us_per_window": round(1e6 * cpu_s / total, 1) for name, cpu_s in spent.items()},
    }


def fill(state: Path, *, machines: int) -> None:
    """A state directory with so many learnt machines; one is learnt, the others are its copies."""
    scorer = load_scorer(Config.model_validate({}))
    profile = learn(_request("m0", _rows(seed=0)), scorer=scorer, settings=PipelineSettings())
    store = StateDir(state)
    store.open()
    for number in range(machines):
        store.save_profile(replace(profile, machine=f"m{number}"))
    store.close()


def fleet(state: Path, *, watched: int, idle: int) -> dict[str, Any]:
    """Resident memory of a process with such a fleet; run in one of its own."""
    config = Config.model_validate({})
    scorer = load_scorer(config, aside=True)  # as `process.run` does
    allow_open(watched)
    with tempfile.TemporaryDirectory() as folder:
        store = StateDir(Path(folder))
        store.open()
        for path in sorted((state / "profiles").glob("*.npz"))[:watched]:
            shutil.copy(path, Path(folder) / "profiles")
        loaded = store.load(encoder=scorer.bundle.encoder)
        store.close()
    restored_mb = _resident_mb()
    settings = replace(pipeline_settings(config), machines_limit=watched + idle)
    pipeline = Pipeline(decode=_undecoded, scorer=scorer, settings=settings, profiles=loaded.profiles)
    rows = np.random.default_rng(3).normal(size=(RUN_ROWS, CHANNELS)).astype(np.float32)
    names = tuple(f"c{number}" for number in range(CHANNELS))
    for number in range(idle):
        pipeline.feed([Frame(f"idle{number}", names, [_SECOND_NS], rows[:1].tolist())])
    for at in range(RUN_ROWS):
        times = [(at + 1) * _SECOND_NS]
        pipeline.feed([Frame(known.machine, names, times, rows[at : at + 1]) for known in loaded.profiles])
    return {
        "machines": len(pipeline.statuses()),
        "windows_scored": pipeline.ledger.windows_scored,
        "judge": scorer.judge is not None,
        "onnxruntime_loaded": "onnxruntime" in sys.modules,
        "restored_mb": restored_mb,
        "resident_mb": _resident_mb(),
    }


def _undecoded(_: object) -> Reject:
    return Reject("unknown_topic")


def _request(machine: str, rows: np.ndarray) -> CommissionRequest:
    names = tuple(f"c{number}" for number in range(CHANNELS))
    return CommissionRequest(machine, names, rows, _SECOND_NS, 1, ROWS * _SECOND_NS)


def _rows(*, seed: int) -> np.ndarray:
    """An hour of simulated machines side by side, [R, C]."""
    import simulator  # noqa: PLC0415 - not in the processes that are measured

    parts = [simulator.simulate(kind, rows=ROWS, seed=seed).values for kind in simulator.MEASURED_KINDS]
    return np.concatenate(parts, axis=1)[:, :CHANNELS].astype(np.float32)


def _resident_mb() -> float:
    text = Path("/proc/self/status").read_text()
    return round(int(text.split("VmRSS:")[1].split()[0]) / 1024, 1)


if __name__ == "__main__":
    sys.exit(main())
