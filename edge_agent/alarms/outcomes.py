"""What became of a command: frozen nouns that the rooms behind commands answer with, and how several become one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.alarms.requests import Reason, Result
from edge_agent.alarms.state import Notification

_NAMED = 10
"""Machines that an answer about many names; the rest is a number."""


@dataclass(frozen=True, slots=True)
class MachineOutcome:
    """What became of something asked of a machine.

    Attributes:
        reason: why it was not done, with `detail` for people; empty where it was, or where it was so already.
        changed: whether anything is otherwise now.
    """

    reason: Reason = ""
    detail: str = ""
    changed: bool = True


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """What became of a command, and the alarm revisions that follow from it.

    Attributes:
        in_part: it was a part of a command that is not whole yet: answered, and not yet one for the audit log.
    """

    result: Result
    reason: Reason = ""
    detail: str = ""
    notifications: tuple[Notification, ...] = ()
    in_part: bool = False


def done(notifications: Iterable[Notification] = (), detail: str = "") -> CommandOutcome:
    """It was obeyed."""
    return CommandOutcome("done", detail=detail, notifications=tuple(notifications))


def refuse(reason: Reason, detail: str) -> CommandOutcome:
    """It was not."""
    return CommandOutcome("refused", reason, detail)


def unknown_machine(machine: str) -> CommandOutcome:
    """Nobody knows the machine that is meant."""
    return refuse("unknown_machine", f"no machine {machine} was ever heard")


def joined(outcomes: Mapping[str, CommandOutcome]) -> CommandOutcome:
    """One command to several machines: done where it was for any of them, with what became of the others."""
    by_result = {
        result: [name for name, one in outcomes.items() if one.result == result]
        for result in ("done", "unchanged", "refused")
    }
    result: Result = "done" if by_result["done"] else "unchanged" if by_result["unchanged"] else "refused"
    refused = [outcomes[name] for name in by_result["refused"]]
    parts = [f"{word}: {_names(names)}" for word, names in by_result.items() if names]
    if refused:
        parts.append(f"because: {refused[0].detail}")
    return CommandOutcome(
        result,
        refused[0].reason if result == "refused" else "",
        "; ".join(parts),
        tuple(each for one in outcomes.values() for each in one.notifications),
    )


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} ({', '.join(names[:_NAMED])}{more})"
