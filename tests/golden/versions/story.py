"""What an agent of any commit lives through before its state is taken over, and what must still be known afterwards.

Three machines are learnt. Of `leak` a fault was named, the alarm of `open` is open and acknowledged, that of `shelved`
is open and shelved. A user outside sees all of it by what the agent says over MQTT; nothing of the agent is imported.
"""

import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmarks import ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from benchmarks.harness.user import FAULT_SHIFT, START_TS, User, rows

LEARN_ROWS = 240
"""Few, of two channels, the same of all machines and again and again, so that what is kept is packed small."""
_TURN = 44
"""Rows after which everything comes again: the harness's machines breathe once in so long."""
CALM_UNTIL = 400
FAULT_UNTIL = 460
CALM_AGAIN = 1160
"""Long enough for the alarm of `leak` to be over."""
LABELLED, ACKNOWLEDGED, SHELVED = "leak", "open", "shelved"
MACHINES = (LABELLED, ACKNOWLEDGED, SHELVED)
FAULT = "valve leaks"
BY, COMMENT = "anna", "on my way"
_SHELVED_S = 36_000
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Known:
    """What an agent says of the three machines.

    Attributes:
        ready: machines that are watched.
        open: by machine the id of its open alarm.
        acknowledged: by whom, with which comment; shelved: by whom.
    """

    ready: tuple[str, ...]
    open: dict[str, str]
    acknowledged: str
    shelved: str


@dataclass
class Stage:
    """A broker and a state directory, on which agents of several commits come after each other."""

    folder: Path
    leaving: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state = self.folder / "state"
        self.broker = Broker(self.folder)
        self.leaving.callback(self.broker.stop)
        self.broker.start()
        self.lives = 0
        return self

    def __exit__(self, *_: object) -> None:
        self.leaving.close()

    def enter(self, tree: Path = ROOT) -> tuple[Agent, User]:
        """Start the agent of a checkout, and somebody who hears and speaks; both leave with the stage."""
        self.lives += 1
        agent = Agent(
            self.folder / f"life-{self.lives}",
            bundle=None,
            port=self.broker.port,
            state=self.state,
            commission_rows=LEARN_ROWS,
            off_delay_s=None,
            retry_max_s=None,
            longest_wait_s=None,  # older agents know no such setting
            tree=tree,
        )
        user = User(self.broker.port)
        self.leaving.callback(user.close)
        self.leaving.callback(agent.kill)
        agent.start()
        wait_until(agent.connected, what="the agent's connections")
        return agent, user


def live(stage: Stage, tree: Path) -> Known:
    """The whole story with the agent of a checkout, which has ended in peace afterwards."""
    agent, user = stage.enter(tree)
    for name in MACHINES:
        publish(user, name, 0, LEARN_ROWS)
        wait_until(lambda name=name: user.machine(name) == "ready", what=f"{name} to be learnt")
        publish(user, name, LEARN_ROWS, CALM_UNTIL)
    for name in MACHINES:
        publish(user, name, CALM_UNTIL, FAULT_UNTIL, shift=FAULT_SHIFT)
        wait_until(lambda name=name: opened(user, name), what=f"the alarm of {name}")
    ask(user, "label", alarm=opened(user, LABELLED)[-1]["id"], fault=FAULT)
    ask(user, "ack", alarm=opened(user, ACKNOWLEDGED)[-1]["id"], comment=COMMENT)
    ask(user, "shelve", machine=SHELVED, for_s=_SHELVED_S)
    publish(user, LABELLED, FAULT_UNTIL, CALM_AGAIN)
    wait_until(lambda: closed(user, LABELLED), what="the end of the named alarm")
    time.sleep(1.5)  # the status is said once a second
    found = known(user.status, user.retained.values())
    assert agent.stop() == 0
    return found


