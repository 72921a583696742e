"""The command `status`: what a running agent says of itself, at its metrics page and at the broker. Changes nothing.

Two witnesses: the page is here and now, the broker's retained messages say more and may be older. One is enough.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.cli.options import (
    NOT_WELL,
    AgentName,
    AsJson,
    BrokerAddress,
    ConfigFile,
    client_id,
    configuration,
)
from edge_agent.errors import CommandError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from edge_agent.cli.operator_client import AgentView
    from edge_agent.config.file import Config
    from edge_agent.metrics.page_reader import Samples

_NAMED = 10
"""Machines that a line names; the table has them all."""
_LOSSES = {
    "rejected": ("edge_agent_messages_total", "rejected"),
    "late": ("edge_agent_messages_total", "late"),
    "shed": ("edge_agent_messages_total", "shed"),
    "alerts dropped": ("edge_agent_alerts_total", "dropped"),
    "messages given up": ("edge_agent_outbox_dropped_total", ""),
    "commands dropped": ("edge_agent_commands_dropped_total", ""),
    "state failures": ("edge_agent_state_failures_total", ""),
    "internal errors": ("edge_agent_internal_errors_total", ""),
}


def status(
    config: ConfigFile = None,
    *,
    broker: BrokerAddress = None,
    agent: AgentName = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the broker.", min=0.1)] = 3.0,
    as_json: AsJson = False,
) -> None:
    """Say how the running agent is: machines, open alarms, losses; ends with 10 where it is not well."""
    from edge_agent.cli.tables import show

    settings = configuration(config, broker=broker, agent=agent)
    told = ask(settings, client_id=client_id("status"), timeout_s=timeout)
    if as_json:
        sys.stdout.write(json.dumps(plain(told), indent=2) + "\n")
    else:
        show(*parts(told))
    if not told.well:
        raise typer.Exit(NOT_WELL)


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """An agent at one moment.

    Attributes:
        amiss: what the agent says is wrong; None where its page does not answer.
        samples: (metric, value of its label) -> value.
        view: what the broker keeps of it; empty where it was not reached.
        trouble: why a witness was not heard.
    """

    name: str
    amiss: tuple[str, ...] | None
    samples: "Samples"
    view: "AgentView"
    trouble: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Whether it runs, nothing is amiss, and every machine that it has learnt is heard."""
        online = self.view.status.get("state", "online") == "online"
        return online and not self.amiss and not self.machines_that("silent_since")

    def machines_that(self, key: str, *values: str) -> tuple[str, ...]:
        """Names of the machines of which the status says this, or one of these values of it."""
        machines = self.view.status.get("machines", {})
        return tuple(
            name for name, told in machines.items() if key in told and (not values or told[key] in values)
        )


def ask(config: "Config", *, client_id: str, timeout_s: float) -> AgentStatus:
    """Ask both witnesses.

    Raises:
        CommandError: neither knows of the agent.
        UsageError: a file with a password, certificate or key cannot be used.
    """
    from edge_agent.cli.agent_page import health, read_page
    from edge_agent.cli.operator_client import AgentView, OperatorClient
    from edge_agent.metrics.page_reader import read_samples

    amiss = health(config)
    trouble: list[str] = []
    where = f"http://{config.metrics.host}:{config.metrics.port}"
    if amiss is None:
        trouble.append(f"no agent answers at {where}")
    view = AgentView()
    try:
        with OperatorClient(config, client_id=client_id, timeout_s=timeout_s) as client:
            view = client.view()
    except CommandError as error:
        trouble.append(str(error))
    if amiss is None and not view.status:
        raise CommandError("; ".join(trouble))
    samples: Samples = {}
    if amiss is not None:
        try:
            samples = read_samples(read_page(config, "/metrics").decode())
        except ValueError:
            trouble.append(f"what {where}/metrics says cannot be read")
    return AgentStatus(
        config.agent.name, None if amiss is None else tuple(amiss), samples, view, tuple(trouble)
    )


def plain(told: AgentStatus) -> dict[str, Any]:
    """All of it as plain values."""
    return {
        "agent": told.name,
        "well": told.well,
        "amiss": None if told.amiss is None else list(told.amiss),
        "status": dict(told.view.status),
        "alarms": list(told.view.alarms.values()),
        "losses": losses(told.samples),
        "not_heard": list(told.trouble),
    }


def losses(samples: "Samples") -> dict[str, int]:
    """What was lost since the agent started, by kind; nothing where the page does not answer."""
    return {name: int(samples[key]) for name, key in _LOSSES.items() if key in samples}


