"""What people said of machines by command: names and budgets, before what the configuration says. Bytes; no file.

A machine that is not there any more keeps its entry until somebody forgets the machine: it may come back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from glob import escape

import msgspec

from edge_agent.signals.machine_rules import MachineRule

NOTES_VERSION = 1


@dataclass(slots=True)
class MachineNotes:
    """By machine."""

    version: int = NOTES_VERSION
    names: dict[str, str] = field(default_factory=dict)
    budgets: dict[str, float] = field(default_factory=dict)

    def rules(self) -> tuple[MachineRule, ...]:
        """As rules, to be read before those of the configuration."""
        return tuple(
            MachineRule(
                escape(machine),
                display_name=self.names.get(machine),
                budget_per_week=self.budgets.get(machine),
            )
            for machine in sorted({*self.names, *self.budgets})
        )

    def forget(self, machine: str) -> bool:
        """Nothing was said of the machine; whether anything was."""
        said = [table.pop(machine, None) for table in (self.names, self.budgets)]
        return any(one is not None for one in said)


def encode(notes: MachineNotes) -> bytes:
    """The notes as bytes."""
    return msgspec.msgpack.encode(notes, order="sorted")


def restored(states: Mapping[str, bytes], name: str) -> MachineNotes | None:
    """What `encode` wrote under a name; empty where nothing was, None where it is damaged or of another version."""
    if name not in states:
        return MachineNotes()
    try:
        notes = msgspec.msgpack.decode(states[name], type=MachineNotes)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return notes if notes.version == NOTES_VERSION else None
