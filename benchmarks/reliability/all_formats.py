"""One machine told in every format and by every gateway, over a real broker: the same alarms, a ledger that adds up.

`python -m benchmarks.reliability.all_formats` starts mosquitto and one agent with the shipped model, and sends the
same rows, five a second, as eight machines of eight formats and one of each preset; bare numbers have no time of their
own, so they set the pace, and `window.grid_s` is half of it, so that a busy machine costs none. Once all are learnt a
valve closes: flow falls and pressure rises, in every format. What the same rows give in a replay, without any broker,
stands beside it. Then each format's malformed payloads and a good one after them, and what became of them by reason.
Writes `benchmarks/results/formats.{json,md}`; ends with 1 where anything differs.
"""

import argparse
import json
import math
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import cbor2
import numpy as np

from benchmarks import RESULTS
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.edge_node import EdgeNodeDouble
from benchmarks.harness.patience import wait_until
from benchmarks.harness.user import User, rows
from benchmarks.reliability import preset_payloads
from edge_agent.config.file import load
from edge_agent.config.presets import PRESETS
from edge_agent.recordings.replay import commission_recording, replay
from edge_agent.recordings.tables import Recording
from edge_agent.service.wiring import load_scorer, pipeline_settings

FORMATS = ("json", "json_path", "number", "cbor", "senml", "senml_cbor", "line", "sparkplug")
NAMES = (*FORMATS, *PRESETS)
"""Of all machines: formats, then presets."""
PERIOD_S = 0.2
ONSET_ROWS = 3
"""So many rows may lie between the onsets of the same alarm."""
PATIENCE_ROWS = 600
"""Calm rows that are sent at most until every machine is learnt."""
Values = dict[str, float]
SOURCES = (
    f"""
[window]
hop_s = {PERIOD_S}
grid_s = {PERIOD_S / 2}
"""
    """
[[source]]
topic = "json/{machine}"
format = "json"
[[source]]
topic = "json_path/{machine}"
format = "json_path"
[source.map]
time = "/header/t"
time_unit = "ms"
values = ["/body"]
[[source]]
topic = "number/{machine}/{channel}"
format = "number"
[[source]]
topic = "cbor/{machine}"
format = "cbor"
[[source]]
topic = "senml/{machine}"
format = "senml"
[[source]]
topic = "senml_cbor/{machine}"
format = "senml_cbor"
[[source]]
topic = "line/{machine}"
format = "line"
[[source]]
format = "sparkplug"
machine = "{device}"
[source.sparkplug]
host_id = "hall"
""" + preset_payloads.sources()
)


def machine_row(at: int, *, fault: bool) -> Values:
    """The machine's values; a valve that closes lets the flow fall and the pressure rise, noise and all."""
    ((_, values),) = rows("machine", at, at + 1)
    if fault:
        values |= {"flow": round(values["flow"] - 6.0, 4), "pressure": round(values["pressure"] + 1.5, 4)}
    return values


def encoded(name: str, ts: float, values: Values) -> list[tuple[str, bytes]]:
    """(end of the topic, payload) of each message that one row takes."""
    row = {"ts": ts, "values": values}
    path = {"header": {"t": round(ts * 1000)}, "body": values}
    senml = [{"n": key, "v": value, "t": ts} for key, value in values.items()]
    packed = [{0: key, 2: value, 6: ts} for key, value in values.items()]
    fields = ",".join(f"{key}={value}" for key, value in values.items())
    whole: dict[str, Callable[[], bytes]] = {
        "json": lambda: json.dumps(row).encode(),
        "json_path": lambda: json.dumps(path).encode(),
        "cbor": lambda: cbor2.dumps(row),
        "senml": lambda: json.dumps(senml).encode(),
        "senml_cbor": lambda: cbor2.dumps(packed),
        "line": f"m-line {fields} {round(ts * 1000) * 10**6}".encode,
    }
    if name == "number":
        return [(f"/{key}", repr(value).encode()) for key, value in values.items()]
    return [("", whole[name]())]


