"""Machines over a real broker at once, as subscribers see them: the long form.

Payloads carry their own time, and rows are sent as fast as the agent takes them in; who reads the alerts sees what an
hour of each machine brings, in much less. A machine's status is of the wall clock, so what is shown is taken from the
alerts alone: a machine is shown as normal where none of its incidents is open.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from benchmarks.harness.user import START_TS, User
from benchmarks.incidents.plans import LEARNT_ROWS, Plan
from benchmarks.incidents.verdict import Heard, Word

_ROWS_A_TIME = 20
_PATIENCE_S = 3600.0


def heard_live(plans: Sequence[Plan], folder: Path, *, hop_s: float) -> dict[str, Heard]:
    """What the agent says of all plans, by machine.

    Raises:
        MissingProgramError: there is no mosquitto here.
        WaitedInVainError: the agent takes nothing in any more.
    """
    with ExitStack() as leaving:
        broker = Broker(folder).start()
        leaving.callback(broker.stop)
        agent = Agent(
            folder,
            bundle=None,
            port=broker.port,
            commission_rows=LEARNT_ROWS,
            off_delay_s=None,
            settings={"window": f"hop_s = {hop_s}", "limits": "future_tolerance_s = 604800.0"},
        ).start()
        leaving.callback(agent.kill)
        user = User(broker.port)
        leaving.callback(user.close)
        _send(plans, user, agent)
        return {plan.name: Heard(_words(plan, user.alerts)) for plan in plans}


def _send(plans: Sequence[Plan], user: User, agent: Agent) -> None:
    """Every row of every machine, row by row; nobody runs ahead of the learning."""
    lines = {plan.name: plan.simulated() for plan in plans}
    sent = 0
    for start in range(0, max(plan.rows for plan in plans), _ROWS_A_TIME):
        infos = []
        for name, (channels, values) in lines.items():
            for row in range(start, min(start + _ROWS_A_TIME, len(values))):
                told = dict(zip(channels, values[row].tolist(), strict=True))
                payload = json.dumps({"ts": START_TS + row, "values": told}).encode()
                infos.append(user.publish(f"sensors/{name}", payload))
        for info in infos:
            info.wait_for_publish(120)
        sent += len(infos)
        agent.wait_received(sent, patience_s=_PATIENCE_S)
        if start <= LEARNT_ROWS <= start + _ROWS_A_TIME:
            wait_until(
                lambda: all(user.machine(name) == "ready" for name in lines),
                what="the machines to be learnt",
                patience_s=_PATIENCE_S,
            )
    agent.settled_for(3.0)


def _words(plan: Plan, alerts: Sequence[dict[str, Any]]) -> list[Word]:
    own = [
        alert
        for alert in alerts
        if alert["machine"] == plan.name and alert.get("kind", "machine") == "machine"
    ]
    return [
        Word(
            id=alert["id"],
            row=_row(alert["time"]),
            onset_row=_row(alert["onset"]),
            is_open=alert["state"] == "open",
            unsettled=alert.get("unsettled", False),
            reopened=alert.get("reopened", 0),
        )
        for alert in own
    ]


def _row(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp()) - START_TS
