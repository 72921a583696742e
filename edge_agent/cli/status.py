"""The command `status`: what a running agent says of itself, at its metrics page and at the broker. Changes nothing.

Two witnesses: the page is here and now, the broker's retained messages say more and may be older. One is enough.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_agent.cli.doctor_host import health, page
from edge_agent.cli.operator_client import Terminal, View
from edge_agent.config.file import Config
from edge_agent.errors import CommandError

_SAMPLE = re.compile(r'^(edge_agent_\w+)(?:\{(\w+)="((?:[^"\\]|\\.)*)"\})? (\S+)$')
"""A sample with one label or none; those with more are not asked for here."""
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
_Samples = Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Glance:
    """An agent at one moment.

    Attributes:
        amiss: what the agent says is wrong; None where its page does not answer.
        samples: (metric, value of its label) -> value.
        view: what the broker keeps of it; empty where it was not reached.
        trouble: why a witness was not heard.
    """

    name: str
    amiss: tuple[str, ...] | None
    samples: _Samples
    view: View = field(default_factory=View)
    trouble: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Whether it runs, and nothing is amiss."""
        return not self.amiss and self.view.status.get("state", "online") == "online"


def look(config: Config, *, client_id: str, timeout_s: float) -> Glance:
    """Ask both witnesses.

    Raises:
        CommandError: neither knows of the agent.
        UsageError: a file with a password, certificate or key cannot be used.
    """
    told = health(config)
    trouble: list[str] = []
    if told is None:
        trouble.append(f"no agent answers at http://{config.metrics.host}:{config.metrics.port}")
    view = View()
    try:
        with Terminal(config, client_id=client_id, timeout_s=timeout_s) as terminal:
            view = terminal.view()
    except CommandError as error:
        trouble.append(str(error))
    if told is None and not view.status:
        raise CommandError("; ".join(trouble))
    samples = {} if told is None else read_samples(page(config, "/metrics").decode())
    return Glance(config.agent.name, None if told is None else tuple(told), samples, view, tuple(trouble))


def read_samples(text: str) -> _Samples:
    """The samples of a metrics page that have one label or none."""
    return {
        (found[1], json.loads(f'"{found[3] or ""}"')): float(found[4])
        for line in text.splitlines()
        if (found := _SAMPLE.match(line)) is not None
    }


def table(glance: Glance) -> dict[str, Any]:
    """All of it as plain values."""
    return {
        "agent": glance.name,
        "well": glance.well,
        "amiss": None if glance.amiss is None else list(glance.amiss),
        "status": dict(glance.view.status),
        "alarms": list(glance.view.alarms.values()),
        "losses": losses(glance.samples),
        "not_heard": list(glance.trouble),
    }


def losses(samples: _Samples) -> dict[str, int]:
    """What was lost since the agent started, by kind; nothing where the page does not answer."""
    return {name: int(samples[key]) for name, key in _LOSSES.items() if key in samples}


def lines(glance: Glance) -> Iterator[str]:
    """All of it for a terminal."""
    status = glance.view.status
    state = status.get("state", "online")
    facts = [str(status[key]) for key in ("version", "provider") if key in status]
    if "model" in status:
        facts.append(f"model {str(status['model'])[:12]}")
    yield f"{glance.name}: {state}{' and well' if glance.well else ''}" + (
        f" ({', '.join(facts)})" if facts else ""
    )
    yield from (f"  amiss: {word}" for word in glance.amiss or ())
    yield from (f"  not heard: {word}" for word in glance.trouble)
    machines: Mapping[str, Any] = status.get("machines", {})
    if machines:
        yield ""
        yield f"{'machine':24} {'state':14} {'score/threshold':>15}  alarm"
        yield from (_machine(name, told, glance) for name, told in machines.items())
    lost = {name: count for name, count in losses(glance.samples).items() if count}
    if glance.samples:
        received = int(glance.samples.get(("edge_agent_messages_received_total", ""), 0))
        yield ""
        yield f"{received} messages received since the start; lost: " + (
            ", ".join(f"{count} {name}" for name, count in lost.items()) or "nothing"
        )


def _machine(name: str, told: Mapping[str, Any], glance: Glance) -> str:
    state = str(told.get("state", ""))
    if "rows_wanted" in told:
        state += f" {told.get('rows', 0)}/{told['rows_wanted']}"
    ratio = glance.samples.get(("edge_agent_score_ratio", name))
    waiting = "not scored yet" if told.get("state") == "ready" and glance.samples else ""
    score = waiting if ratio is None else f"{ratio:.2f}"
    said = ""
    if (alarm := told.get("alarm")) is not None:
        known = glance.view.alarms.get(str(alarm), {})
        said = str(known.get("summary") or alarm)
    elif why := told.get("reason"):
        said = str(why)
    quiet = [word for word in ("shelved", "suppressed") if told.get(word)]
    return f"{name:24} {state:14} {score:>15}  {' '.join([*quiet, said])}".rstrip()
