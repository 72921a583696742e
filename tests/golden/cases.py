"""The cases of the corpus: which recording goes through what. `test_golden` plays them, `record` keeps the outcome.

A case gets an empty folder and the folder of shared recordings, and gives an outcome. To add one, add a function and a
line in `CASES`, and run `make golden`.
"""

import itertools
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.golden import scripts
from tests.golden.drive import agent, live
from tests.golden.outcome import Outcome, run_lengths
from tests.golden.stage import Moment

CORPUS = Path(__file__).parent / "corpus"
BUNDLE = CORPUS / "bundle"
STATE = CORPUS / "state.tar.xz"
SKAB = ("valve1_0", "valve2_1", "other_5", "other_9", "other_13")
TEP = ("d01", "d05")
PLANTS = ("pump", "motor", "furnace")
SHIPPED = ("pretrained-small", "pretrained-int8")

Case = Callable[[Path, Path], Outcome]

COMMON = """
[agent]
name = "hall"
state_dir = "state"
[broker]
longest_wait_s = 0
[metrics]
port = 0
[commission]
rows = 240
"""
"""Echoes that tell an overload hold a name of the process; the port is any that is free."""

FORMATS = """
[window]
grid_s = 0.5
[limits]
payload_bytes = 20000
channels = 60
machines = 14
"""
FORMAT_SOURCES = """
[[source]]
topic = "row/{machine}"
format = "json"
[[source]]
topic = "block/{machine}"
format = "json"
[[source]]
topic = "arrival/{machine}"
format = "json"
clock = "arrival"
[[source]]
topic = "path/{machine}"
format = "json_path"
[source.map]
time = "/header/t"
time_unit = "ms"
values = ["/body"]
[[source]]
topic = "number/{machine}/{channel}"
format = "number"
[[source]]
topic = "cbor/{machine}"
format = "cbor"
[[source]]
topic = "typed/{machine}"
format = "cbor"
[[source]]
topic = "senml/{machine}"
format = "senml"
[[source]]
topic = "packed/{machine}"
format = "senml_cbor"
[[source]]
topic = "line/{machine}"
format = "line"
[[source]]
format = "sparkplug"
machine = "{device}"
[source.sparkplug]
host_id = "hall"
"""
WAVEFORMS = """
[[source]]
topic = "wave/{machine}"
format = "waveform"
[source.waveform]
rate_hz = 512
frame_samples = 256
[source.waveform.bearing]
rollers = 9
roller_diameter = 7.9
pitch_diameter = 38.5
[[source]]
topic = "wav/{machine}"
format = "waveform"
[source.waveform]
rate_hz = 512
frame_samples = 256
channels = ["housing"]
scale = 9.81
rpm = 1500
"""
SENSORS = """
[[source]]
topic = "sensors/{machine}"
clock_limit_s = 60
[[channel]]
channel = "current"
low = 0
high = 100
[[channel]]
machine = "press"
channel = "flow"
low = 0
"""
GRID = """
[window]
period_s = 1
lateness_s = 1.5
[[channel]]
channel = "flow"
align = "linear"
[[channel]]
channel = "current"
align = "hold"
[[channel]]
channel = "parts"
align = "count"
"""
OPERATORS = """
[lifecycle]
latched = true
flood_calls = 2
flood_window_s = 60
[commands]
allow = ["ack", "shelve", "unshelve", "suppress", "unsuppress", "label", "recommission"]
[alerts]
receipt_topic = "agents/{agent}/receipt"
[[maintenance]]
machines = ["fan"]
begin = 2023-11-14T22:22:20Z
end = 2023-11-14T22:24:20Z
note = "belt"
"""
STATE_SETTINGS = """
[commands]
allow = ["ack", "shelve", "unshelve", "suppress", "unsuppress", "label", "recommission"]
"""


def configured(folder: Path, *parts: str, bundle: Path | str | None = None) -> Path:
    """A configuration file in the folder, its state directory beside it."""
    model = f'[model]\nbundle = "{bundle}"\n' if bundle is not None else ""
    path = folder / "agent.toml"
    path.write_text("\n".join([COMMON, *parts, model]))
    return path


def script(name: str) -> list[Moment]:
    """A script of the corpus."""
    return scripts.load(CORPUS / f"{name}.xz")


def _formats(folder: Path, _: Path) -> Outcome:
    return live(configured(folder, FORMATS, FORMAT_SOURCES), script("formats"))


def _waveforms(folder: Path, _: Path) -> Outcome:
    return live(configured(folder, WAVEFORMS), script("waveforms"))


def _sensors(folder: Path, _: Path) -> Outcome:
    return live(configured(folder, SENSORS), script("sensors"))


def _grid(folder: Path, _: Path) -> Outcome:
    return live(configured(folder, GRID), script("grid"))


def _operators(folder: Path, _: Path) -> Outcome:
    return live(configured(folder, OPERATORS), script("operators"))


def _trained(folder: Path, _: Path) -> Outcome:
    return live(configured(folder, bundle=BUNDLE), script("trained"))


