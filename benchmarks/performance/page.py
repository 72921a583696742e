"""docs/performance.md from the JSON files of the measurements of speed and size. Measures nothing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_GAP = "not measured"
_NOTES = Path(__file__).parent / "notes.md"
"""What no measurement can tell: what was optimised, and what did not help."""
Report = Mapping[str, Any]


def page(results: Path) -> str:
    """The whole page from the files of a folder."""
    names = ("throughput", "latency", "peers", "scaling", "memory", "ceilings", "footprint")
    found = {name: _read(results / f"{name}.json") for name in names}
    parts = [
        "# Performance\n",
        (
            "Written by `make bench` from the files in `benchmarks/results`: a real mosquitto; publisher, "
            "broker and the agent in processes of their own on one machine. Processor shares are of one core. Medians, "
            "with the range of the repeats in brackets.\n"
        ),
        _circumstances(found),
        "| what | goal | measured | |\n|---|---|---|---|",
        *[f"| {what} | {goal} | {said} | {_verdict(met)} |" for what, goal, said, met in goals(found)],
        "",
        binding(found["throughput"], found["ceilings"], flame=(results / "performance_flame.svg").is_file()),
        before_and_after(found["throughput"]),
        growth(found["scaling"], found["latency"]),
        peers(found["peers"]),
        _NOTES.read_text() if _NOTES.is_file() else "",
    ]
    return "\n".join(part for part in parts if part is not None)


def goals(found: Mapping[str, Report]) -> "list[Goal]":
    """(what, goal, measured, met) for every goal; met is None where nothing was measured."""
    return [*_of_rates(found), *_of_peers(found["peers"]), *_of_size(found)]


def _of_rates(found: Mapping[str, Report]) -> "list[Goal]":
    agent = _dig(found["throughput"], "summary", "agent")
    empty = _dig(found["throughput"], "summary", "empty")
    lost = found["throughput"].get("lost")
    share = _ratio(_median(agent, "backlog_per_s"), _median(empty, "backlog_per_s"))
    blocks = _median(_dig(found["peers"], "blocks", "agent"), "values_per_s")
    inside = next(
        (
            p["values_per_s"]
            for p in _dig(found["scaling"], "points").get("block_rows", [])
            if p["block_rows"] == 100
        ),
        None,
    )
    network = _dig(found["scaling"], "scoring").get("share_of_onnxruntime")
    stream = "4,000 messages/s, 200 machines x 8 channels x 20 Hz"
    return [
        _bounded(f"{stream}: processor", "≤ 30 % of a core", agent, "cpu_percent", unit=" %", limit=30),
        _bounded("the same: resident memory", "≤ 120 MB", agent, "resident_mb", unit=" MB", limit=120),
        _bounded(
            "the same: arrival to decision, p99", "≤ 150 ms", agent, "decision_p99_ms", unit=" ms", limit=150
        ),
        ("the same: lost", "0", _GAP if lost is None else str(lost), None if lost is None else lost == 0),
        _least(
            "highest sustained rate, whole agent",
            "≥ 70 % of an empty paho subscriber",
            share,
            limit=0.7,
            said=f"{share or 0:.0%}: {_said(agent, 'backlog_per_s', '/s')} of {_said(empty, 'backlog_per_s', '/s')}",
        ),
        _least(
            "blocks of 100 rows x 8 channels, over the broker, hop = window",
            "≥ 1,000,000 values/s",
            blocks,
            limit=1e6,
            said=f"{blocks or 0:,.0f} values/s",
        ),
        (
            "the same without the broker, hop 20 rows",
            "reported",
            _GAP if inside is None else f"{inside:,.0f} values/s",
            None,
        ),
        _least(
            "network through the scorer",
            "≥ 80 % of ONNX Runtime alone",
            network,
            limit=0.8,
            said=f"{network or 0:.0%}",
        ),
    ]


def _of_peers(report: Report) -> "list[Goal]":
    rows = {name: _against(report, "rows", name) for name in ("river", "rcf3", "pandas-torch")}
    in_blocks = {name: _against(report, "blocks", name) for name in ("river", "rcf3", "pandas-torch")}
    return [
        (
            "row messages beside river and beside pandas + torch",
            "≥ 2x and ≥ 5x",
            _times(rows),
            _enough(rows, {"river": 2, "pandas-torch": 5}),
        ),
        (
            "block messages beside the same",
            "≥ 20x both",
            _times(in_blocks),
            _enough(in_blocks, {"river": 20, "pandas-torch": 20}),
        ),
    ]


def _of_size(found: Mapping[str, Report]) -> "list[Goal]":
    agent = _dig(found["throughput"], "summary", "agent")
    fleets = _dig(found["memory"], "fleets")
    idle = next((fleet for name, fleet in fleets.items() if "idle" in name), {}).get("resident_mb")
    imports = _dig(found["footprint"], "imports_s", "import edge_agent").get("median")
    size, packed = (found["footprint"].get(name) for name in ("installed_mb", "packaged_mb"))
    return [
        _most("10,000 idle and 500 active machines", "≤ 400 MB", idle, limit=400, said=f"{idle or 0:g} MB"),
        _bounded(
            "start to first score, 200 machines restored", "≤ 3 s", agent, "first_score_s", unit=" s", limit=3
        ),
        _most(
            "`import edge_agent`, with the interpreter",
            "≤ 0.5 s",
            imports,
            limit=0.5,
            said=f"{imports or 0:g} s",
        ),
        _most(
            "unpacked by the Debian package, without the trainer",
            "≤ 150 MB",
            packed,
            limit=150,
            said=f"{packed or 0:g} MB; by pip {size or 0:g} MB{_largest(found['footprint'])}",
        ),
    ]


Goal = tuple[str, str, str, bool | None]


def _bounded(what: str, goal: str, found: Report, key: str, *, unit: str, limit: float) -> Goal:
    return _most(what, goal, _median(found, key), limit=limit, said=_said(found, key, unit))


def _most(what: str, goal: str, value: float | None, *, limit: float, said: str) -> Goal:
    return (what, goal, _GAP, None) if value is None else (what, goal, said, value <= limit)


def _least(what: str, goal: str, value: float | None, *, limit: float, said: str) -> Goal:
    return (what, goal, _GAP, None) if value is None else (what, goal, said, value >= limit)


def binding(throughput: Report, ceilings: Report, *, flame: bool) -> str:
    """Where the time of a message goes, and what limits the rate."""
    alone: Mapping[str, float] = _dig(throughput, "stages_alone", "cpu_us_per_message")
    if not alone:
        return ""
    agent, empty = _dig(throughput, "summary", "agent"), _dig(throughput, "summary", "empty")
    whole, paho = _median(agent, "cpu_us_per_message"), _median(empty, "cpu_us_per_message")
    named = {
        "pipeline (decode, windows, inspection, scores)": alone["pipeline"],
        "journal and SQLite": alone["journal_encoding"] + alone["sqlite"],
    }
    rest = (whole or 0.0) - sum(named.values())
    named["the rest: receiving, two threads that want the same interpreter, wake-ups, status, metrics"] = rest
    lines = ["## The limit that binds\n", "| µs of processor a message at 4,000/s | |", "|---|---|"]
    lines += [f"| {name} | {cost:.1f} |" for name, cost in named.items()]
    lines.append(f"| **whole agent** | **{whole:.1f}** |")
    lines.append(
        f"| beside it: an empty paho subscriber, which only receives and acknowledges | {paho or 0.0:.1f} |"
    )
    widest = max(named, key=lambda name: named[name])
    lines.append(f"\nThe largest part is: {widest}.")
    sub = _median(_dig(ceilings, "mosquitto_sub"), "messages_per_s")
    lines.append(
        f"Not what binds: decoding alone is {alone['decode']:.1f} µs, ONNX Runtime alone on the batches of these turns "
        f"{alone['onnxruntime']:.1f} µs (asked only where something reads its answer), SQLite alone with the same "
        f"transactions {alone['sqlite']:.1f} µs, a copy of the same bytes {alone['memcpy']:.2f} µs"
        + (f"; mosquitto_sub takes {sub:,.0f} messages a second of the same broker.\n" if sub else ".\n")
    )
    lines.append(
        "Flame graph under this load: [performance_flame.svg](../benchmarks/results/performance_flame.svg).\n"
        if flame
        else ""
    )
    return "\n".join(lines)


def before_and_after(throughput: Report) -> str:
    """Both checkouts in one run."""
    summary = _dig(throughput, "summary")
    if "baseline" not in summary:
        return ""
    lines = ["## Before and after, taking turns in one run\n", "| | before | now |", "|---|---|---|"]
    lines += [
        f"| {key} | {_said(summary['baseline'], key, '')} | {_said(summary['agent'], key, '')} |"
        for key in summary["agent"]
    ]
    return "\n".join([*lines, ""])


def growth(scaling: Report, latency: Report) -> str:
    """Cost against load, machines, channels, hop and size of a message."""
    lines = ["## How cost grows\n"]
    if latency.get("loads"):
        keys = ["messages_per_s", "cpu_percent", "resident_mb"]
        keys += [key for key in latency["loads"][0] if key.startswith("decision_")]
        lines += ["| " + " | ".join(["machines", *keys]) + " |", "|---" * (len(keys) + 1) + "|"]
        lines += [
            "| " + " | ".join([str(load["machines"]), *(str(load[key]) for key in keys)]) + " |"
            for load in latency["loads"]
        ]
        lines.append("\n![latency against load](../benchmarks/results/latency.png)\n")
    if scaling.get("points"):
        lines += [
            "Pipeline alone, one varied at a time; the rest as usual: " + _usual(scaling["usual"]) + ".\n"
        ]
        lines += ["| | µs a machine row | exponent of the whole cost |", "|---|---|---|"]
        for axis, points in scaling["points"].items():
            told = ", ".join(f"{point[axis]}: {point['us_per_row']:g}" for point in points)
            lines.append(f"| {axis.replace('_', ' ')} | {told} | {scaling['exponents'][axis]:g} |")
        lines.append("\nAn exponent of 1 is linear, below 1 better than linear.\n")
        lines.append("![cost against size](../benchmarks/results/scaling.png)\n")
    return "\n".join(lines)


def peers(report: Report) -> str:
    """The race."""
    if not report.get("rows"):
        return ""
    lines = ["## Beside what a user would pick instead\n"]
    for form in ("rows", "blocks"):
        lines += [
            f"| {form} | messages/s | µs of processor a message | agent against it |",
            "|---|---|---|---|",
        ]
        for name, found in report[form].items():
            times = _against(report, form, name)
            against = "" if name in ("agent", "empty") or times is None else f"{times:.1f}x"
            cells = [_said(found, key, "") for key in ("messages_per_s", "cpu_us_per_message")]
            lines.append(f"| {name} | {cells[0]} | {cells[1]} | {against} |")
        lines.append("")
    lines += [f"Not run: {name} ({why})." for name, why in report["not_run"].items()]
    lines.append("\n![peers](../benchmarks/results/peers.png)\n")
    return "\n".join(lines)


def _against(report: Report, form: str, name: str) -> float | None:
    """How many times a peer's processor time a message the agent works with."""
    found = _dig(report, form)
    return _ratio(
        _median(found.get(name, {}), "cpu_us_per_message"),
        _median(found.get("agent", {}), "cpu_us_per_message"),
    )


