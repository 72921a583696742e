"""The command `python -m simulator`: several machines as NDJSON on standard output, or as Parquet. No physics.

One NDJSON line is one MQTT message: `{"topic": "sensors/<machine>", "payload": {"ts": ..., "values": {...}}}`.
`ts` is in seconds since 1970, UTC. The lines of all machines are interleaved in time.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simulator.errors import UsageError
from simulator.habits import Habits
from simulator.habits.presets import PRESETS
from simulator.kinds import EVERY_KIND
from simulator.machines import machine
from simulator.picture import contact_sheet
from simulator.records import Injection, Run
from simulator.simulation import START_TS, simulate

_FAULT_FIELDS = "MACHINE:FAULT:START_ROW:GROWTH_ROWS[:SEVERITY[:END_ROW]]"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 written, 2 bad arguments (explained on standard error)."""
    options = _parser().parse_args(argv)
    if options.picture is not None:
        options.picture.write_text(contact_sheet(), encoding="utf-8")
        return 0
    try:
        runs = _runs(options)
    except UsageError as error:
        sys.stderr.write(f"simulator: {error}\n")
        return error.exit_code
    if options.parquet is not None:
        for name, run in runs.items():
            _write_parquet(run, options.parquet / f"{name}.parquet", start_ts=options.start_ts)
        return 0
    try:
        for line in ndjson(runs, start_ts=options.start_ts):
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        # Else the interpreter would try to flush the rest at exit and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def ndjson(runs: Mapping[str, Run], *, start_ts: float) -> Iterator[str]:
    """One line per row and machine, ordered by time, then by the order of the machines.

    What a transmitter did not say is left out of its line.

    Args:
        runs: Machine name -> run; all of the same rate and number of rows.
        start_ts: Time of row 0, seconds since 1970 UTC.
    """
    rate_hz = next(iter(runs.values())).rate_hz
    tables = {name: _texts(run) for name, run in runs.items()}
    keys = {name: [json.dumps(channel) for channel in run.channels] for name, run in runs.items()}
    topics = {name: json.dumps(f"sensors/{name}") for name in runs}
    for row in range(min(len(table) for table in tables.values())):
        ts = round(start_ts + row / rate_hz, 6)
        for name, table in tables.items():
            said = zip(keys[name], table[row], strict=True)
            values = ", ".join(f"{key}: {value}" for key, value in said if value != "nan")
            yield f'{{"topic": {topics[name]}, "payload": {{"ts": {ts!r}, "values": {{{values}}}}}}}'


def _texts(run: Run) -> list[list[str]]:
    """Each reading as text, [R][C].

    repr of a float32 read as float64 shows rounding dust; six significant digits carry every transmitter, eight a
    meter.
    """
    digits = ["%.8g" if sort == "counter" else "%.6g" for sort in run.sorts]
    columns = [np.char.mod(form, run.values[:, at].astype(np.float64)) for at, form in enumerate(digits)]
    texts: list[list[str]] = np.stack(columns, axis=1).tolist()
    return texts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description="Simulate machines that fail.")
    add = parser.add_argument
    add(
        "--machine",
        action="append",
        metavar="NAME=KIND",
        help=f"may be repeated (default pump-1=pump); kinds: {', '.join(EVERY_KIND)}",
    )
    add("--rows", type=int, default=3600, help="rows per machine (default 3600)")
    add("--seed", type=int, default=0, help="seed of the first machine; the next ones count up (default 0)")
    add("--machine-seed", type=int, help="seed of the machines' own constants (default: --seed)")
    add("--start-ts", type=float, default=START_TS, help="time of row 0, seconds since 1970 UTC")
    add("--rate-hz", type=float, default=1.0, help="rows per second (default 1)")
    add("--fault", action="append", default=[], metavar=_FAULT_FIELDS, help="inject a fault; may be repeated")
    add(
        "--habits",
        metavar="NAME",
        help=f"what the factory does: ordinary (at random), or one of {', '.join(PRESETS)}; default: nothing",
    )
    add(
        "--picture", type=Path, metavar="FILE", help="write a contact sheet of all kinds as SVG, nothing else"
    )
    add("--parquet", type=Path, metavar="DIR", help="write DIR/NAME.parquet with labels instead of NDJSON")
    return parser


def _runs(options: argparse.Namespace) -> dict[str, Run]:
    machines: dict[str, str] = {}
    for pair in options.machine or ["pump-1=pump"]:
        name, equals, kind = pair.partition("=")
        if not (name and equals and kind) or name in machines or set(name) & set("/+#"):
            raise UsageError(f"--machine wants NAME=KIND, each name once and without / + #, got {pair!r}")
        machines[name] = kind
    faults: dict[str, list[Injection]] = {name: [] for name in machines}
    for text in options.fault:
        name, injection = _injection(text)
        if name not in faults:
            raise UsageError(f"--fault names the machine {name!r}; known: {', '.join(machines)}")
        faults[name].append(injection)
    own = options.seed if options.machine_seed is None else options.machine_seed
    return {
        name: simulate(
            kind,
            rows=options.rows,
            seed=options.seed + index,
            rate_hz=options.rate_hz,
            injections=faults[name],
            machine_seed=own + index,
            habits=_habits(options.habits, kind, seed=own + index),
            start_ts=options.start_ts,
        )
        for index, (name, kind) in enumerate(machines.items())
    }


def _habits(name: str | None, kind: str, *, seed: int) -> Habits:
    if name is None or kind not in EVERY_KIND:  # an unknown kind is told by `simulate`
        return Habits()
    return machine(kind, seed=seed, habits=None if name == "ordinary" else name).habits


def _injection(text: str) -> tuple[str, Injection]:
    """Read one `--fault`; returns the machine's name and the injection."""
    machine, *fields = text.split(":")
    try:
        fault, start_row, growth_rows, severity, end_row = fields + ["1", ""][len(fields) - 3 :]
        end = int(end_row) if end_row else None
        return machine, Injection(fault, int(start_row), int(growth_rows), float(severity), end)
    except ValueError:
        raise UsageError(f"--fault wants {_FAULT_FIELDS}, got {text!r}") from None


def _write_parquet(run: Run, path: Path, *, start_ts: float) -> None:
    """Write columns timestamp (UTC, microseconds), the channels (float32), label (int16)."""
    import pyarrow as pa  # noqa: PLC0415 - streaming NDJSON must not need it
    import pyarrow.parquet as pq  # noqa: PLC0415

    micros = np.round((start_ts + np.arange(len(run.label)) / run.rate_hz) * 1e6).astype(np.int64)
    columns: dict[str, Any] = {"timestamp": pa.array(micros, pa.timestamp("us", tz="UTC"))}
    columns |= {name: pa.array(run.values[:, index]) for index, name in enumerate(run.channels)}
    columns |= {"label": pa.array(run.label)}
    units = dict(zip(run.channels, run.units, strict=True))
    faults = ["normal", *(fault.name for fault in EVERY_KIND[run.kind].faults)]
    notes = {
        "kind": run.kind,
        "rate_hz": repr(run.rate_hz),
        "units": json.dumps(units),
        "labels": json.dumps(faults),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata(notes), path)