def look(stage: Stage, tree: Path, *, first: int | None = None) -> tuple[Known, list[dict[str, Any]]]:
    """One life of a checkout's agent on the state as it is: what it knows, and the alerts that it told.

    Args:
        first: play a thousand rows of `leak` from there on, with its fault, which is named again; None: no rows at all.
    """
    agent, user = stage.enter(tree)
    wait_until(lambda: user.status.get("state") == "online", what="a status")
    if first is not None:
        publish(user, LABELLED, first, first + 240)
        publish(user, LABELLED, first + 240, first + 300, shift=FAULT_SHIFT)
        (again,) = wait_until(lambda: opened(user, LABELLED)[-1:], what="the fault's return")
        ask(user, "label", alarm=again["id"], fault=FAULT)
        publish(user, LABELLED, first + 300, first + 1000)
        wait_until(lambda: closed(user, LABELLED), what="the end of the fault's return")
    time.sleep(2.5)
    found = known(user.status, user.retained.values())
    assert agent.stop() == 0
    return found, user.alerts


def known(status: Mapping[str, Any], kept: Iterable[bytes]) -> Known:
    """What the agent says now, by its status and the alerts that the broker keeps."""
    machines = status.get("machines", {})
    ready = tuple(name for name in MACHINES if machines.get(name, {}).get("state") == "ready")
    retained = [alert for raw in kept if raw and (alert := json.loads(raw))]
    alarms = {
        alert["machine"]: alert for alert in retained if alert["state"] == "open" and _of_machine(alert)
    }
    seen = alarms.get(ACKNOWLEDGED, {}).get("lifecycle", {}).get("acknowledged") or {}
    shelf = alarms.get(SHELVED, {}).get("lifecycle", {}).get("shelved") or {}
    return Known(
        ready,
        {name: str(alert["id"]) for name, alert in sorted(alarms.items())},
        f"{seen.get('by', '')}: {seen.get('comment', '')}",
        str(shelf.get("by", "")),
    )


def named(state: Path) -> list[tuple[str, str]]:
    """(alarm, fault) of every named alarm where the agent looks for it, by the header that all releases write."""
    cases = []
    for file in sorted((state / "faults").glob("*.npz")):
        with np.load(file) as arrays:
            cases += json.loads(arrays["__header__"].tobytes())["cases"]
    return [(case["alarm"], case["fault"]) for case in cases]


def payloads(first: int, last: int, *, shift: float = 0.0) -> Iterator[bytes]:
    """Rows [first, last) of any of the machines."""
    for row in range(first, last):
        ((_, values),) = rows("press", row % _TURN, row % _TURN + 1, shift=shift)
        del values["current"]
        yield json.dumps({"ts": START_TS + row, "values": values}).encode()


def publish(user: User, machine: str, first: int, last: int, *, shift: float = 0.0) -> None:
    """Rows [first, last) of two channels; the broker has all of them when this returns."""
    infos = [user.publish(f"sensors/{machine}", one) for one in payloads(first, last, shift=shift)]
    for info in infos:
        info.wait_for_publish(120)


def opened(user: User, machine: str) -> list[dict[str, Any]]:
    """Calls for a machine's alarm, as they came."""
    return [
        one
        for one in user.alerts
        if one["machine"] == machine and one["state"] == "open" and _of_machine(one)
    ]


def closed(user: User, machine: str) -> list[dict[str, Any]]:
    """Calls that a machine's latest alarm is over."""
    latest = [one["id"] for one in opened(user, machine)[-1:]]
    return [one for one in user.alerts if one["id"] in latest and one["state"] == "closed"]


def ask(user: User, command: str, **arguments: Any) -> None:
    """Give a command that must be obeyed."""
    number = f"v{next(_NUMBERS)}"
    user.publish(f"agents/hall/cmd/{command}", json.dumps({"id": number, "by": BY, **arguments}).encode())
    reply = wait_until(lambda: user.replies.get(number), what=f"the reply to {command}")
    assert reply["result"] == "done", reply


def _of_machine(alert: dict[str, Any]) -> bool:
    """Alarms about a sensor came later than the first of the commits."""
    return bool(alert.get("kind", "machine") == "machine")
