"""One machine told in every format over a real broker: the same alarms, ids apart, and a ledger that adds up.

`python benchmarks/formats.py` starts mosquitto and one agent with the shipped model, and sends the same rows, one a
second, as eight machines of eight formats; bare numbers have no time of their own, so nothing can be sent faster. Then
each format's malformed payloads, and what became of them by reason. Writes `benchmarks/results/formats.{json,md}`.
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
from pathlib import Path
from typing import Any

import cbor2

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # broker, agent and edge node are those of the end-to-end tests
from doubles.edge_node import EdgeNodeDouble  # noqa: E402
from doubles.shopfloor import AgentProcess, Mosquitto, User, rows, wait_until  # noqa: E402

FORMATS = ("json", "json_path", "number", "cbor", "senml", "senml_cbor", "line", "sparkplug")
SHIFT = 25.0
Values = dict[str, float]
SOURCES = """
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
"""


def encoded(name: str, ts: int, values: Values) -> list[tuple[str, bytes]]:
    """(end of the topic, payload) of each message that one row takes."""
    row = {"ts": ts, "values": values}
    path = {"header": {"t": ts * 1000}, "body": values}
    senml = [{"n": key, "v": value, "t": ts} for key, value in values.items()]
    packed = [{0: key, 2: value, 6: ts} for key, value in values.items()]
    fields = ",".join(f"{key}={value}" for key, value in values.items())
    whole: dict[str, Callable[[], bytes]] = {
        "json": lambda: json.dumps(row).encode(),
        "json_path": lambda: json.dumps(path).encode(),
        "cbor": lambda: cbor2.dumps(row),
        "senml": lambda: json.dumps(senml).encode(),
        "senml_cbor": lambda: cbor2.dumps(packed),
        "line": f"m-line {fields} {ts * 10**9}".encode,
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
    parser.add_argument("--learn", type=int, default=160)
    parser.add_argument("--calm", type=int, default=20)
    parser.add_argument("--fault", type=int, default=25)
    parser.add_argument("--bundle", default="pretrained")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder), options)
    (options.out / "formats.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.out / "formats.md").write_text(page(report))
    print(page(report))
    return 0 if report["balanced"] and report["same_alarms"] else 1


def run(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Everything that was measured."""
    broker = Mosquitto(folder).start()
    agent = AgentProcess(
        folder, bundle=Path(options.bundle), broker_port=broker.port, rows=options.learn, access="# formats"
    )
    agent.config.write_text(agent.config.read_text() + SOURCES)
    agent.start().ready()
    user, node = User(broker.port), EdgeNodeDouble(broker.port, host_id="hall", device="m-sparkplug")
    try:
        sent = tell(user, node, options)
        wait_until(lambda: agent.settled_for(1.0), what="the rows to arrive")
        alarms = {name: said(user, f"m-{name}") for name in FORMATS}
        after_rows = agent.ledger()
        bad = {name: turned_away(name, agent, user, node) for name in FORMATS}
        ledger = agent.ledger()
    finally:
        node.close()
        user.close()
        agent.kill()
        broker.kill()
    total = sum(sent.values()) + sum(part["sent"] for part in bad.values())
    outcomes = sum(value for key, value in ledger.items() if key != "received")
    return {
        "sent": sent,
        "rows": options.learn + options.calm + options.fault,
        "accepted_rows_phase": after_rows["accepted"],
        "malformed": bad,
        "ledger": ledger,
        "sent_total": total,
        "balanced": total == ledger["received"] == outcomes,
        "alarms": alarms,
        "same_alarms": bool(alarms["json"]) and len({json.dumps(a) for a in alarms.values()}) == 1,
    }


def tell(user: User, node: EdgeNodeDouble, options: argparse.Namespace) -> Counter[str]:
    """Every row in every format, one row a second, in the middle of the second."""
    sent: Counter[str] = Counter()
    calm = options.learn + options.calm
    start = int(time.time()) + 2
    for at in range(calm + options.fault):
        shift = SHIFT if at >= calm else 0.0
        ((_, values),) = rows("machine", at, at + 1, shift=shift)
        time.sleep(max(0.0, start + at + 0.3 - time.time()))
        for name in FORMATS[:-1]:
            for tail, payload in encoded(name, start + at, values):
                user.publish(f"{name}/m-{name}{tail}", payload)
                sent[name] += 1
        before = node.sent
        if at == 0:
            node.aliases = {key: number for number, key in enumerate(values, start=1)}
            node.birth(values, time_ms=(start + at) * 1000)
        else:
            node.data(values, time_ms=(start + at) * 1000)
        sent["sparkplug"] += node.sent - before
    return sent


def turned_away(name: str, agent: AgentProcess, user: User, node: EdgeNodeDouble) -> dict[str, Any]:
    """What became of a format's malformed payloads."""
    before, reasons = agent.ledger(), rejects(agent)
    if name == "sparkplug":
        payloads = [b"\xff\xff", b"\x0a\xff", b"\x08", b" " * 2_000_000]
        for payload in payloads:
            node.publish("DDATA", payload, device=True)
    else:
        payloads = malformed(name)
        tail = "/pressure" if name == "number" else ""
        for payload in payloads:
            user.publish(f"{name}/m-{name}{tail}", payload).wait_for_publish(10)
    wanted = before["received"] + len(payloads)
    wait_until(lambda: agent.ledger().get("received", 0) >= wanted, what=f"{name}'s malformed payloads")
    after = agent.ledger()
    return {
        "sent": len(payloads),
        "outcomes": {key: after[key] - before[key] for key in after if key != "received"},
        "reasons": dict(rejects(agent) - reasons),
    }


def rejects(agent: AgentProcess) -> Counter[str]:
    """Rejected messages by reason."""
    prefix = "edge_agent_rejects_total{"
    lines = [line for line in agent.page("/metrics")[1].splitlines() if line.startswith(prefix)]
    return Counter({line.split('"')[1]: int(float(line.split()[-1])) for line in lines})


def said(user: User, machine: str) -> list[dict[str, Any]]:
    """The first revision of each alarm, without its id, machine and the times, which arrival may shift."""
    keep = ("revision", "state", "severity", "fault")
    return [
        {key: alert.get(key) for key in keep}
        | {"onset": alert["onset"][:19], "channels": [channel["name"] for channel in alert["channels"]]}
        for alert in user.alerts
        if alert["machine"] == machine and alert["revision"] == 1
    ]


def page(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        "# One machine in every format",
        "",
        f"`make formats`: {report['rows']} rows, one a second. Same alarms, ids apart: {report['same_alarms']}.",
        f"Ledger: {report['sent_total']} sent, {report['ledger']}; adds up: {report['balanced']}.",
        "",
        "| format | messages of rows | alarms | malformed sent | became |",
        "|---|---|---|---|---|",
    ]
    for name in FORMATS:
        bad = report["malformed"][name]
        became = {key: int(value) for key, value in bad["outcomes"].items() if value and key != "rejected"}
        parts = ", ".join(f"{key} {value}" for key, value in {**bad["reasons"], **became}.items())
        alarms = "; ".join(f"{a['onset']} {a['channels'][0]}" for a in report["alarms"][name])
        lines.append(f"| {name} | {report['sent'][name]} | {alarms} | {bad['sent']} | {parts} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
