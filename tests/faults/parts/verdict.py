"""The comparison: planned faults against the alarm ids that were heard of."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.faults.parts.floor import FIRST_TS, Fault

_BELONGS_ROWS = 80
"""An alarm that begins so long after a fault's end does not belong to it: the window has forgotten it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the planned faults.

    Attributes:
        lost: faults without an alarm, or whose alarm was never heard of as open.
        doubles: faults with more than one alarm id, and those ids.
        strays: alarm ids that belong to no fault.
        unclosed: ids that were opened and never closed.
    """

    faults: int
    lost: Sequence[Fault] = ()
    doubles: Mapping[Fault, Sequence[str]] = field(default_factory=dict)
    strays: Sequence[str] = ()
    unclosed: Sequence[str] = ()
    first_revisions: int = 0

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubles or self.strays or self.unclosed)

    def figures(self) -> dict[str, int]:
        return {
            "faults": self.faults,
            "lost": len(self.lost),
            "doubles": len(self.doubles),
            "strays": len(self.strays),
            "unclosed": len(self.unclosed),
            "first_revisions": self.first_revisions,
        }


def judge(faults: Sequence[Fault], alerts: Iterable[Mapping[str, Any]]) -> Verdict:
    """Pair faults and alarm ids by machine and machine time.

    Args:
        alerts: alert messages as they were heard, repeats allowed.
    """
    onset: dict[str, tuple[str, int]] = {}
    states: dict[str, set[str]] = defaultdict(set)
    firsts = set()
    for alert in alerts:
        onset[alert["id"]] = (alert["machine"], row_of(alert["onset"]))
        states[alert["id"]].add(alert["state"])
        firsts.update({alert["id"]} if alert["revision"] == 1 else set())
    ids: dict[Fault, list[str]] = {fault: [] for fault in faults}
    strays = []
    for name, (machine, row) in onset.items():
        fault = _cause(faults, machine=machine, row=row)
        (strays if fault is None else ids[fault]).append(name)
    return Verdict(
        faults=len(faults),
        lost=[fault for fault, names in ids.items() if not any("open" in states[name] for name in names)],
        doubles={fault: names for fault, names in ids.items() if len(names) > 1},
        strays=strays,
        unclosed=[name for name, seen in states.items() if "closed" not in seen],
        first_revisions=len(firsts),
    )


def row_of(stamp: str) -> int:
    """The row that has this time."""
    return round(datetime.fromisoformat(stamp).timestamp()) - FIRST_TS


def _cause(faults: Sequence[Fault], *, machine: str, row: int) -> Fault | None:
    mine = [fault for fault in faults if fault.machine == machine and fault.first <= row]
    latest = max(mine, key=lambda fault: fault.first, default=None)
    return latest if latest is not None and row < latest.last + _BELONGS_ROWS else None
