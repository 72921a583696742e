"""What the living demo's plant does when: machines in turn, and by hand without a change of what was."""

import io
import itertools
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace

import pytest

from edge_agent.cli.demo.living import keys_told, meant, plant_of
from edge_agent.cli.demo.play import DEMO, FIRST_ROW
from edge_agent.cli.demo.script import Script
from simulator.command import main

NOW_S = 1_700_000_000.0


def lines(arguments: Sequence[str]) -> list[str]:
    """What the plant says."""
    said = io.StringIO()
    with redirect_stdout(said):
        assert main(arguments) == 0
    return said.getvalue().splitlines()


def test_every_machine_breaks_in_turn_for_half_a_day() -> None:
    plant = plant_of(DEMO, first_row=FIRST_ROW, now_s=NOW_S)
    assert [fault.machine for fault in plant.script.faults[:4]] == [
        "pump-1",
        "motor-1",
        "furnace-1",
        "pump-1",
    ]
    starts = [fault.start_row for fault in plant.script.faults]
    assert {b - a for a, b in itertools.pairwise(starts)} == {240}
    assert plant.script.rows - FIRST_ROW > 12 * 3600 - 240
    assert all(
        fault.end_row is not None and fault.end_row < fault.start_row + 240 for fault in plant.script.faults
    )


def test_rows_come_one_a_second_and_the_first_live_one_is_now() -> None:
    plant = plant_of(DEMO, first_row=FIRST_ROW, now_s=NOW_S)
    assert plant.due_rows(NOW_S - 1e9) == 0
    assert plant.due_rows(NOW_S + 10.5) == FIRST_ROW + 11
    assert plant.due_rows(NOW_S + 1e9) == plant.script.rows


def short(script: Script) -> Script:
    return replace(script, faults=script.faults[:3], after_rows=60)


@pytest.mark.parametrize("machine", DEMO.machines)
def test_what_was_before_a_machine_is_broken_by_hand_stays_as_it_was(machine: str) -> None:
    plant = plant_of(DEMO, first_row=200, now_s=NOW_S)
    plant = replace(plant, script=short(plant.script))
    row = 400
    broken = plant.broken(machine, row=row)
    assert broken.script.rows == plant.script.rows
    before, after = (lines(one.script.plant_arguments(NOW_S)) for one in (plant, broken))
    same = (row + 1) * len(DEMO.machines)
    assert before[:same] == after[:same]
    assert before != after


def test_keys_mean_machines_in_their_order() -> None:
    assert [meant(key, DEMO) for key in ("1", "3", "4", "x", "", "q")] == [
        "pump-1",
        "furnace-1",
        "",
        "",
        "",
        "",
    ]
    assert keys_told(DEMO) == "keys that break a machine: 1 pump-1, 2 motor-1, 3 furnace-1; q ends"
