"""Listens at the broker for a while and writes a configuration for what it heard."""

import json
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from edge_agent.cli.discover.survey import Proposal, Survey
from edge_agent.cli.operator_client import NO_WORD
from edge_agent.config.file import Config
from edge_agent.config.own_topics import own_words
from edge_agent.errors import CommandError
from edge_agent.mqtt.egress import Egress
from edge_agent.mqtt.outbox import Outbox
from edge_agent.records import Delivery
from edge_agent.service.wiring import broker_address

_TURN_S = 0.01
_CONNECT_S = 10.0
_UNITS_LIMIT = 1000
_UNTOLD = "came too fast to be looked at, or at more topics than are kept (20,000)"
_CONNECTION = (
    "host", "port", "username", "username_file", "password_file", "tls", "tls_ca_file", "tls_cert_file",
    "tls_key_file", "tls_insecure",
)  # fmt: skip


def propose(
    config: Config, *, seconds: float, client_id: str, beside: Callable[[str], bool] = lambda _topic: False
) -> dict[str, Any]:
    """Listen and report.

    Args:
        config: whose broker.
        seconds: how long.
        client_id: must not be the running agent's.
        beside: tells of a topic whether it is read already, and needs no source.

    Returns:
        What was heard, as plain values; `config` is TOML that `check` accepts.

    Raises:
        CommandError: the broker could not be reached, or nothing that can be read was heard.
        UsageError: a file with a password, certificate or key cannot be used.
    """
    survey = Survey(own=own_words(config.own_filters, ["#"]), beside=beside)
    dropped = _listen(config, survey, seconds=seconds, client_id=client_id)
    proposal = survey.propose(seconds=seconds, host_id=config.agent.name)
    dropped += survey.untold
    proposal = _expressible(config, proposal)
    if not proposal.sources:
        raise CommandError(_nothing(proposal, seconds))
    text = written(config, proposal, seconds=seconds, dropped=dropped)
    return {
        "seconds": seconds,
        "machines": list(proposal.machines),
        "undecodable": list(proposal.undecodable),
        "left_out": [{"topic": topic, "name": name, "reason": why} for topic, name, why in proposal.left_out],
        "dropped": dropped,
        "limits": needed_limits(config, proposal),
        "config": text,
    }


def _expressible(config: Config, proposal: Proposal) -> Proposal:
    """Without the sources that no configuration can hold; their topics are named among the leftovers."""

    def holds(sources: Sequence[Mapping[str, Any]]) -> bool:
        text = written(config, replace(proposal, sources=sources), seconds=1.0, dropped=0)
        try:
            Config.model_validate(tomllib.loads(text))
        except ValueError:  # of TOML and of what it says
            return False
        return True

    if holds(proposal.sources):
        return proposal
    kept: list[Mapping[str, Any]] = []
    lost = [*proposal.undecodable]
    for source in proposal.sources:
        if holds([*kept, source]):
            kept.append(source)
        else:
            reason = "no configuration can say this topic beside the others"
            lost.append({"topic": str(source.get("topic", "")), "messages": 0, "reason": reason})
    return replace(proposal, sources=kept, undecodable=lost)


def _nothing(proposal: Proposal, seconds: float) -> str:
    topics = [f"{item['topic']} ({item['reason']})" for item in proposal.undecodable]
    said = f"; heard, and not readable: {', '.join(topics)}" if topics else ""
    return f"nothing that can be read was heard in {seconds:g} s{said}"


def _listen(config: Config, survey: Survey, *, seconds: float, client_id: str) -> int:
    """Hear everything for so long; returns how many messages were too many."""
    trouble: list[str] = []

    def report(event: str, **facts: object) -> None:
        if event in {"broker_unreachable", "broker_lost"}:
            trouble.append(str(facts.get("reason", event)))
        elif event == "subscription_refused":
            trouble.append("it grants nobody here to listen to everything (#)")

    connection = Egress(
        broker_address(config),
        client_id=client_id,
        will=None,
        outbox=Outbox(limit=1),
        report=report,
        filters=["#"],
    )
    connection.start()
    try:
        patience_s = time.monotonic() + _CONNECT_S
        while not connection.listening:
            if time.monotonic() > patience_s:
                where = f"{config.broker.host}:{config.broker.port}"
                raise CommandError(f"no answer from the broker at {where}: {(trouble or [NO_WORD])[-1]}")
            time.sleep(_TURN_S)
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            for heard in connection.drain_messages():
                survey.take_message(Delivery(heard.topic, heard.payload, time.time_ns(), heard.retain))
            time.sleep(_TURN_S)
        return connection.messages_dropped
    finally:
        connection.stop()