def parts(told: AgentStatus) -> "Iterator[RenderableType]":
    """All of it for people: lines and a table."""
    from rich.text import Text

    status = told.view.status
    state = status.get("state", "online")
    facts = [str(status[key]) for key in ("version", "provider") if key in status]
    if "model" in status:
        facts.append(f"model {str(status['model'])[:12]}")
    well = " and well" if told.well else ""
    yield Text(f"{told.name}: {state}{well}" + (f" ({', '.join(facts)})" if facts else ""))
    yield from (Text(f"  {line}") for line in _in_short(told))
    yield from (Text(f"  amiss: {word}") for word in told.amiss or ())
    yield from (Text(f"  not heard: {word}") for word in told.trouble)
    if status.get("machines"):
        yield ""
        yield _machines(told)
        yield from _budgets(told)
        yield from _kinds(told)
        yield from _seen_once(told)
    if told.samples:
        lost = {name: count for name, count in losses(told.samples).items() if count}
        received = int(told.samples.get(("edge_agent_messages_received_total", ""), 0))
        yield ""
        yield f"{received} messages received since the start; lost: " + (
            ", ".join(f"{count} {name}" for name, count in lost.items()) or "nothing"
        )


def _in_short(told: AgentStatus) -> "Iterator[str]":
    """What somebody must know first, a line each: machines in alarm, and machines that nobody watches just now."""
    for what, names in (
        ("in alarm", told.machines_that("alarm")),
        ("not heard, so not watched", told.machines_that("silent_since")),
        ("not learnt, so not watched", told.machines_that("state", "failed")),
        ("still being learnt, so not watched", told.machines_that("state", "commissioning", "learning")),
    ):
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            yield f"{what}: {', '.join(names[:_NAMED])}{more}"
    yield from _calls(told)


def _calls(told: AgentStatus) -> "Iterator[str]":
    """A line for each `[[notify]]`: how many messages were made, wait, and what attempts failed."""
    for (name, rule), made in told.samples.items():
        if name == "edge_agent_calls_made_total":
            waiting = told.samples.get(("edge_agent_calls_waiting", rule), 0)
            failed = told.samples.get(("edge_agent_call_failures_total", rule), 0)
            yield f"calls of {rule}: {made:.0f} made, {waiting:.0f} not confirmed yet, {failed:.0f} attempts failed"


def _machines(told: AgentStatus) -> "Table":
    from rich.text import Text

    from edge_agent.cli.tables import grid

    table = grid("machine", "state", "score/threshold", "alarm")
    table.columns[2].justify = "right"
    for name, machine in told.view.status["machines"].items():
        table.add_row(*(Text(cell) for cell in _machine(name, machine, told)))
    return table


def _budgets(told: AgentStatus) -> "Iterator[RenderableType]":
    """A line for each machine with its budget of false alarms and what that is worth."""
    from rich.text import Text

    for name, machine in told.view.status["machines"].items():
        if said := machine.get("budget"):
            yield Text(f"  {name}: budget {said['text']}")


def _kinds(told: AgentStatus) -> "Iterator[RenderableType]":
    """A line for each machine with channels that are not analog."""
    from rich.text import Text

    from edge_agent.cli.tables import kinds_line

    for name, machine in told.view.status["machines"].items():
        if kinds := machine.get("kinds"):
            yield Text(f"  {name}: {kinds_line(kinds.items())}")


def _seen_once(told: AgentStatus) -> "Iterator[RenderableType]":
    """A line for each machine of which some stretch was unlike all others while it was learnt."""
    from rich.text import Text

    from edge_agent.cli.tables import local, seen_once_line

    for name, machine in told.view.status["machines"].items():
        if stretches := machine.get("seen_once"):
            said = seen_once_line(
                (local(one["from"], told.view.zone), local(one["to"], told.view.zone), one["channel"])
                for one in stretches
            )
            yield Text(f"  {name}: {said}")


def _machine(name: str, machine: Mapping[str, Any], told: AgentStatus) -> tuple[str, str, str, str]:
    state = _state(machine, told.view.zone)
    ratio = told.samples.get(("edge_agent_score_ratio", name))
    unscored = "not scored yet" if machine.get("state") == "ready" and told.samples else ""
    summary = ""
    if (alarm := machine.get("alarm")) is not None:
        known = told.view.alarms.get(str(alarm), {})
        summary = str(known.get("summary") or alarm)
    silenced = [word for word in ("shelved", "suppressed") if machine.get(word)]
    return name, state, unscored if ratio is None else f"{ratio:.2f}", " ".join([*silenced, summary]).strip()


def _state(machine: Mapping[str, Any], zone: tzinfo) -> str:
    """The state of a machine: one word for each, and until when it is not watched."""
    from edge_agent.cli.tables import local

    state, about = str(machine.get("state", "")), machine.get("learnt_about")
    if since := machine.get("silent_since"):
        return f"silent since {local(since, zone)}: not watched"
    if state == "failed":
        again = f"; tried again about {local(about, zone)}" if about else ""
        return f"not learnt: {machine.get('reason', 'no reason given')}{again}"
    if state == "learning":
        return "almost learnt: not watched yet"
    if state == "commissioning" and (reason := machine.get("reason")):
        return f"not watched: {reason}"
    if state == "commissioning":
        percent = min(99, 100 * int(machine.get("rows", 0)) // max(int(machine.get("rows_wanted", 1)), 1))
        return f"learning, {percent} %: not watched" + (f" until about {local(about, zone)}" if about else "")
    return state