def malformed(name: str) -> list[bytes]:
    """Payloads that the format must turn away."""
    if name == "number":
        return [b"", b"abc", b"\xff", b"1e999", b"[1]", b"9" * 70_000]
    good = encoded(name, int(time.time()), {"pressure": 5.0})[0][1]
    infinite = encoded(name, int(time.time()), {"pressure": math.inf})[0][1]
    late = encoded(name, int(time.time()) + 86_400, {"pressure": 5.0})[0][1]
    return [good[:-4], b"\xff\xfe", b"", infinite, late, b" " * 70_000, struct.pack(">d", 1.5)]


def main() -> int:
    """Run, judge, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--learn", type=int, default=300)
    parser.add_argument("--calm", type=int, default=40)
    parser.add_argument("--fault", type=int, default=40)
    parser.add_argument("--bundle", default="pretrained")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder), options)
    (options.out / "formats.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.out / "formats.md").write_text(page(report))
    print(page(report))
    return 0 if report["balanced"] and report["same_alarms"] and report["ids_apart"] else 1


def run(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Everything that was measured."""
    broker = Broker(folder).start()
    agent = Agent(
        folder,
        bundle=Path(options.bundle),
        port=broker.port,
        commission_rows=options.learn,
        access="# formats",
    )
    agent.config.write_text(agent.config.read_text() + SOURCES)
    agent.start().ready()
    user, node = User(broker.port), EdgeNodeDouble(broker.port, host_id="hall", device="m-sparkplug")
    try:
        sent, start, fault_row = tell(user, node, options)
        wait_until(lambda: agent.settled_for(3.0), what="the rows to arrive")
        after_rows = agent.ledger()
        alarms = {name: said(user, f"m-{name}", start=start) for name in NAMES}
        bad = {name: turned_away(name, agent, user, node) for name in NAMES}
        ledger = agent.ledger()
        agent.stop()
        heard = {name: agent.buffer_state(f"m-{name}").row_count for name in NAMES}
    finally:
        node.close()
        user.close()
        agent.kill()
        broker.kill()
    total = sum(sent.values()) + sum(part["sent"] for part in bad.values())
    outcomes = sum(value for key, value in ledger.items() if key != "received")
    expected = replayed(agent.config, options, start=start, fault_row=fault_row)
    return {
        "sent": sent,
        "rows": fault_row + options.fault,
        "fault_row": fault_row,
        "rows_phase": after_rows,
        "rows_kept": heard,
        "malformed": bad,
        "ledger": ledger,
        "sent_total": total,
        "balanced": total == ledger["received"] == outcomes and after_rows["accepted"] == sum(sent.values()),
        "alarms": alarms,
        "replay": expected,
        "same_alarms": bool(expected) and all(alike(expected, found) for found in alarms.values()),
        "ids_apart": distinct([alarm["id"] for found in alarms.values() for alarm in found]),
    }


def tell(user: User, node: EdgeNodeDouble, options: argparse.Namespace) -> tuple[Counter[str], int, int]:
    """Every row in every format until all machines are learnt and the fault is over.

    Returns:
        Messages of each format, the first row's time in whole seconds, and the row at which the fault began.
    """
    sent: Counter[str] = Counter()
    start, at, fault_row = int(time.time()) + 2, 0, 0
    while not fault_row or at < fault_row + options.fault:
        ts = round(start + at * PERIOD_S, 3)
        time.sleep(max(0.0, ts + 0.2 * PERIOD_S - time.time()))
        for name in ("number", *(name for name in FORMATS[:-1] if name != "number")):
            for tail, payload in encoded(name, ts, machine_row(at, fault=bool(fault_row))):
                user.publish(f"{name}/m-{name}{tail}", payload)
                sent[name] += 1
        for name in PRESETS:
            for topic, payload in of_preset(name, ts, machine_row(at, fault=bool(fault_row))):
                user.publish(topic, payload)
                sent[name] += 1
        sent["sparkplug"] += tell_node(node, at, ts, fault=bool(fault_row))
        at += 1
        learnt = all(user.machine(f"m-{name}") == "ready" for name in NAMES)
        if not fault_row and at >= options.learn + options.calm and learnt:
            fault_row = at
        if not fault_row and at > options.learn + PATIENCE_ROWS:
            sys.exit(f"not every machine was learnt: {user.status}")
    return sent, start, fault_row


