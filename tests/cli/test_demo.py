"""The demo's verdict is strict: late is late, the wrong machine is wrong, and an early alert spoils it."""

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_agent.cli.demo import script
from edge_agent.cli.demo.play import DEMO
from edge_agent.cli.demo.script import Fault, IncidentCount, Script, judge
from edge_agent.cli.demo.stage import Stage

START_TS = 1_600_000_000
FAULTS = DEMO.faults
FAULT = FAULTS[0]


def alert(
    machine: str, row: int, channels: list[str], *, revision: int = 1, fault: str = "unknown"
) -> dict[str, Any]:
    return {
        "id": f"{machine}-{row}",
        "machine": machine,
        "revision": revision,
        "onset": datetime.fromtimestamp(START_TS + row, UTC).isoformat(),
        "channels": [{"name": name} for name in channels],
        "fault": {"name": fault},
        "summary": "",
    }


def count_incidents(alerts: list[dict[str, Any]]) -> IncidentCount:
    return script.count_incidents(alerts, faults=len(FAULTS))


def false_alarms(alerts: list[dict[str, Any]], *, start_ts: float) -> list[dict[str, Any]]:
    return script.false_alarms(alerts, start_ts=start_ts, faults=FAULTS)


def test_the_demo_breaks_at_least_three_machines_one_after_the_other() -> None:
    assert len({fault.machine for fault in FAULTS}) >= 3
    arguments = DEMO.plant_arguments(START_TS)
    for fault in FAULTS:
        assert f"{fault.machine}={fault.kind}" in arguments


def test_an_alert_with_a_guilty_channel_among_the_first_two_is_good() -> None:
    outcome = judge(
        FAULT, [alert(FAULT.machine, FAULT.start_row + 30, ["x", FAULT.guilty[0]])], start_ts=START_TS
    )
    assert (outcome.good, outcome.delay_s) == (True, 30.0)


def test_everything_else_is_not() -> None:
    late, wrong = FAULT.start_row + 30, FAULTS[1].machine
    for alerts in (
        [],
        [alert(wrong, late, [FAULT.guilty[0]])],
        [alert(FAULT.machine, late, ["x", "y", FAULT.guilty[0]])],
        [alert(FAULT.machine, FAULT.start_row - 1, [FAULT.guilty[0]])],
        [alert(FAULT.machine, late, [FAULT.guilty[0]], revision=2)],
    ):
        assert not judge(FAULT, alerts, start_ts=START_TS).good


def test_a_fault_that_came_back_must_be_called_by_its_name_in_the_end() -> None:
    again = next(fault for fault in FAULTS if fault.named)
    first = next(fault for fault in FAULTS if (fault.machine, fault.name) == (again.machine, again.name))
    assert first.end_row is not None
    assert first.end_row < again.start_row
    row, guilty = again.start_row + 5, [again.guilty[0]]
    unnamed = alert(again.machine, row, guilty)
    assert not judge(again, [unnamed], start_ts=START_TS).good
    later = alert(again.machine, row, guilty, revision=2, fault=again.name)
    assert judge(again, [unnamed, later], start_ts=START_TS).good
    lost = alert(again.machine, row, guilty, revision=3)
    assert not judge(again, [unnamed, later, lost], start_ts=START_TS).good


def test_alerts_before_the_fault_or_on_strangers_are_false() -> None:
    good = alert(FAULT.machine, FAULT.start_row, [])
    early = alert(FAULT.machine, FAULT.start_row - 1, [])
    stranger = alert("someone", FAULT.start_row + 1000, [])
    assert false_alarms([good, early, stranger], start_ts=START_TS) == [early, stranger]


def test_a_machine_that_waits_for_the_others_to_be_learnt_is_no_alarm() -> None:
    silent = alert(FAULT.machine, FAULT.start_row + 5, [], fault="silent")
    found = alert(FAULT.machine, FAULT.start_row + 30, [FAULT.guilty[0]])
    assert judge(FAULT, [silent, found], start_ts=START_TS).good
    assert false_alarms([alert(FAULT.machine, 0, [], fault="silent")], start_ts=START_TS) == []


def test_as_many_incidents_as_faults_and_none_that_was_over_too_early() -> None:
    told = [alert(fault.machine, fault.start_row + 9, []) for fault in FAULTS]
    assert count_incidents(told).good
    back = told[0] | {"revision": 3, "reopened": 1, "lifecycle": {"event": "returned"}}
    assert (count_incidents([*told, back]).good, count_incidents([*told, back]).returned) == (True, 1)
    again = back | {"revision": 5, "reopened": 2, "lifecycle": {"event": "reopened"}}
    assert (count_incidents([*told, back, again]).good, count_incidents([*told, again]).reopened) == (
        False,
        1,
    )
    assert not count_incidents([*told, alert(FAULTS[0].machine, 5000, [])]).good
    notice = alert(FAULTS[0].machine, 5000, []) | {"kind": "state"}
    assert count_incidents([*told, notice]).good


def test_an_alert_of_its_cycles_is_one_of_the_machine_and_names_the_channel_before_its_number() -> None:
    fault = Fault("arm-1", "arm", "collision", ("step_7",), 100)
    told = alert("arm-1/cycle", 130, ["step_7.duration_s", "current_1.phase_3"])
    assert judge(fault, [told], start_ts=START_TS).good
    assert not judge(fault, [alert("arm-1/cycle", 130, ["step_17.duration_s"])], start_ts=START_TS).good
    new = alert("arm-1/cycle", 50, []) | {"kind": "state"}
    early = alert("arm-1/cycle", 50, [])
    assert script.false_alarms([new, early], start_ts=START_TS, faults=[fault]) == [early]


def test_what_counts_cycles_is_shown_beside_its_machine() -> None:
    one = Script((Fault("arm-1", "arm", "collision", ("step_7",), 100),), programmed=("arm-1",))
    assert one.shown == ("arm-1", "arm-1/cycle")
    assert one.rows == 400


def test_two_demos_beside_each_other_have_ports_of_their_own(tmp_path: Path) -> None:
    first, second = (
        Stage(tmp_path / name, script=DEMO, start_ts=START_TS, broker=lambda *_: 0) for name in ("one", "two")
    )
    with ExitStack() as leaving:
        for stage in (first, second):
            leaving.push(stage)
        assert first.metrics_port != second.metrics_port
        assert first.page_url != second.page_url
