"""Proposed sources beside those of a configuration that is in use: what its own sources hear stays theirs. Pure."""

import re
from collections.abc import Callable, Mapping
from difflib import unified_diff
from types import MappingProxyType

from edge_agent.config.file import Config

_ADDED = re.compile(r"\[\[source\]\]|\[source\.|\[\[machine\]\]")
_LIMITS = re.compile(r"\s*\[limits\]\s*(?:#.*)?$")
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


def with_additions(text: str, proposed: str, *, limits: Mapping[str, int] = MappingProxyType({})) -> str:
    """A configuration's text with the proposed sources behind all that it says; its own match first.

    Args:
        text: the file's.
        proposed: a configuration whose sources, and what it says of machines, are added.
        limits: of `[limits]`, without which what is added would be turned away.
    """
    lines: list[str] = []
    inside = False
    for line in proposed.splitlines():
        if _TABLE.match(line):
            inside = _ADDED.match(line) is not None
        if inside and line:
            lines += ["", line] if line.startswith("[[") else [line]
    return _with_limits(text, limits).rstrip("\n") + "\n" + "\n".join(lines) + "\n"


def _with_limits(text: str, limits: Mapping[str, int]) -> str:
    """The text with these limits: where it says them, else in its section, else in one of their own."""
    lines = text.splitlines()
    for name, value in limits.items():
        begin = next((at for at, line in enumerate(lines) if _LIMITS.match(line)), None)
        if begin is None:
            lines += ["", "[limits]"]
            begin = len(lines) - 1
        end = next((at for at in range(begin + 1, len(lines)) if _TABLE.match(lines[at])), len(lines))
        said = re.compile(rf"\s*{name}\s*=")
        at = next((at for at in range(begin + 1, end) if said.match(lines[at])), None)
        if at is None:
            lines.insert(begin + 1, f"{name} = {value}")
        else:
            lines[at] = f"{name} = {value}"
    return "\n".join(lines) + "\n"


def difference(before: str, after: str, *, name: str) -> str:
    """What `--apply` would change, as a unified diff."""
    lines = unified_diff(before.splitlines(), after.splitlines(), name, f"{name} (proposed)", lineterm="")
    return "\n".join(lines) + "\n"
