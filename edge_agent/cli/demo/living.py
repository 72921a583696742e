"""The demo that goes on: the plant runs at its own pace, breaks every few minutes, and whenever a key is pressed.

When a machine is broken by hand, the simulator is asked anew with one fault more: what was before it stays as it was,
bit for bit, and is passed over.
"""

import select
import sys
import termios
import tty
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Self

from edge_agent.cli.demo.script import Fault, Script

_FAULTS = 180
"""So many every four minutes are half a day; then the plant ends, and so does the demo."""
_CALM_ROWS, _EVERY_ROWS, _LASTS_ROWS = 60, 240, 150
_AHEAD_ROWS = 3
LEAVE = "q"


@dataclass(frozen=True, slots=True)
class LivingPlant:
    """What breaks when.

    Attributes:
        script: all faults that are planned so far.
        start_ts: time of row 0; a row a second.
    """

    script: Script
    start_ts: float

    def due_rows(self, now_s: float) -> int:
        """Rows of each machine that have happened by now."""
        return min(self.script.rows, max(0, int(now_s - self.start_ts) + 1))

    def broken(self, machine: str, *, row: int) -> "LivingPlant":
        """The same plant, but for a machine that breaks a few rows after `row`, in the way it always does."""
        known = next(fault for fault in self.script.faults if fault.machine == machine)
        start = row + _AHEAD_ROWS
        fault = replace(known, start_row=start, end_row=start + _LASTS_ROWS)
        return replace(self, script=replace(self.script, faults=(*self.script.faults, fault)))


def plant_of(script: Script, *, first_row: int, now_s: float) -> LivingPlant:
    """The machines of a script, broken one after the other for half a day; its `first_row` is now."""
    kinds: dict[str, Fault] = {}
    for fault in script.faults:
        kinds.setdefault(fault.machine, fault)
    starts = range(first_row + _CALM_ROWS, first_row + _CALM_ROWS + _FAULTS * _EVERY_ROWS, _EVERY_ROWS)
    machines = [*kinds.values()]
    faults = tuple(
        replace(machines[number % len(machines)], start_row=row, end_row=row + _LASTS_ROWS, named=False)
        for number, row in enumerate(starts)
    )
    return LivingPlant(replace(script, faults=faults, after_rows=_EVERY_ROWS), float(int(now_s) - first_row))


class Keyboard(AbstractContextManager["Keyboard"]):
    """Keys of a terminal as they are pressed, without Enter."""

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(sys.stdin)
        tty.setcbreak(sys.stdin)
        return self

    def __exit__(self, *_: object) -> None:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def pressed(self, *, within_s: float) -> str:
        """The next key, or "" where none is pressed in that time."""
        ready, _, _ = select.select([sys.stdin], [], [], within_s)
        return sys.stdin.read(1) if ready else ""


def meant(key: str, script: Script) -> str:
    """The machine that a key breaks, 1 is the first; "" where it means none."""
    at = "123456789".find(key) if key else -1
    return script.machines[at] if 0 <= at < len(script.machines) else ""


def is_interactive() -> bool:
    """Whether somebody sits before it."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def keys_told(script: Script) -> str:
    """What the keys do, in a line."""
    told = [f"{number} {machine}" for number, machine in enumerate(script.machines, start=1)]
    return f"keys that break a machine: {', '.join(told)}; {LEAVE} ends"