def of_preset(name: str, ts: float, values: Values) -> list[tuple[str, bytes]]:
    """A row as a gateway sends it."""
    return preset_payloads.messages(name, f"m-{name}", ts, values)


def tell_node(node: EdgeNodeDouble, at: int, ts: float, *, fault: bool) -> int:
    """One row by Sparkplug; how many messages it took."""
    before, values, time_ms = node.sent, machine_row(at, fault=fault), round(ts * 1000)
    if at == 0:
        node.aliases = {key: number for number, key in enumerate(values, start=1)}
        node.birth(values, time_ms=time_ms)
    else:
        node.data(values, time_ms=time_ms)
    return node.sent - before


def replayed(
    config: Path, options: argparse.Namespace, *, start: int, fault_row: int
) -> list[dict[str, Any]]:
    """What the same rows give without a broker, under the same configuration."""
    known = load(config)
    scorer, settings = load_scorer(known), pipeline_settings(known)
    count = fault_row + options.fault
    table = [machine_row(at, fault=at >= fault_row) for at in range(count)]
    times = start * 10**9 + np.arange(count, dtype=np.int64) * round(PERIOD_S * 1e9)
    values = np.array([list(row.values()) for row in table], np.float32)
    recording = Recording("replay", tuple(table[0]), times, values, None)
    profile = commission_recording(recording, rows=options.learn, scorer=scorer, settings=settings)
    alarms = replay(recording, scorer=scorer, settings=settings, profile=profile).alarms
    return [
        {
            "id": alarm.id,
            "kind": alarm.kind,
            "onset_row": onset_row(alarm.onset_ns / 1e9, start),
            "channels": [channel.name for channel in alarm.channels],
        }
        for alarm in alarms
        if alarm.revision == 1
    ]


def onset_row(onset_s: float, start: int) -> int:
    """The row at which an alarm began."""
    return round((onset_s - start) / PERIOD_S)


