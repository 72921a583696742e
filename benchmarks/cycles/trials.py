"""Recordings as stories of cycles: which are learnt from, which are judged, and what was wrong with them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edge_agent.cycles.rules import CycleRule, CycleStart
from edge_agent.recordings.tables import Recording

SECOND_NS = 1_000_000_000
_ROWS = 60
_LEARNT, _JUDGED = 150, 150
_SIGNALS = ("TS1", "TS2", "TS3", "TS4", "VS1", "CE", "CP", "SE")
_HEALTHY = {"cooler": 100, "valve": 100, "pump_leak": 0, "accumulator": 130}
_LEARNT_PICKS = 60


@dataclass(frozen=True)
class Trial:
    """One recording with its cycles.

    Attributes:
        end_ns: [K] when each cycle was over. faulty: [K] of it.
        learnt: cycles that are learnt from. own_rows: rows that the machine itself is learnt from.
    """

    name: str
    recording: Recording
    rule: CycleRule
    end_ns: NDArray[np.int64]
    faulty: NDArray[np.bool_]
    learnt: int
    own_rows: int


def hydraulic(data: Path, *, seed: int) -> Iterator[Trial]:
    """The load cycles of a rig, one component at a time; without and with the state of the others given.

    150 healthy cycles are learnt, then 150 healthy and 150 degraded ones come in the order of time.
    """
    table = pq.read_table(data / "hydraulic_uci" / "hydraulic_1hz.parquet")
    signals = np.stack([table[name].to_numpy() for name in _SIGNALS], axis=1).reshape(
        -1, _ROWS, len(_SIGNALS)
    )
    state = {name: table[name].to_numpy().reshape(-1, _ROWS)[:, 0] for name in _HEALTHY}
    for component, healthy in _HEALTHY.items():
        rng = np.random.default_rng(seed)
        calm = rng.permutation(np.flatnonzero(state[component] == healthy))[: _LEARNT + _JUDGED]
        broken = rng.permutation(np.flatnonzero(state[component] != healthy))[:_JUDGED]
        order = np.concatenate([np.sort(calm[:_LEARNT]), np.sort(np.concatenate([calm[_LEARNT:], broken]))])
        others = [name for name in _HEALTHY if name != component]
        for given in ((), tuple(others)):
            told = [np.repeat(state[name][order], _ROWS)[:, np.newaxis] for name in given]
            rows = np.concatenate([signals[order].reshape(-1, len(_SIGNALS)), *told], axis=1)
            rows = np.concatenate([rows, rows[-1:]]).astype(np.float32)
            times = np.arange(len(rows), dtype=np.int64) * SECOND_NS
            yield Trial(
                name=f"hydraulic {component}" + (", others given" if given else ""),
                recording=Recording(component, (*_SIGNALS, *given), times, rows, None),
                rule=CycleRule(period_s=_ROWS, given=given, learn_cycles=_LEARNT),
                end_ns=(np.arange(len(order), dtype=np.int64) + 1) * _ROWS * SECOND_NS,
                faulty=state[component][order] != healthy,
                learnt=_LEARNT,
                own_rows=_LEARNT * _ROWS,
            )


def picks(data: Path) -> Trial:
    """The pick cycles of a robot arm: a cycle is faulty with a protective stop or a lost grip in it."""
    table = pq.read_table(data / "ur3_cobotops" / "ur3_cobotops.parquet")
    left_out = {"timestamp", "label", "protective_stop", "grip_lost"}
    names = tuple(name for name in table.column_names if name not in left_out)
    rows = np.stack([table[name].to_numpy(zero_copy_only=False) for name in names], axis=1).astype(np.float32)
    times = table["timestamp"].to_numpy().astype("datetime64[ns]").astype(np.int64)
    number, label = rows[:, names.index("cycle")], table["label"].to_numpy() > 0
    begins = np.flatnonzero(np.diff(number, prepend=number[0]) != 0)
    faulty = np.logical_or.reduceat(label, np.concatenate([[0], begins]))
    return Trial(
        name="robot picks",
        recording=Recording("ur3", names, times, rows, None),
        rule=CycleRule(start=CycleStart("cycle", "changes"), longest_s=300.0, learn_cycles=_LEARNT_PICKS),
        end_ns=times[begins],
        faulty=faulty[:-1],
        learnt=_LEARNT_PICKS,
        own_rows=2000,
    )
