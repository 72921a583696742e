"""Which machines somebody means: by name, by display name, by a pattern, or by place and pattern (`line1/*`). Pure."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from edge_agent.signals.machine_rules import MachineFacts


def is_pattern(text: str) -> bool:
    """Whether several machines may be meant: no machine's name holds a slash."""
    return bool(set("*?[/") & set(text))


def matching(text: str, machines: Mapping[str, MachineFacts]) -> tuple[str, ...]:
    """Names of the machines that are meant, sorted.

    A machine's own name comes first, whatever signs it holds, then what people call machines. Before the last slash
    stands a place: the whole location that is said of a machine, or its end.
    """
    if text in machines:
        return (text,)
    called = [name for name, facts in machines.items() if facts.display_name == text]
    if called or not is_pattern(text):
        return tuple(sorted(called))
    place, slash, pattern = text.rpartition("/")
    return tuple(
        sorted(
            name
            for name, facts in machines.items()
            if fnmatchcase(name, pattern) and (not slash or _lies_in(facts.location, place))
        )
    )


def _lies_in(location: str, place: str) -> bool:
    return fnmatchcase(location, place) or fnmatchcase(location, f"*/{place}")
