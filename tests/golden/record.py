"""Records the golden corpus. Two halves, because the first is of one commit and the second of the present one.

    make golden                        what comes of the cases now: `corpus/expected`, digests, environment
    python -m tests.golden.record --inputs   what goes in, and what dc23620 left on disk: scripts, plants, bundle, state

The inputs were written once, by agent and trainer of commit dc23620, and so was the first outcome. In a checkout
of that commit with this folder as its `tests/golden`:

    cp tests/golden/corpus/drive_dc23620.txt tests/golden/drive.py
    PYTHONPATH=. OMP_NUM_THREADS=1 python -m tests.golden.record --inputs

Whoever records the outcome anew says in the commit what changed and why; the command prints where it differs.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tests.golden import scripts
from tests.golden.cases import (
    BUNDLE,
    CASES,
    CASES_OF_SHARED_RECORDINGS,
    CORPUS,
    PLANTS,
    STATE,
    STATE_SETTINGS,
    configured,
    copy_to,
    members,
)
from tests.golden.drive import ROOT, live
from tests.golden.environment import environment
from tests.golden.outcome import Outcome, differences

EXPECTED = CORPUS / "expected"
_PLANT_ROWS = 1300
_PLANT_FAULTS = {
    "pump": ("cavitation:700:20:1:820", "cavitation:1000:20:1:1120"),
    "motor": ("imbalance:720:30:1:860", "imbalance:1050:30:1:1200"),
    "furnace": ("door_left_open:700:30:1:850", "heater_element_failure:1000:30"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", action="store_true", help="write what goes in, at commit dc23620")
    parser.add_argument("--only", nargs="*", help="cases to record; the others stay")
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("EDGE_AGENT_DATA", ROOT.parent / "shared/data")
    )
    options = parser.parse_args()
    CORPUS.mkdir(exist_ok=True)
    if options.inputs:
        write_scripts()
        write_plants()
        write_bundle()
        write_state()
    write_expected(options.data, only=options.only)
    return 0


def write_expected(data: Path, *, only: list[str] | None) -> None:
    """Play every case and keep what comes of it."""
    EXPECTED.mkdir(exist_ok=True)
    file = CORPUS / "digests.json"
    digests = json.loads(file.read_text()) if file.exists() else {}
    for name, case in {**CASES, **CASES_OF_SHARED_RECORDINGS}.items():
        if only is not None and name not in only:
            continue
        if name in CASES_OF_SHARED_RECORDINGS and not (data / "README.md").is_file():
            sys.stdout.write(f"{name}: left as it is, no recordings at {data}\n")
            continue
        with tempfile.TemporaryDirectory() as folder:
            outcome = case(Path(folder), data)
        told = differences(outcome, Outcome.load(EXPECTED, name)) if name in digests else ["new"]
        sys.stdout.write("".join(f"{name}: {line}\n" for line in told or ["as before"]))
        outcome.save(EXPECTED, name)
        digests[name] = outcome.digests()
    file.write_text(json.dumps(digests, indent=1, sort_keys=True) + "\n")
    (CORPUS / "environment.json").write_text(json.dumps(environment(), indent=1) + "\n")


def write_scripts() -> None:
    for name in ("formats", "waveforms", "sensors", "grid", "operators", "trained", "after_the_copy"):
        scripts.save(CORPUS / f"{name}.xz", getattr(scripts, name)())


def write_plants() -> None:
    """Three simulated machines, and a table of what was wrong with them when."""
    folder = CORPUS / "plants"
    words = [word for name in PLANTS for word in ("--machine", f"{name}={name}")]
    words += [
        word for name, faults in _PLANT_FAULTS.items() for f in faults for word in ("--fault", f"{name}:{f}")
    ]
    _python("-m", "trainer.plant", "--rows", _PLANT_ROWS, "--seed", 5, *words, "--parquet", folder)
    with (folder / "labels.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["machine", "start", "end", "fault"])
        for name, faults in _PLANT_FAULTS.items():
            times = pq.read_table(folder / f"{name}.parquet")["timestamp"].to_pylist()
            for fault in faults:
                kind, start, _, *end = fault.split(":")
                last = int(end[1]) if len(end) > 1 else _PLANT_ROWS - 1
                lines.writerow([name, times[int(start)].isoformat(), times[last].isoformat(), kind])


def write_bundle() -> None:
    """A small network with a head for two faults and a profile, by all stages of the trainer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_runs(folder / "recordings")
        settings = folder / "run.toml"
        settings.write_text(_RUN.format(folder=folder))
        for stage in ("pretrain", "finetune", "export", "calibrate"):
            _python("-m", "trainer", stage, "-c", settings)
        (found,) = (folder / "run/bundle").iterdir()
        shutil.rmtree(BUNDLE, ignore_errors=True)
        shutil.copytree(found, BUNDLE)


def _write_runs(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(3)
    runs = {f"run{fault}_{number}": fault for fault in (0, 1, 2) for number in range(3)} | {"calm": 0}
    for name, fault in runs.items():
        rows = scripts.trained_rows(rng, rows=600 if name == "calm" else 160, fault=fault)
        with (folder / f"{name}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow([*scripts.TRAINED, "label"])
            table.writerows([*row.values(), fault] for row in rows)


_RUN = """
[run]
out = "{folder}/run"
data = "{folder}/recordings"
name = "golden"
created = "2026-01-02T03:04:05+00:00"
command = "python -m tests.golden.record --inputs"
[pretrain]
architecture = "dense"
window_rows = 32
embedding_dim = 16
recordings = ["run0_*.csv"]
plant_share = 0.0
synthetic_signals = 60
signal_rows = 128
steps = 30
batch_windows = 16
[finetune]
recordings = ["run*.csv"]
names = {{1 = "slipping", 2 = "hot"}}
steps = 150
learning_rate = 3e-3
validate_steps = 20
[calibrate]
recordings = ["calm.csv"]
"""


def write_state() -> None:
    """The state directory of an agent that is in the middle of its work."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copied = folder / "copy/state"
        live(configured(folder, STATE_SETTINGS), scripts.before_the_copy(), leave=copy_to(copied))
        with tarfile.open(STATE, "w:xz", preset=9) as archive:
            for path in members(copied):
                archive.add(path, arcname=str(path.relative_to(copied.parent)), filter=_nobody)


def _nobody(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


def _python(*words: object) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, check=True, env=environment)


if __name__ == "__main__":
    sys.exit(main())
