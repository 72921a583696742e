"""What learning one machine takes of memory, beside what `commissioning.memory_bound` reckons with.

`python -m benchmarks.performance.learning_memory CHANNELS ROWS [--limit BYTES]`: one machine in this very process,
whose peak (VmHWM) is what the kernel holds against MemoryMax. Knows no MQTT.
"""

import argparse
import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_agent.commissioning.baseline import MOST_WINDOWS
from edge_agent.commissioning.memory_bound import plan
from edge_agent.config.file import defaults
from edge_agent.errors import CommissionError
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.results import CommissionRequest
from edge_agent.service.process import keep_heap
from edge_agent.service.wiring import load_scorer, pipeline_settings


def request(channels: int, rows: int) -> CommissionRequest:
    """Channels that swing together by different amounts, with noise of their own."""
    rng = np.random.default_rng(0)
    swing = np.sin(np.arange(rows) / 7)[:, None]
    values = np.arange(channels) + swing * (np.arange(channels) % 3) + 0.1 * rng.normal(size=(rows, channels))
    return CommissionRequest(
        machine="wide",
        channels=tuple(f"c{at}" for at in range(channels)),
        rows=values.astype(np.float32),
        period_ns=1_000_000_000,
        hop_rows=1,
        time_ns=1_700_000_000 * 1_000_000_000,
        observed=None,
    )


def measure(channels: int, rows: int, *, limit_bytes: int) -> dict[str, float | str]:
    """Learn, and say what it took beyond what the process had before."""
    keep_heap()
    config = defaults()
    scorer = load_scorer(config)
    settings = replace(pipeline_settings(config), learning_bytes=limit_bytes)
    asked = request(channels, rows)
    before = _resident_bytes()
    started = time.perf_counter()
    told: dict[str, float | str] = {"channels": channels, "rows": rows, "limit_mb": limit_bytes / 1e6}
    try:
        chosen = plan(rows, channels, most_windows=MOST_WINDOWS, limit_bytes=limit_bytes)
        told |= {"windows": min(chosen.most_windows, rows), "relations": chosen.relations}
        told["reckoned_mb"] = round(chosen.bytes(rows, channels) / 1e6, 1)
        profile = learn(asked, scorer=scorer, settings=settings)
        told["profile_mb"] = round(sum(np.asarray(one).nbytes for one in profile.memory.values()) / 1e6, 1)
    except CommissionError as error:
        told["refused"] = str(error)
    peak = _most_resident_bytes()
    told |= {"before_mb": round(before / 1e6, 1), "took_mb": round((peak - before) / 1e6, 1)}
    return told | {"took_s": round(time.perf_counter() - started, 1)}


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _most_resident_bytes() -> int:
    """The most since this program began; `getrusage` would tell the most of who started it, too."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    told = next(line for line in lines if line.startswith("VmHWM:"))
    return int(told.split()[1]) * 1024


def main() -> None:
    """One JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("channels", type=int)
    parser.add_argument("rows", type=int)
    parser.add_argument("--limit", type=int, default=defaults().limits.learning_bytes)
    asked = parser.parse_args()
    sys.stdout.write(json.dumps(measure(asked.channels, asked.rows, limit_bytes=asked.limit)) + "\n")


if __name__ == "__main__":
    main()
