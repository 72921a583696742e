"""What fine-tuning brought, as a page of Markdown. Measures nothing."""

from collections.abc import Mapping
from typing import Any


def as_markdown(told: Mapping[str, Any]) -> str:
    """The page; `told` is what the stage has written as JSON."""
    lines = [
        "# Fine-tuning for a site",
        "",
        _made_of(told["made of"]),
        "",
        "| average precision within machines | statistics | shipped | fine-tuned | gain (95 %) | groups | episodes |",
        "|---|---|---|---|---|---|---|",
        *(_gain_row(name, found) for name, found in told["gain"].items()),
        "",
        "Groups are machines of the site, and families of general machines.",
        "",
        *(_alarms(told["thresholds"]) if "thresholds" in told else ()),
        f"**{told['verdict']}**",
        "",
    ]
    return "\n".join(lines)


def _made_of(made: Mapping[str, Any]) -> str:
    mixed = (
        f"Learnt from {made['episodes']} episodes of {len(made['machines'])} of the site's machines, beside "
        f"{made['general episodes']} of the corpus. "
    )
    if made["machines left out"]:
        return f"{mixed}Left out to measure with: {', '.join(made['left out'])}."
    return f"{mixed}There is one machine: its last rows were left out, so nothing is said of other machines."


def _alarms(told: Mapping[str, Any]) -> list[str]:
    threshold = (
        f"Threshold {told['threshold']:g} (shipped: {told['shipped']:g}), the smallest that keeps the budget both on "
        f"the site's left-out machines and on general ones, {told['machines']} in all."
    )
    lines = [
        threshold,
        "",
        "| alarms | threshold | false in 43,200 calm rows | machines without | calm time in alarm | faults found |",
        "|---|---|---|---|---|---|",
        *(_alarm_row(name, each) for name, each in told["alarms"].items()),
        "",
    ]
    if "found" in told:
        more = _interval(told["found"])
        lines += [
            f"Faults found in budget on the site's left-out machines, fine-tuned less shipped: {more}.",
            "",
        ]
    return lines


def _gain_row(name: str, found: Mapping[str, float]) -> str:
    cells = [found["statistics"], found["before"], found["after"]]
    told = " | ".join(f"{value:.3f}" for value in cells)
    return f"| {name} | {told} | {_interval(found)} | {found['groups']} | {found['episodes']} |"


def _interval(found: Mapping[str, float]) -> str:
    return f"{found['after'] - found['before']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f})"


def _alarm_row(name: str, each: Mapping[str, float]) -> str:
    return (
        f"| {name} | {each['threshold']:.1f} | {each['false_alarms']:.2f} | {each['quiet']:.0%} | "
        f"{each['calm_share']:.2%} | {each['found']:.3f} |"
    )
