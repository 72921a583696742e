"""The demo: three simulated machines are learnt, broken, and alerted, on one computer and over real MQTT.

A technician names the first alarm once it is over; when the same fault comes back, the alert says its name.

It ends with a verdict: every fault alerted on its own machine with a guilty channel among the first two, the fault that
came back by its name, no alert before the first fault, and as many incidents as faults, none of them over too early.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_agent.cli import tables
from edge_agent.cli.demo import living
from edge_agent.cli.demo.screen import Screen
from edge_agent.cli.demo.script import (
    Fault,
    IncidentCount,
    Outcome,
    Script,
    count_incidents,
    false_alarms,
    is_of_source,
    judge,
)
from edge_agent.cli.demo.stage import Observation, Stage, StartBroker, start_embedded
from edge_agent.errors import EdgeAgentError

_NORMAL_ROWS = 300
"""Rows between the learning and the first fault, in which nothing may be alerted."""
_ROWS_A_TURN = 8
_TURN_S = 0.05
"""The plant runs 160 times faster than life while it is watched."""
_ROWS_AHEAD = 200
"""How far the plant may run ahead of the agent."""
_STALL_PATIENCE_S = 20.0
_LEARN_PATIENCE_S = 120.0
_PLAIN_COLUMNS = 140
"""Of output that goes to a file or a pipe."""


FIRST_ROW = 3600 + _NORMAL_ROWS
"""Of the first fault."""
DEMO = Script(
    (
        Fault(
            "pump-1",
            "pump",
            "cavitation",
            ("vibration", "discharge_pressure"),
            FIRST_ROW,
            end_row=FIRST_ROW + 450,
        ),
        Fault("motor-1", "motor", "phase_unbalance", ("current_u", "current_w"), FIRST_ROW + 200),
        Fault(
            "furnace-1",
            "furnace",
            "heater_element_failure",
            ("zone2_power", "zone2_temperature"),
            FIRST_ROW + 400,
        ),
        Fault(
            "pump-1", "pump", "cavitation", ("vibration", "discharge_pressure"), FIRST_ROW + 2000, named=True
        ),
    )
)


def run(*, out: Path, keep: bool, script: Script = DEMO, broker: StartBroker = start_embedded) -> int:
    """Play the demo; returns the exit status: 0 if everything was as it should be.

    Args:
        out: folder for alarms, configuration and logs.
        keep: stay up afterwards, until Ctrl-C.
        script: what is played.
        broker: what it is played over.

    Raises:
        EdgeAgentError: a part of it does not start or dies.
    """
    console = tables.console()
    if not console.is_terminal:
        console = tables.console(width=_PLAIN_COLUMNS)
    start_ts = int(time.time()) - script.rows
    started = time.monotonic()
    try:
        with Stage(out, script=script, start_ts=start_ts, broker=broker) as stage:
            console.print(f"The agent's page while it runs: {stage.page_url}")
            with Screen(script.shown, console) as screen:
                _play(script, stage, screen)
            outcomes = [judge(fault, stage.alerts, start_ts=start_ts) for fault in script.faults]
            early = false_alarms(stage.alerts, start_ts=start_ts, faults=script.faults)
            count = count_incidents(stage.alerts, faults=len(script.faults))
            _report(
                console,
                outcomes,
                early=early,
                count=count,
                stage=stage,
                out=out,
                took_s=time.monotonic() - started,
                again=script.again,
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


def go_on(*, out: Path, script: Script = DEMO) -> int:
    """Play until the key q or Ctrl-C: the plant runs at its own pace, and breaks; returns the exit status.

    Raises:
        EdgeAgentError: a part of it does not start or dies.
    """
    console = tables.console()
    plant = living.plant_of(script, first_row=FIRST_ROW, now_s=time.time())
    script = plant.script
    try:
        with Stage(out, script=script, start_ts=plant.start_ts, broker=start_embedded) as stage:
            console.print(
                f"The agent's page, with a login that may command: {stage.login_url}", soft_wrap=True
            )
            with Screen(script.shown, console) as screen, living.Keyboard() as keyboard:
                _learn(script, stage, screen)
                screen.say(f"watching, a fault every few minutes; {living.keys_told(script)}")
                key = ""
                while key != living.LEAVE and stage.published < script.rows * len(script.machines):
                    plant = _live(plant, stage, screen, key=key)
                    key = keyboard.pressed(within_s=0.2)
            alarms = len({alert["id"] for alert in stage.alerts})
            console.print(
                f"{stage.published} messages, {alarms} alarms; what was said: {out / 'alarms.jsonl'}"
            )
    except KeyboardInterrupt:
        return 0
    return 0


def _live(plant: living.LivingPlant, stage: Stage, screen: Screen, *, key: str) -> living.LivingPlant:
    """A moment of the plant's life: what a key asks for, and the rows that are due."""
    script = plant.script
    machines = len(script.machines)
    row = stage.published // machines
    if broken := living.meant(key, script):
        plant = plant.broken(broken, row=row)
        stage.change_script(plant.script, start_ts=plant.start_ts)
        screen.say(f"{broken} breaks in a moment; {living.keys_told(script)}")
    shown = len(stage.alerts)
    for done in range(row, plant.due_rows(time.time()), _ROWS_A_TURN):
        stage.publish(min(_ROWS_A_TURN, plant.due_rows(time.time()) - done) * machines)
        _let_agent_follow(stage, screen, behind=_ROWS_AHEAD * machines)
    _observe(stage, screen, shown=shown)
    return plant