def _circumstances(found: Mapping[str, Report]) -> str:
    told = found["throughput"]
    if not told:
        return "Not all of it was measured yet.\n"
    machine = told["machine"]
    load = machine["load_average_at_end"]
    return (
        f"{machine['processor']}, {machine['cores']} cores, load average {load} at the end, {told['date'][:10]}; "
        + ", ".join(f"{name} {number}" for name, number in told["versions"].items())
        + ".\n"
    )


def _times(ratios: Mapping[str, float | None]) -> str:
    told = [f"{name} {times:.1f}x" for name, times in ratios.items() if times is not None]
    return ", ".join(told) or _GAP


def _enough(ratios: Mapping[str, float | None], wanted: Mapping[str, float]) -> bool | None:
    known = [(ratios[name], least) for name, least in wanted.items()]
    if any(times is None for times, _ in known):
        return None
    return all(times is not None and times >= least for times, least in known)


def _largest(footprint: Report) -> str:
    sizes = _dig(footprint, "installed_mb_by_package")
    told = [f"{name} {size:g}" for name, size in [*sizes.items()][:2]]
    return f" ({', '.join(told)})"


def _usual(usual: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in usual.items())


def _said(found: Report, key: str, unit: str) -> str:
    figure = found.get(key)
    if figure is None:
        return _GAP
    low, high = figure["range"]
    return f"{figure['median']:,g}{unit}" + (f" ({low:,g}..{high:,g})" if low != high else "")


def _median(found: Report, key: str) -> float | None:
    median: float | None = found.get(key, {}).get("median")
    return median


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else above / below


def _verdict(met: bool | None) -> str:  # noqa: FBT001 - three-valued
    return {True: "**met**", False: "missed", None: ""}[met]


def _dig(report: Report, *names: str) -> Report:
    for name in names:
        report = report.get(name, {})
    return report


def _read(path: Path) -> Report:
    found: Report = json.loads(path.read_text()) if path.is_file() else {}
    return found
