"""The demo: three simulated machines are learnt, broken, and alerted, on one computer and over real MQTT.

A technician names the first alarm once it is over; when the same fault comes back, the alert says its name.

It ends with a verdict: every fault alerted on its own machine with a guilty channel among the first two, the fault that
came back by its name, no alert before the first fault, and as many incidents as faults, none of them over too early.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_agent.cli import tables
from edge_agent.cli.demo.screen import Screen
from edge_agent.cli.demo.stage import Observation, Stage
from edge_agent.errors import EdgeAgentError

_COMMISSION_ROWS = 3600
_NORMAL_ROWS = 300
"""Rows between the learning and the first fault, in which nothing may be alerted."""
_AFTER_ROWS = 300
"""Rows from the last fault's beginning to the end."""
_GROWTH_ROWS = 60
_ROWS_A_TURN = 8
_TURN_S = 0.05
"""The plant runs 160 times faster than life while it is watched."""
_ROWS_AHEAD = 200
"""How far the plant may run ahead of the agent."""
_STALL_PATIENCE_S = 20.0
_LEARN_PATIENCE_S = 120.0
_SEED = 7
_PLAIN_COLUMNS = 140
"""Of output that goes to a file or a pipe."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is going to break.

    Attributes:
        machine: its name. kind: the simulator's kind of machine. name: the simulator's fault.
        guilty: channels that a technician would look at for this fault.
        start_row: first row of the fault. end_row: first row after it, None where it lasts.
        named: whether it was named before, so that its alert must say the name.
    """

    machine: str
    kind: str
    name: str
    guilty: tuple[str, ...]
    start_row: int
    end_row: int | None = None
    named: bool = False


_FIRST = _COMMISSION_ROWS + _NORMAL_ROWS
FAULTS = (
    Fault("pump-1", "pump", "cavitation", ("vibration", "discharge_pressure"), _FIRST, end_row=_FIRST + 450),
    Fault("motor-1", "motor", "phase_unbalance", ("current_u", "current_w"), _FIRST + 200),
    Fault(
        "furnace-1", "furnace", "heater_element_failure", ("zone2_power", "zone2_temperature"), _FIRST + 400
    ),
    Fault("pump-1", "pump", "cavitation", ("vibration", "discharge_pressure"), _FIRST + 2000, named=True),
)
_AGAIN = FAULTS[-1]
MACHINES = tuple(dict.fromkeys(fault.machine for fault in FAULTS))
_ROWS = _AGAIN.start_row + _AFTER_ROWS


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one fault.

    Attributes:
        delay_s: machine time from the fault's beginning to the alert; None where none came.
        channels: the first two that the alert names. said: the fault's name in the alert's latest revision.
        good: alerted, after the fault began, with a guilty channel among the first two, by its name if it has one.
    """

    fault: Fault
    delay_s: float | None
    channels: tuple[str, ...]
    said: str
    good: bool


@dataclass(frozen=True, slots=True)
class IncidentCount:
    """How many incidents the machines had, and how steady these were.

    Attributes:
        reopened: times that one was over, and came back: a failure.
        returned: times that one came back while it was unsettled.
    """

    incidents: int
    reopened: int
    returned: int

    @property
    def good(self) -> bool:
        """One for each fault, none of them over too early."""
        return self.incidents == len(FAULTS) and not self.reopened


def run(*, out: Path, keep: bool) -> int:
    """Play the demo; returns the exit status: 0 if everything was as it should be.

    Args:
        out: folder for alarms, configuration and logs.
        keep: stay up afterwards, until Ctrl-C.

    Raises:
        EdgeAgentError: a part of it does not start or dies.
    """
    console = tables.console()
    if not console.is_terminal:
        console = tables.console(width=_PLAIN_COLUMNS)
    start_ts = int(time.time()) - _ROWS
    started = time.monotonic()
    try:
        with Stage(out, rows=_COMMISSION_ROWS, plant=plant_arguments(start_ts)) as stage:
            console.print(f"The agent's page while it runs: {stage.page_url}")
            with Screen(MACHINES, console) as screen:
                _play(stage, screen)
            outcomes = [judge(fault, stage.alerts, start_ts=start_ts) for fault in FAULTS]
            early = false_alarms(stage.alerts, start_ts=start_ts)
            count = count_incidents(stage.alerts)
            _report(
                console,
                outcomes,
                early=early,
                count=count,
                stage=stage,
                out=out,
                took_s=time.monotonic() - started,
            )
            if keep:
                console.print(
                    f"Everything stays up until Ctrl-C: look at {stage.page_url} (the plant stands still)."
                )
                while True:
                    time.sleep(1.0)
                    stage.observe()
    except KeyboardInterrupt:
        if not keep:
            return 130
    return 0 if all(outcome.good for outcome in outcomes) and not early and count.good else 1


def plant_arguments(start_ts: float) -> list[str]:
    """The simulator's command line."""
    arguments = ["--rows", str(_ROWS), "--seed", str(_SEED), "--start-ts", str(start_ts)]
    for kind in dict.fromkeys(f"{fault.machine}={fault.kind}" for fault in FAULTS):
        arguments += ["--machine", kind]
    for fault in FAULTS:
        end = "" if fault.end_row is None else f":1.0:{fault.end_row}"
        arguments += ["--fault", f"{fault.machine}:{fault.name}:{fault.start_row}:{_GROWTH_ROWS}{end}"]
    return arguments


