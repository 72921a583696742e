"""The simulated hall: machines whose every row is a function of its number, and the faults planned for them.

Rows are a second apart in machine time and are published as fast as a test likes; machine time lies in the past.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from benchmarks.harness.publisher import Row

FIRST_TS = 1_600_000_000
LEARN_ROWS = 1200
MACHINES = tuple(f"press-{number}" for number in range(1, 9))
_BLOCK_ROWS = 512
_FAULT_ROWS = (24, 36)
_NORMAL_ROWS = (180, 220)
"""Between two faults: long enough for the incident to be over, off-delay included. What comes back sooner is the same
incident, by design, and would count as a fault without an alarm."""
_TAIL_ROWS = 200
_CHANNELS = {"pressure": 0.1, "flow": 0.4, "current": 0.05}
"""Channel and its noise; a fault is a shift by many times that."""
_SHIFT = 12.0
_WAVE_ROWS = 32
"""Divides the model's window, so that a machine is learnt in every phase: this suite counts what faults cost, and a
second alarm that the detector itself raises while a fault leaves its window would hide among them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A level shift of one channel over rows [first, last)."""

    machine: str
    first: int
    last: int
    channel: str
    sign: int


def plan(
    count: int, *, seed: int, first: int = LEARN_ROWS, machines: Sequence[str] = MACHINES
) -> list[Fault]:
    """So many faults, dealt out to the machines in turn, at times and in channels drawn from the seed."""
    rng = np.random.default_rng(seed)
    names = list(_CHANNELS)
    at = {machine: first + 70 + int(rng.integers(60)) for machine in machines}
    faults = []
    for number in range(count):
        machine = machines[number % len(machines)]
        last = at[machine] + int(rng.integers(*_FAULT_ROWS))
        channel, sign = names[int(rng.integers(len(names)))], int(rng.choice((-1, 1)))
        faults.append(Fault(machine, at[machine], last, channel, sign))
        at[machine] = last + int(rng.integers(*_NORMAL_ROWS))
    return faults


def last_row(faults: Sequence[Fault], *, first: int = LEARN_ROWS) -> int:
    """The row after which every alarm of the plan has had time to close."""
    return max((fault.last for fault in faults), default=first) + _TAIL_ROWS


def rows(
    first: int, last: int, *, faults: Sequence[Fault] = (), machines: Sequence[str] = MACHINES
) -> Iterator[Row]:
    """Rows [first, last) of all machines, in the order of their time."""
    at = {(fault.machine, row): fault for fault in faults for row in range(fault.first, fault.last)}
    for number in range(first, last):
        for machine in machines:
            values = signal(machine, number)
            fault = at.get((machine, number))
            if fault is not None:
                values[fault.channel] += fault.sign * _SHIFT * _CHANNELS[fault.channel]
            yield Row(machine, number, payload(values, ts=FIRST_TS + number))


def signal(machine: str, number: int) -> dict[str, float]:
    """Three channels that breathe together."""
    noise = _noise(machine, number // _BLOCK_ROWS)[number % _BLOCK_ROWS]
    wave = math.sin(2 * math.pi * number / _WAVE_ROWS)
    middle = {"pressure": 5 + wave, "flow": 40 - 4 * wave, "current": 12 + 0.5 * wave}
    return {
        name: round(middle[name] + spread * float(draw), 4)
        for (name, spread), draw in zip(_CHANNELS.items(), noise, strict=True)
    }


def payload(values: dict[str, float], *, ts: float) -> bytes:
    return json.dumps({"ts": ts, "values": values}).encode()


@lru_cache(maxsize=64)
def _noise(machine: str, block: int) -> np.ndarray:
    """[rows, channels], clipped: the hall has no accidental outliers."""
    rng = np.random.default_rng((sum(machine.encode()) * 31 + len(machine), block))
    return np.clip(rng.normal(size=(_BLOCK_ROWS, len(_CHANNELS))), -2.5, 2.5)