def written(config: Config, proposal: Proposal, *, seconds: float, dropped: int) -> str:
    """The configuration as TOML; what was heard, and what was not readable, as comments."""
    broker = config.broker
    lines = [
        f"# Proposed by `edge-agent discover` from {seconds:g} s; read it before you use it.",
        "",
        "[agent]",
    ]
    lines += [f"name = {_toml(config.agent.name)}", f"state_dir = {_toml(str(config.agent.state_dir))}", ""]
    lines += ["[broker]"]
    for name in _CONNECTION:
        value = getattr(broker, name)
        if value not in (None, "", False):
            lines.append(f"{name} = {_toml(value if isinstance(value, (int, bool)) else str(value))}")
    lines += ["", *_heard(proposal, dropped)]
    for source in proposal.sources:
        lines += ["", *_source(source)]
    for match, units in _units(proposal).items():
        table = ", ".join(f"{_toml(name)} = {_toml(unit)}" for name, unit in units.items())
        lines += ["", "[[machine]]", f"match = {_toml(match)}", f"units = {{ {table} }}"]
    if limits := needed_limits(config, proposal):
        lines += ["", "[limits]", *(f"{name} = {value}" for name, value in limits.items())]
    return "\n".join(lines) + "\n"


def needed_limits(config: Config, proposal: Proposal) -> dict[str, int]:
    """The limits that what was heard is beyond, as they must be for all of it to be taken."""
    wide = max([len(item["channels"]) for item in proposal.machines], default=0)
    wanted = {
        "channels": (wide, config.limits.channels),
        "machines": (len(proposal.machines), config.limits.machines),
    }
    return {name: -(-count // 100) * 100 for name, (count, limit) in wanted.items() if count > limit}


def _units(proposal: Proposal) -> dict[str, dict[str, str]]:
    """Units by the machines that they are of: "*" for channels whose unit is the same wherever it is known."""
    known: dict[str, set[str]] = {}
    for item in proposal.machines:
        for channel, unit in item.get("units", {}).items():
            known.setdefault(channel, set()).add(unit)
    everywhere = {channel: min(units) for channel, units in known.items() if len(units) == 1}
    found: dict[str, dict[str, str]] = {}
    for item in proposal.machines:
        own = {one: unit for one, unit in item.get("units", {}).items() if one not in everywhere}
        if own and not set("*?[") & set(item["machine"]):
            found[item["machine"]] = own
    found |= {"*": everywhere} if everywhere else {}
    return {match: dict([*units.items()][:_UNITS_LIMIT]) for match, units in found.items()}


def _source(source: Mapping[str, Any]) -> list[str]:
    """A source as TOML: its keys, then its tables."""
    plain = {key: value for key, value in source.items() if not isinstance(value, Mapping)}
    lines = ["[[source]]", *(f"{key} = {_toml(value)}" for key, value in plain.items())]
    for key, table in source.items():
        if isinstance(table, Mapping):
            lines += [f"[source.{key}]", *(f"{name} = {_toml(value)}" for name, value in table.items())]
    return lines


def _heard(proposal: Proposal, dropped: int) -> list[str]:
    lines = [
        f"# machine {_toml(item['machine'])} ({item['format']}): {item['per_s']:g} a second: {_named(item['channels'])}"
        for item in proposal.machines
    ]
    lines += [f"# {_toml(channel)} seems to be a {role}" for channel, role in _roles(proposal).items()]
    lines += [
        f"# NOT READABLE {_toml(i['topic'])}: {i['messages']} messages, {_told(i['reason'])}"
        for i in proposal.undecodable
    ]
    lines += [
        f"# LEFT OUT of {_toml(topic)}: {_toml(name)} {_told(why)}" for topic, name, why in proposal.left_out
    ]
    return [*lines, f"# {dropped} messages {_UNTOLD}"] if dropped else lines


def _roles(proposal: Proposal) -> dict[str, str]:
    """What channels seem to be that are no measurements, alike on all machines that have them."""
    found: dict[str, set[str]] = {}
    for item in proposal.machines:
        for channel, role in item.get("roles", {}).items():
            found.setdefault(channel, set()).add(role)
    told = {channel: min(roles) for channel, roles in found.items() if len(roles) == 1}
    return {channel: role for channel, role in told.items() if role != "measurement"}


def _named(channels: Sequence[str]) -> str:
    return ", ".join(_toml(name) for name in channels) or "channels unknown: no birth was heard"


def _told(why: str) -> str:
    """Words that hold text of the network, on one line."""
    return "".join(one if one.isprintable() else "?" for one in why)


def _toml(value: object) -> str:
    """A string, number or list of strings as TOML, whatever the network put into it.

    TOML shares JSON's forms for them, but for two: it wants characters beyond 16 bits whole, and no DEL.
    """
    if not isinstance(value, str):
        return f"[{', '.join(map(_toml, value))}]" if isinstance(value, list | tuple) else json.dumps(value)
    escaped = "".join(one if one.isprintable() and one not in '"\\' else _escape(one) for one in value)
    return f'"{escaped}"'


def _escape(one: str) -> str:
    """A character in TOML's form; half a surrogate pair, which TOML has no form for, as what stands for the unknown."""
    code = ord(one)
    if 0xD800 <= code <= 0xDFFF:
        code = 0xFFFD
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"