def alike(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    """Whether these are the same alarms: kind and first channel equal, onsets a few rows apart at most."""
    return len(one) == len(other) and all(
        (a["kind"], a["channels"][:1]) == (b["kind"], b["channels"][:1])
        and abs(a["onset_row"] - b["onset_row"]) <= ONSET_ROWS
        for a, b in zip(one, other, strict=True)
    )


def distinct(ids: list[str]) -> bool:
    """Whether no two alarms share an id."""
    return len(set(ids)) == len(ids)


def turned_away(name: str, agent: Agent, user: User, node: EdgeNodeDouble) -> dict[str, Any]:
    """What became of a format's malformed payloads, and of a good row after them."""
    before, reasons = agent.ledger(), rejects(agent)
    values, good = machine_row(0, fault=False), 1
    if name == "sparkplug":
        payloads = [b"\xff\xff", b"\x0a\xff", b"\x08", b" " * 2_000_000]
        for payload in payloads:
            node.publish("DDATA", payload, device=True)
        node.data(values)
    elif name in PRESETS:
        rest = of_preset(name, time.time(), values)
        payloads, good = [rest[0][1][:-4], b"\xff\xfe", b"", b" " * 70_000, b'"text"'], len(rest)
        for topic, payload in [*((rest[0][0], bad) for bad in payloads), *rest]:
            user.publish(topic, payload).wait_for_publish(10)
    else:
        payloads = malformed(name)
        tail = "/pressure" if name == "number" else ""
        for payload in payloads:
            user.publish(f"{name}/m-{name}{tail}", payload).wait_for_publish(10)
        rest = encoded(name, time.time(), values)
        good = len(rest)
        for tail, payload in rest:
            user.publish(f"{name}/m-{name}{tail}", payload).wait_for_publish(10)
    wanted = before["received"] + len(payloads) + good
    wait_until(lambda: agent.ledger().get("received", 0) >= wanted, what=f"{name}'s malformed payloads")
    after = agent.ledger()
    return {
        "sent": len(payloads) + good,
        "malformed": len(payloads),
        "outcomes": {key: after[key] - before[key] for key in after if key != "received"},
        "reasons": dict(rejects(agent) - reasons),
    }


def rejects(agent: Agent) -> Counter[str]:
    """Rejected messages by reason."""
    prefix = "edge_agent_rejects_total{"
    lines = [line for line in agent.page("/metrics")[1].splitlines() if line.startswith(prefix)]
    return Counter({line.split('"')[1]: int(float(line.split()[-1])) for line in lines})


def said(user: User, machine: str, *, start: int) -> list[dict[str, Any]]:
    """The first revision of each alarm of a machine, sensor findings included."""
    return [
        {
            "id": alert["id"],
            "kind": alert["kind"],
            "onset_row": onset_row(datetime.fromisoformat(alert["onset"]).timestamp(), start),
            "channels": [channel["name"].split(".")[-1] for channel in alert["channels"]],
        }
        for alert in user.alerts
        if alert["machine"] == machine and alert["revision"] == 1
    ]


def page(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    phase = {key: int(value) for key, value in report["rows_phase"].items()}
    ledger = {key: int(value) for key, value in report["ledger"].items()}
    return f"""# One machine in every format, and by every preset

`make formats`: {report["rows"]} rows, one in {PERIOD_S} s, over mosquitto to one agent; a valve closes at row
{report["fault_row"]}. Same alarms in all formats, by all presets, and in a replay of the same rows (kind, first
channel, onset within {ONSET_ROWS} rows): {report["same_alarms"]}. Ids apart: {report["ids_apart"]}.

Ledger of the rows: {phase}.
After the malformed messages, each format's followed by a good row, {report["sent_total"]} sent:
{ledger}. Adds up: {report["balanced"]}.

All messages of the rows were accepted, by the ledger before the malformed ones, so each format's were. Rows kept are
read from the agent's state on disk, the good row at the end included.

| format or preset | rows, malformed, good | accepted | rejected | by reason | rows kept | alarm: first channel, row |
|---|---|---|---|---|---|---|
| replay of the rows, no broker | | | | | {report["rows"]} | {told(report["replay"])} |
""" + "".join(line(report, name) for name in NAMES)


def line(report: dict[str, Any], name: str) -> str:
    """A format's line of the table."""
    bad, of_rows = report["malformed"][name], report["sent"][name]
    outcomes = {key: int(value) for key, value in bad["outcomes"].items()}
    others = {key: outcomes[key] for key in ("late", "duplicate", "shed") if outcomes[key]}
    reasons = ", ".join(f"{key} {value}" for key, value in sorted({**bad["reasons"], **others}.items()))
    accepted = of_rows + outcomes["accepted"] if report["balanced"] else "?"
    sent = f"{of_rows}, {bad['malformed']}, {bad['sent'] - bad['malformed']}"
    return (
        f"| {name} | {sent} | {accepted} | {outcomes['rejected']} | {reasons} | {report['rows_kept'][name]} "
        f"| {told(report['alarms'][name])} |\n"
    )


def told(alarms: list[dict[str, Any]]) -> str:
    """Alarms in a cell of the table."""
    return "; ".join(f"{a['kind']}: {a['channels'][:1]}, {a['onset_row']}" for a in alarms).replace("'", "")


if __name__ == "__main__":
    sys.exit(main())
