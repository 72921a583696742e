"""What people say of machines outlives a restart; damaged bytes are told apart from none."""

from edge_agent.alarms.management.notes import MachineNotes, encode, restored
from edge_agent.signals.machine_rules import facts_of


def test_what_was_said_is_read_again() -> None:
    notes = MachineNotes(names={"pump-1": "Feed pump"}, budgets={"pump[1]": 3.0})
    read = restored({"n": encode(notes)}, "n")
    assert read == notes
    assert facts_of(read.rules(), "pump[1]").budget_per_week == 3.0
    assert facts_of(read.rules(), "pump1").budget_per_week is None, "a name is no pattern"


def test_nothing_and_damaged_bytes() -> None:
    assert restored({}, "n") == MachineNotes()
    assert restored({"n": b"\xc1"}, "n") is None
    assert restored({"n": encode(MachineNotes(version=2))}, "n") is None
