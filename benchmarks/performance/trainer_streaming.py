"""Memory of `edge-trainer pretrain` on recordings beside its bound `pretrain.buffer_bytes`; no accuracy.

Recordings as `edge-agent record` leaves them, a table a machine and day, are written into a temporary folder. Each run
is a process of its own, whose peak is the kernel's figure; the first has no recordings at all and tells what the
trainer itself takes.

    python -m benchmarks.performance.trainer_streaming    # -> benchmarks/results/streaming.json
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import RESULTS, ROOT
from benchmarks.harness.provenance import circumstances
from edge_agent.recordings import tables as recording

CHANNELS, DAYS, RATE_HZ = 8, 4, 10
_SETTINGS = {
    "pretrain.architecture": "conv_small",
    "pretrain.plant_share": 0.0,
    "pretrain.batch_windows": 64,
    "pretrain.synthetic_signals": 100,
}


def main() -> int:
    """Write recordings, train on them within several bounds, and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--machines", type=int, default=8)
    parser.add_argument("--rows", type=int, default=700_000, help="of each machine and day")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--bounds-mb", type=int, nargs="+", default=[32, 128, 2000])
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    report: dict[str, Any] = circumstances("benchmarks.performance.trainer_streaming")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rows = sum(write(root / "recordings", machine, options.rows) for machine in range(options.machines))
        tables = list((root / "recordings").rglob("*.parquet"))
        report |= {
            "rows": rows,
            "channels": CHANNELS,
            "tables": len(tables),
            "bytes_on_disk": sum(table.stat().st_size for table in tables),
            "bytes_in_memory": 4 * rows * CHANNELS,
            "steps": options.steps,
            "without_recordings": trained(root, "none", steps=options.steps, recordings=[]),
            "runs": {
                f"{bound} MB": trained(
                    root, str(bound), steps=options.steps, recordings=["."], buffer_bytes=1_000_000 * bound
                )
                for bound in options.bounds_mb
            },
        }
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "streaming.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0


def write(folder: Path, machine: int, rows: int) -> int:
    """A machine's tables; returns how many rows they have."""
    rng = np.random.default_rng(machine)
    at = np.arange(rows)
    for day in range(DAYS):
        path = folder / f"machine=m{machine}/day=2026-11-{day + 1:02d}/rows-0000000001-0000000001.parquet"
        path.parent.mkdir(parents=True)
        start = np.datetime64(f"2026-11-{day + 1:02d}", "ns")
        columns: dict[str, Any] = {"timestamp": start + at * np.timedelta64(10**9 // RATE_HZ, "ns")}
        for channel in range(CHANNELS):
            wave = np.sin(at / (3 + channel + machine)) + 0.1 * rng.standard_normal(rows, np.float32)
            columns[f"c{channel}"] = np.round(10 * (channel + 1) + wave, 2).astype(np.float32)
        told = {"machine": f"m{machine}", "channels": [f"c{channel}" for channel in range(CHANNELS)]}
        path.write_bytes(recording.encode_columns(path, columns, series=told))
    return DAYS * rows


def trained(root: Path, name: str, *, steps: int, recordings: list[str], **more: int) -> dict[str, Any]:
    """One pre-training in a process of its own: the peak of its memory, and its time."""
    told = _SETTINGS | {
        "run.out": root / name,
        "run.data": root / "recordings",
        "pretrain.recordings": json.dumps(recordings),
        "pretrain.steps": steps,
    }
    told |= {f"pretrain.{key}": value for key, value in more.items()}
    command = [sys.executable, "-m", "edge_trainer", "pretrain", *(f"--set={k}={v}" for k, v in told.items())]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), command)
    return {"peak_rss_mb": round(usage.ru_maxrss / 1024, 1), "seconds": round(time.monotonic() - began, 1)}


if __name__ == "__main__":
    sys.exit(main())