def _restart(folder: Path, _: Path) -> Outcome:
    """The operators' day with a crash in the middle of a shelf and of an alarm: nothing is said on the way out."""
    moments = script("operators")
    (folder / "first").mkdir()
    (folder / "second").mkdir()
    first = live(
        configured(folder / "first", OPERATORS), moments[:350], leave=copy_to(folder / "second/state")
    )
    second = live(configured(folder / "second", OPERATORS), moments[350:])
    return joined({"first life": first, "second life": second})


def _taken_over(folder: Path, _: Path) -> Outcome:
    with tarfile.open(STATE) as archive:
        archive.extractall(folder, filter="data")
    return live(configured(folder, STATE_SETTINGS), script("after_the_copy"))


def _plants(folder: Path, _: Path) -> Outcome:
    labels = ["--labels", CORPUS / "plants/labels.csv"]
    files = [CORPUS / f"plants/{name}.parquet" for name in PLANTS]
    return replayed(folder, files, "--commission-rows", "600", *labels)


def _shipped(name: str) -> Case:
    """Another encoder that is shipped, on a pump."""

    def case(folder: Path, _: Path) -> Outcome:
        file = CORPUS / "plants/pump.parquet"
        return replayed(folder, [file], "--commission-rows", "600", "-c", configured(folder, bundle=name))

    return case


def _against(folder: Path, _: Path) -> Outcome:
    """How the alarms on a pump differ between two encoders."""
    pump, other = CORPUS / "plants/pump.parquet", configured(folder, bundle="pretrained-small")
    said = agent("replay", pump, "--commission-rows", "600", "--against", other, "--json")
    return Outcome(facts={"differences": json.loads(said)})


def _skab(folder: Path, data: Path) -> Outcome:
    files = [data / f"skab/{name}.parquet" for name in SKAB]
    return replayed(folder, files, "--commission-rows", "400", "--exclude", "label,changepoint")


def _tep(name: str) -> Case:
    """A fault behind the end of the calm recording, from which the plant is learnt; it begins in row 400."""

    def case(folder: Path, data: Path) -> Outcome:
        calm, faulty = (pq.read_table(data / f"tep_braatz/{part}.parquet") for part in ("d00", f"{name}_te"))
        file = folder / f"{name}.parquet"
        pq.write_table(pa.concat_tables([calm.slice(260), faulty.slice(0, 200)]), file)
        return replayed(folder, [file], "--commission-rows", "240", "--exclude", "label")

    return case


def _blocks(folder: Path, data: Path) -> Outcome:
    """A run of SKAB over the wire, in blocks of ten rows."""
    table = pq.read_table(data / "skab/valve1_3.parquet").drop_columns(["timestamp", "label", "changepoint"])
    columns = {
        name: [round(float(cell), 6) for cell in table[name].to_pylist()] for name in table.column_names
    }
    moments = []
    for first in range(0, table.num_rows // 10 * 10, 10):
        rows = range(first, first + 10)
        values = {name: [column[row] for row in rows] for name, column in columns.items()}
        payload = json.dumps({"ts": [scripts.START_S + row for row in rows], "values": values}).encode()
        moments.append(scripts.at(first + 9, scripts.Sent("sensors/testbed", payload)))
    return live(configured(folder), moments)


CASES: Mapping[str, Case] = {
    "formats": _formats,
    "waveforms": _waveforms,
    "sensors": _sensors,
    "grid": _grid,
    "operators": _operators,
    "restart": _restart,
    "taken_over": _taken_over,
    "trained": _trained,
    "plants": _plants,
    **{name: _shipped(name) for name in SHIPPED},
    "against": _against,
}
CASES_OF_SHARED_RECORDINGS: Mapping[str, Case] = {
    "skab": _skab,
    **{f"tep_{name}": _tep(name) for name in TEP},
    "blocks": _blocks,
}


def replayed(folder: Path, files: Sequence[Path], *words: str | Path) -> Outcome:
    """`edge-agent replay`: a row of scores for every row, and what subscribers would have been told."""
    agent("replay", *files, "--out", folder / "out", *words)
    scores, facts = {}, {}
    for file in files:
        table = pq.read_table(folder / "out" / f"{file.stem}.scores.parquet")
        for name in ("score", "score_aligned", "threshold", "alarm"):
            scores[f"{file.stem}/{name}"] = np.asarray(table[name].to_numpy())
        facts[file.stem] = {"columns": table.column_names, "called": run_lengths(table["fault"].to_pylist())}
    told = (folder / "out/alarms.jsonl").read_text().splitlines()
    return Outcome(scores=scores, told=told, facts=facts)


def joined(outcomes: Mapping[str, Outcome]) -> Outcome:
    """Several outcomes as one."""
    return Outcome(
        scores={
            f"{name}: {key}": value for name, one in outcomes.items() for key, value in one.scores.items()
        },
        told=[*itertools.chain.from_iterable(one.told for one in outcomes.values())],
        metrics=[f"{name}: {line}" for name, one in outcomes.items() for line in one.metrics],
        facts={name: one.facts for name, one in outcomes.items()},
    )


def copy_to(target: Path) -> Callable[[Path], None]:
    """Copies a state directory as a crash would leave it."""

    def copy(state: Path) -> None:
        shutil.copytree(state, target, dirs_exist_ok=True)

    return copy


def members(state: Path) -> Iterator[Path]:
    """The files of a state directory."""
    yield from sorted(path for path in state.rglob("*") if path.is_file())