def _play(stage: Stage, screen: Screen) -> None:
    """Normal rows, learning, then live rows with faults."""
    machines = len(MACHINES)
    screen.say(f"{machines} machines nobody knows: their first {_COMMISSION_ROWS} rows (an hour at 1 Hz)")
    for _ in range(_COMMISSION_ROWS // 100):
        stage.publish(100 * machines)
        _observe(stage, screen, shown=len(stage.alerts))
    screen.say("learning what is normal for each of them")
    patience_s = time.monotonic() + _LEARN_PATIENCE_S
    while not _all_ready(_observe(stage, screen, shown=len(stage.alerts))):
        if time.monotonic() > patience_s:
            raise EdgeAgentError("demo: the machines were not learnt in time")
        time.sleep(0.1)
    screen.say("watching: calm at first, then one fault in each machine")
    live, named = True, False
    while live:
        named = named or _name_first_alarm(stage, screen)
        began, shown = time.monotonic(), len(stage.alerts)
        live = stage.publish(_ROWS_A_TURN * machines) == _ROWS_A_TURN * machines
        _observe(stage, screen, shown=shown)
        _let_agent_follow(stage, screen, behind=_ROWS_AHEAD * machines)
        time.sleep(max(0.0, _TURN_S - (time.monotonic() - began)))
    _let_agent_follow(stage, screen, behind=0)
    time.sleep(1.0)  # the last alerts are on their way
    _observe(stage, screen, shown=len(stage.alerts))


def _name_first_alarm(stage: Stage, screen: Screen) -> bool:
    """The technician has been there: the closed alarm gets the name of the fault; whether there was one to name."""
    for alert in stage.alerts:
        if alert["machine"] == _AGAIN.machine and alert["state"] == "closed" and not _of_source(alert):
            stage.command("label", alarm=alert["id"], fault=_AGAIN.name)
            screen.say(
                f"watching; the technician has been at {_AGAIN.machine} and named its alarm: {_AGAIN.name}"
            )
            return True
    return False


def _let_agent_follow(stage: Stage, screen: Screen, *, behind: int) -> None:
    """Wait until the agent has taken in all but `behind` of the messages: a small computer sets its own pace."""
    received, patience_s = -1, 0.0
    while True:
        seen = _observe(stage, screen, shown=len(stage.alerts))
        if seen.received >= stage.published - behind:
            return
        if seen.received > received:
            received, patience_s = seen.received, time.monotonic() + _STALL_PATIENCE_S
        elif time.monotonic() > patience_s:
            raise EdgeAgentError("demo: the agent takes in no messages any more")
        time.sleep(_TURN_S)


def _observe(stage: Stage, screen: Screen, *, shown: int) -> Observation:
    seen = stage.observe()
    for alert in stage.alerts[shown:]:
        screen.alert(alert)
    screen.show(seen.machines, seen.ratios)
    return seen


def _all_ready(seen: Observation) -> bool:
    states = [seen.machines.get(machine, {}).get("state") for machine in MACHINES]
    if "failed" in states:
        reasons = [str(machine.get("reason", "")) for machine in seen.machines.values()]
        raise EdgeAgentError(f"demo: a machine could not be learnt: {'; '.join(filter(None, reasons))}")
    return all(state == "ready" for state in states)


def judge(fault: Fault, alerts: Sequence[dict[str, Any]], *, start_ts: float) -> Outcome:
    """The first alert on the fault's machine since the fault began."""
    begin = start_ts + fault.start_row
    for alert in alerts:
        delay_s = datetime.fromisoformat(alert["onset"]).timestamp() - begin
        ours = alert["machine"] == fault.machine and not _of_source(alert)
        if ours and alert["revision"] == 1 and delay_s >= 0:
            channels = tuple(channel["name"] for channel in alert["channels"][:2])
            said = [later["fault"]["name"] for later in alerts if later["id"] == alert["id"]][-1]
            good = bool(set(channels) & set(fault.guilty)) and (not fault.named or said == fault.name)
            return Outcome(fault, delay_s, channels, said, good)
    return Outcome(fault, None, (), "", good=False)


def false_alarms(alerts: Sequence[dict[str, Any]], *, start_ts: float) -> list[dict[str, Any]]:
    """Alarms that opened before anything was broken on their machine."""
    begin = {fault.machine: start_ts + fault.start_row for fault in reversed(FAULTS)}
    return [
        alert
        for alert in alerts
        if alert["revision"] == 1
        and not _of_source(alert)
        and datetime.fromisoformat(alert["onset"]).timestamp() < begin.get(alert["machine"], float("inf"))
    ]


def count_incidents(alerts: Sequence[dict[str, Any]]) -> IncidentCount:
    """What all alerts of machines come to."""
    told = [alert for alert in alerts if alert.get("kind", "machine") == "machine"]
    reopened = {
        (alert["id"], alert["revision"])
        for alert in told
        if alert.get("lifecycle", {}).get("event") == "reopened"
    }
    returned = {alert["id"]: alert.get("reopened", 0) for alert in told}
    return IncidentCount(len(returned), len(reopened), sum(returned.values()) - len(reopened))


def _of_source(alert: dict[str, Any]) -> bool:
    """Whether it tells of a silent source: on a busy computer a learnt machine waits for the others to be learnt."""
    return bool(alert["fault"]["name"] == "silent")


def _report(
    console: Console,
    outcomes: Sequence[Outcome],
    *,
    early: Sequence[dict[str, Any]],
    count: IncidentCount,
    stage: Stage,
    out: Path,
    took_s: float,
) -> None:
    table = Table(title="What happened", title_justify="left")
    for heading in ("machine", "fault injected", "alerted after", "channels named", "fault named", "verdict"):
        table.add_column(heading)
    for outcome in outcomes:
        table.add_row(
            outcome.fault.machine,
            outcome.fault.name + (", again" if outcome.fault.named else ""),
            "never" if outcome.delay_s is None else f"{outcome.delay_s:.0f} s of machine time",
            ", ".join(outcome.channels),
            outcome.said,
            Text("as it should be", "green") if outcome.good else Text("wrong", "red"),
        )
    console.print(table)
    for alert in early:
        console.print(Text.assemble(("false alarm:", "red"), f" {alert['summary']}"), soft_wrap=True)
    counted = f"{count.incidents} incidents for {len(FAULTS)} faults, {count.reopened} of them reopened"
    console.print(
        Text.assemble(
            (counted, "green" if count.good else "red"),
            f"; {count.returned} times one came back before it was over.",
        )
    )
    console.print(
        f"{stage.published} messages in {took_s:.0f} s; {len(early)} false alarms. Faults have no name until "
        f"somebody gives them one: {_AGAIN.machine}'s first alarm was named when it was over.\n"
        f"alerts   {out / 'alarms.jsonl'}\nlog      {out / 'agent.log'}\n"
        f"config   {out / 'agent.toml'}\nmetrics  http://127.0.0.1:{stage.metrics_port}/metrics while it runs (--keep)",
        soft_wrap=True,
    )
