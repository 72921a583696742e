"""Proposed sources beside those of a configuration that is in use: what its own sources hear stays theirs. Pure."""

import re
from collections.abc import Callable
from difflib import unified_diff

from edge_agent.config.file import Config

_SOURCE = re.compile(r"\[\[source\]\]|\[source\.")
_TABLE = re.compile(r"\s*\[")


def heard_already(config: Config) -> Callable[[str], bool]:
    """The function that tells whether a source of the configuration takes a topic."""
    templates = [source.template for source in config.source if source.sparkplug is None]
    hosts = config.sparkplug is not None

    def takes(topic: str) -> bool:
        if topic.startswith("spBv1.0/"):
            return hosts
        return any(template.match(topic) is not None for template in templates)

    return takes


def with_additions(text: str, proposed: str) -> str:
    """A configuration's text with the proposed sources behind all that it says; its own match first."""
    lines: list[str] = []
    inside = False
    for line in proposed.splitlines():
        if _TABLE.match(line):
            inside = _SOURCE.match(line) is not None
        if inside and line:
            lines += ["", line] if line == "[[source]]" else [line]
    return text.rstrip("\n") + "\n" + "\n".join(lines) + "\n"


def difference(before: str, after: str, *, name: str) -> str:
    """What `--apply` would change, as a unified diff."""
    lines = unified_diff(before.splitlines(), after.splitlines(), name, f"{name} (proposed)", lineterm="")
    return "\n".join(lines) + "\n"