def _learn(script: Script, stage: Stage, screen: Screen) -> None:
    """Normal rows, and learning."""
    machines = len(script.machines)
    screen.say(
        f"{machines} machines nobody knows: their first {script.commission_rows} rows (an hour at 1 Hz)"
    )
    for _ in range(script.commission_rows // 100):
        stage.publish(100 * machines)
        _observe(stage, screen, shown=len(stage.alerts))
    screen.say("learning what is normal for each of them")
    patience_s = time.monotonic() + _LEARN_PATIENCE_S
    while not _all_ready(_observe(stage, screen, shown=len(stage.alerts)), script.shown):
        if time.monotonic() > patience_s:
            raise EdgeAgentError("demo: the machines were not learnt in time")
        time.sleep(0.1)


def _play(script: Script, stage: Stage, screen: Screen) -> None:
    """Normal rows, learning, then live rows with faults."""
    _learn(script, stage, screen)
    machines = len(script.machines)
    screen.say("watching: calm at first, then one fault in each machine")
    live, named = True, False
    while live:
        named = named or _name_first_alarm(script.again, stage, screen)
        began, shown = time.monotonic(), len(stage.alerts)
        live = stage.publish(_ROWS_A_TURN * machines) == _ROWS_A_TURN * machines
        _observe(stage, screen, shown=shown)
        _let_agent_follow(stage, screen, behind=_ROWS_AHEAD * machines)
        time.sleep(max(0.0, _TURN_S - (time.monotonic() - began)))
    _let_agent_follow(stage, screen, behind=0)
    time.sleep(1.0)  # the last alerts are on their way
    _observe(stage, screen, shown=len(stage.alerts))


def _name_first_alarm(again: Fault, stage: Stage, screen: Screen) -> bool:
    """The technician has been there: the closed alarm gets the name of the fault; whether there was one to name."""
    for alert in stage.alerts:
        if alert["machine"] == again.machine and alert["state"] == "closed" and not is_of_source(alert):
            stage.command("label", alarm=alert["id"], fault=again.name)
            screen.say(
                f"watching; the technician has been at {again.machine} and named its alarm: {again.name}"
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


def _all_ready(seen: Observation, machines: Sequence[str]) -> bool:
    states = [seen.machines.get(machine, {}).get("state") for machine in machines]
    if "failed" in states:
        reasons = [str(machine.get("reason", "")) for machine in seen.machines.values()]
        raise EdgeAgentError(f"demo: a machine could not be learnt: {'; '.join(filter(None, reasons))}")
    return all(state == "ready" for state in states)


def _report(
    console: Console,
    outcomes: Sequence[Outcome],
    *,
    early: Sequence[dict[str, Any]],
    count: IncidentCount,
    stage: Stage,
    out: Path,
    took_s: float,
    again: Fault,
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
    counted = f"{count.incidents} incidents for {count.faults} faults, {count.reopened} of them reopened"
    console.print(
        Text.assemble(
            (counted, "green" if count.good else "red"),
            f"; {count.returned} times one came back before it was over.",
        )
    )
    console.print(
        f"{stage.published} messages in {took_s:.0f} s; {len(early)} false alarms. Faults have no name until "
        f"somebody gives them one: {again.machine}'s first alarm was named when it was over.\n"
        f"alerts   {out / 'alarms.jsonl'}\nlog      {out / 'agent.log'}\n"
        f"config   {out / 'agent.toml'}\nmetrics  http://127.0.0.1:{stage.metrics_port}/metrics while it runs (--keep)",
        soft_wrap=True,
    )
