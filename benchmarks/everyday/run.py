"""Ordinary machines: `python -m benchmarks.everyday.run [--machines a,b] [--seeds 1,2,3] [--recordings FOLDER]`.

Each is learnt from its first day and watched for the week or two after, by the agent as it ships, and by baselines with
their own 99 % points behind the agent's trigger; where a pre-trained network has a say in what alarms, also without
it and with random weights in its place. Counted are false incidents a week, whether the one real fault is
found, and the share of the calm time in alarm. Every second row is scored unless `--hop` says otherwise.

`--recordings` judges Parquet or CSV files of others instead, with a `label` column, learnt from `--learn-rows` rows.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks import RESULTS, ROOT
from benchmarks.detection.networks import AGENT, NO_NETWORK, RANDOM, REPLACED, decides
from benchmarks.everyday.machines import LEARNT_ROWS, MACHINES, week
from benchmarks.everyday.report import picture, summarise, table
from benchmarks.everyday.trial import RIVALS, Heard, hear, rival
from benchmarks.everyday.verdict import judge
from benchmarks.harness.provenance import circumstances
from edge_agent.detect.scorer import Scorer
from edge_agent.errors import EdgeAgentError
from edge_agent.model import bundle
from edge_agent.model.session import ModelSession
from edge_agent.recordings import tables as recordings
from edge_agent.recordings.tables import Recording

SHIPPED = ROOT / "edge_agent/models/pretrained"
BEFORE = Path(__file__).with_name("before.json")


@dataclass(frozen=True, slots=True)
class Task:
    """One recording by one method.

    Attributes:
        machine: of `MACHINES`, or a file's name without its ending.
        seed: of the simulated days; None for a file.
        path: of the file.
    """

    machine: str
    method: str
    hop_rows: int
    learn_rows: int
    model: Path
    seed: int | None = None
    path: Path | None = None


def main() -> int:
    """Measure, and write JSON, Markdown and a picture."""
    options = _options()
    tasks = list(_tasks(options))
    if not tasks:
        sys.stderr.write("nothing to measure\n")
        return 2
    report: dict[str, Any] = circumstances("benchmarks.everyday.run") | {
        "model": _scorer(options.model).bundle.digest,
        "hop_rows": options.hop,
        "learnt_rows": options.learn_rows,
        "rows": [],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for told in _measured(tasks, jobs=options.jobs):
        report["rows"].append(told)
        sys.stderr.write(f"{json.dumps({key: told.get(key) for key in _SHOWN})}\n")
        options.out.with_suffix(".json").write_text(json.dumps(report) + "\n")
    order = {(task.machine, task.method, task.seed): place for place, task in enumerate(tasks)}
    report["rows"].sort(key=lambda row: order[row["machine"], row["method"], row["seed"]])
    report["machines"] = summarise(report["rows"])
    report["before"] = json.loads(BEFORE.read_text()) if BEFORE.is_file() and not options.recordings else {}
    options.out.with_suffix(".json").write_text(json.dumps(report) + "\n")
    options.out.with_suffix(".md").write_text(table(report))
    picture(report, options.out.with_suffix(".png"))
    sys.stdout.write(table(report))
    return 0


_SHOWN = (
    "machine",
    "seed",
    "method",
    "false_a_week",
    "found",
    "in_alarm",
    "peak",
    "notices",
    "cpu_s",
    "error",
)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--machines", type=_names, default=tuple(MACHINES), help="only these, a,b,c")
    parser.add_argument("--seeds", type=_numbers, default=(1, 2, 3), help="of the simulated days, 1,2,3")
    parser.add_argument("--hop", type=int, default=2, help="rows from one scored window to the next")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--recordings", type=Path, help="a folder of labelled files to judge instead")
    parser.add_argument("--learn-rows", type=int, default=LEARNT_ROWS, help="of each recording")
    parser.add_argument("--alone", action="store_true", help="the agent without baselines beside it")
    parser.add_argument("--model", type=Path, default=SHIPPED, help="another bundle")
    parser.add_argument(
        "--out", type=Path, default=RESULTS / "everyday", help="path of the results without an ending"
    )
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := [name for name in names if name not in MACHINES]:
        raise argparse.ArgumentTypeError(f"no such machine: {', '.join(unknown)}")
    return names


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def _tasks(options: argparse.Namespace) -> Iterator[Task]:
    """The agent's first: who stops the run early has them."""
    networks = (NO_NETWORK, RANDOM) if decides(_scorer(options.model)) else ()
    for method in (AGENT,) if options.alone else (AGENT, *networks, *RIVALS):
        task = partial(
            Task,
            method=method,
            hop_rows=options.hop,
            learn_rows=options.learn_rows,
            model=options.model,
        )
        if options.recordings:
            for path in recordings.find(options.recordings):
                yield task(machine=path.stem, path=path)
            continue
        for seed in options.seeds:
            for name in options.machines:
                yield task(machine=name, seed=seed)


def _measured(tasks: list[Task], *, jobs: int) -> Iterator[dict[str, Any]]:
    """What each task found, as they end."""
    if jobs <= 1:
        yield from map(measure, tasks)
        return
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # for the processes that start now
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(measure, task) for task in tasks]):
            yield done.result()


def measure(task: Task) -> dict[str, Any]:
    """One recording by one method, judged."""
    recording = _recording(task)
    began = time.process_time()
    told: dict[str, Any] = {"machine": task.machine, "seed": task.seed, "method": task.method}
    try:
        heard = _heard(task, recording)
    except EdgeAgentError as error:
        return told | {"error": str(error)}
    told |= judge(heard, recording, learn_rows=task.learn_rows)
    return told | {"cpu_s": round(time.process_time() - began, 1)}


def _recording(task: Task) -> Recording:
    if task.path is not None:
        return recordings.read(task.path)
    assert task.seed is not None  # noqa: S101 - simulated days have a seed
    return week(task.machine, seed=task.seed)


def _heard(task: Task, recording: Recording) -> Heard:
    how = {"learn_rows": task.learn_rows, "hop_rows": task.hop_rows}
    if task.method in RIVALS:
        return rival(task.method, recording, **how)
    return hear(recording, scorer=_scorer(task.model, method=task.method), **how)


@cache
def _scorer(model: Path, *, method: str = AGENT) -> Scorer:
    """As `edge-agent run` has it: nothing is ranked, and the network is asked where an alarm depends on it."""
    session = ModelSession.open(bundle.read(model), provider="cpu", threads=1)
    shipped = Scorer(session, expecting=False)
    return shipped if method == AGENT else REPLACED[method][0](shipped)


if __name__ == "__main__":
    sys.exit(main())
