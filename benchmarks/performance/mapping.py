"""What it costs to decode a message by the mapping, beside plain rows and beside another checkout, in one run.

The benchmark's stream (200 machines of eight channels) in four forms: the agent's own rows; a vendor's JSON with its
values in an object, as `json_path` always read it; the same with numbers in words and units; a list of named values
with quality and times of their own, whose machine the payload says. Each form is decoded by a process of its own, and
all processes take turns, so that a machine that is busy otherwise slows all of them; figures are processor seconds.

    python -m benchmarks.performance.mapping                          # -> benchmarks/results/mapping.json
    python -m benchmarks.performance.mapping --baseline ../before     # another checkout's decoders take turns
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import RESULTS, ROOT
from benchmarks.harness.provenance import circumstances
from benchmarks.reliability.soak import Load

MACHINES = 200
START_TS = 1_796_040_000.0
GOALS = {"json_path": 1.1, "row": 1.05}
"""So many times the other checkout's cost is enough; plain rows are to stay as they are, within what is measured."""
SOURCES: Mapping[str, Mapping[str, Any]] = {
    "row": {"topic": "sensors/{machine}", "format": "json"},
    "json_path": {
        "topic": "sensors/{machine}",
        "format": "json_path",
        "map": {"time": "/header/t", "time_unit": "ms", "values": ["/body"]},
    },
    "words": {
        "topic": "sensors/{machine}",
        "format": "json_path",
        "value": {"strip_unit": True},
        "map": {"time": "/header/t", "time_unit": "ms", "values": ["/body"]},
    },
    "named": {
        "topic": "sensors/+",
        "format": "json_path",
        "machine": "{/device}",
        "quality": {"place": "q", "codes": "opc_da"},
        "map": {"values": ["/values"], "name_key": "id", "value_key": "v", "time_key": "t"},
    },
}
"""Of each form; other checkouts know the first two."""
KNOWN_BEFORE = ("row", "json_path")
_WORKER = """
import json, sys, time
try:
    from edge_agent.config.file import Config
    from edge_agent.records import Delivery, Reject
    from edge_agent.service.wiring import message_decoder
except ImportError:
    from edge_agent.config import Config
    from edge_agent.assembly import message_decoder
    from edge_agent.contract.records import Delivery, Reject
told = json.load(open(sys.argv[1]))
decode = message_decoder(Config.model_validate({"source": [told["source"]]}), monotonic=time.monotonic)
messages = [Delivery(topic, payload.encode(), told["now_ns"]) for topic, payload in told["messages"]]
bad = [found for found in map(decode, messages) if isinstance(found, Reject)]
assert not bad, bad[0]
print("ready", flush=True)
for line in sys.stdin:
    started = time.process_time_ns()
    for message in messages:
        decode(message)
    print(time.process_time_ns() - started, flush=True)
"""


class Decoders:
    """One form's decoder of one checkout, in a process of its own."""

    def __init__(self, tree: Path, file: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        said = self._process.stdout.readline().strip()
        if not said:
            raise SystemExit(f"a decoder ended with {self._process.wait()}")
        return said

    def turn_ns(self) -> int:
        """Processor time of all messages once."""
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._answer())

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def messages(form: str, count: int) -> list[tuple[str, str]]:
    """(topic, payload) of the benchmark's stream in one form."""
    told: list[tuple[str, str]] = []
    for row in Load(MACHINES).rows(seconds=count / MACHINES / 20 + 1, first_s=START_TS):
        if len(told) == count:
            break
        message = json.loads(row.payload)
        told.append((f"sensors/{row.machine}", json.dumps(_written(form, row.machine, message))))
    return told


def _written(form: str, machine: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    stamp = round(row["ts"] * 1000)
    values: Mapping[str, float] = row["values"]
    if form == "row":
        return row
    if form == "json_path":
        return {"header": {"t": stamp}, "body": values}
    if form == "words":
        told = {name: f"{value} bar" if at % 2 else value for at, (name, value) in enumerate(values.items())}
        return {"header": {"t": stamp}, "body": told}
    listed = [{"id": name, "v": value, "q": 192, "t": stamp} for name, value in values.items()]
    return {"device": machine, "values": listed}


def measure(*, count: int, repeats: int, baseline: Path | None) -> dict[str, Any]:
    """Microseconds a message of each form and checkout, median and range of the turns."""
    turns: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        workers: dict[tuple[str, str], Decoders] = {}
        for form, source in SOURCES.items():
            file = Path(folder) / f"{form}.json"
            now_ns = round((START_TS + count / MACHINES / 20 + 5) * 1e9)
            file.write_text(
                json.dumps({"source": source, "now_ns": now_ns, "messages": messages(form, count)})
            )
            trees = {"agent": ROOT} | ({"baseline": baseline.resolve()} if baseline else {})
            for name, tree in trees.items():
                if name == "agent" or form in KNOWN_BEFORE:
                    workers[form, name] = Decoders(tree, file)
                    stack.callback(workers[form, name].close)
        for repeat in range(repeats):
            for key in list(workers)[:: -1 if repeat % 2 else 1]:  # nobody is always first
                turns.setdefault(key, []).append(workers[key].turn_ns() / 1000 / count)
    return _summary(turns)


def _summary(turns: Mapping[tuple[str, str], list[float]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (form, name), costs in turns.items():
        told = {
            "median": round(statistics.median(costs), 2),
            "range": [round(min(costs), 2), round(max(costs), 2)],
        }
        found.setdefault(form, {})[name] = told
    for form, told in found.items():
        told["of_a_row"] = round(told["agent"]["median"] / found["row"]["agent"]["median"], 2)
        if "baseline" in told:
            # Turn by turn: what else the machine does weighs on both alike.
            pairs = zip(turns[form, "agent"], turns[form, "baseline"], strict=True)
            told["of_baseline"] = round(statistics.median(ours / theirs for ours, theirs in pairs), 3)
    return found


def main() -> int:
    """Measure and write; exit status 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--baseline", type=Path, help="another checkout, whose decoders take turns with ours")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    found = measure(count=options.messages, repeats=options.repeats, baseline=options.baseline)
    report = circumstances("benchmarks.performance.mapping") | {
        "messages": options.messages,
        "repeats": options.repeats,
        "baseline": str(options.baseline.name) if options.baseline else None,
        "us_per_message": found,
        "goals": GOALS,
    }
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "mapping.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    return int(any(found[form].get("of_baseline", 0.0) > most for form, most in GOALS.items()))


if __name__ == "__main__":
    raise SystemExit(main())
