"""What happens to which simulated machine, a row a second. Nothing was chosen on these seeds.

Three questions: a fault that stands for an hour; two different faults ten minutes apart; and a fault that begins
while its machine's rows wait to be learnt from.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simulator import KINDS, MEASURED_KINDS, Injection, simulate

Question = Literal["constant", "pair", "late"]

LEARNT_ROWS, CALM_ROWS, AFTER_ROWS = 3600, 1200, 600
HOUR_ROWS, PART_ROWS, APART_ROWS = 3600, 1200, 600
LATE_ROWS = 1500
"""Rows for which a machine waits to be learnt."""
GROWTH_ROWS = 60
_LATE_BEGIN_ROWS = 300
_SEVERITIES = (1.0, 0.5)
_SEED = 77_000


@dataclass(frozen=True, slots=True)
class Plan:
    """One machine and what breaks."""

    name: str
    question: Question
    kind: str
    seed: int
    rows: int
    faults: tuple[Injection, ...]

    def simulated(self) -> tuple[tuple[str, ...], NDArray[np.float32]]:
        """Its channels, and its rows [R, C]."""
        run = simulate(
            self.kind, rows=self.rows, seed=self.seed, machine_seed=self.seed, injections=self.faults
        )
        return run.channels, run.values

    def alone(self) -> "Iterator[Plan]":
        """The same machine with each of its faults alone."""
        for fault in self.faults:
            yield replace(self, name=f"{self.name}, {fault.fault} alone", faults=(fault,))


def plans(question: Question) -> Iterator[Plan]:
    """All machines of a question."""
    kinds = [(kind, fault.name) for kind in MEASURED_KINDS for fault in KINDS[kind].faults]
    for number, (kind, fault) in enumerate(kinds):
        seed = _SEED + number
        if question == "constant":
            for severity in _SEVERITIES:
                name = f"{kind}-{fault}-{severity:g}"
                yield _plan(
                    name, question, kind, seed, _fault(fault, LEARNT_ROWS + CALM_ROWS, HOUR_ROWS, severity)
                )
        elif question == "pair":
            others = [other.name for other in KINDS[kind].faults if other.name != fault]
            second = others[int(np.random.default_rng(seed).integers(len(others)))]
            first_row = LEARNT_ROWS + CALM_ROWS
            pair = (
                *_fault(fault, first_row, PART_ROWS, 1.0),
                *_fault(second, first_row + PART_ROWS + APART_ROWS, PART_ROWS, 1.0),
            )
            yield _plan(f"{kind}-{fault}-{second}", question, kind, seed + 100, pair)
        elif number % 2 == 0:
            late = _fault(fault, LEARNT_ROWS + _LATE_BEGIN_ROWS, HOUR_ROWS, 1.0)
            yield _plan(f"{kind}-{fault}-late", question, kind, seed + 200, late)


def _fault(name: str, start: int, rows: int, severity: float) -> tuple[Injection, ...]:
    return (Injection(name, start, GROWTH_ROWS, severity, start + rows),)


def _plan(name: str, question: Question, kind: str, seed: int, faults: tuple[Injection, ...]) -> Plan:
    end = max(fault.end_row or 0 for fault in faults)
    return Plan(name, question, kind, seed, end + AFTER_ROWS, faults)
