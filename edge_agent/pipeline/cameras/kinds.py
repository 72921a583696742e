"""One camera's own names for what it shows: which pictures were called what, and what the next one looks like. Pure.

As for machines (`diagnose`): a kind is a direction in which pictures leave the usual ones, learnt from a handful of
named ones in a fraction of a second. What a picture looks like is the mean of its twenty most unusual patches.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.diagnose import classifier
from edge_agent.diagnose.fault_naming import NAME_LIMIT_CHARS, NamingSettings, Refused, is_name
from edge_agent.records import Float32

LOOKS = "usual_looks"
"""Of a camera's memory: what its learnt pictures look like where they are most unusual, [N, D]."""
_NAMED_FROM = 0.4
"""Probability times the root of how well anything like it is known, from which on a picture is named. Chosen on parts
that were generated: names are right then, and what nobody has named gets none. Figures: docs/cameras.md."""
_LEAST_SPREAD = 0.1
"""Of the mean spread, that a number must have."""


@dataclass(frozen=True, slots=True)
class NamedPicture:
    """A picture that somebody named: `look` [D] as the network has it."""

    id: str
    name: str
    look: Float32


class Kinds:
    """What people called one camera's pictures."""

    def __init__(self, cases: tuple[NamedPicture, ...] = ()) -> None:
        self.cases = cases
        self._faults: classifier.Faults | None = None
        self._usual: Float32 | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The different ones, sorted."""
        return tuple(sorted({case.name for case in self.cases}))

    def arrange(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """The camera was learnt, or a picture named: learn what its kinds look like beside what is usual."""
        looks = memory.get(LOOKS)
        self._usual = None if looks is None else looks.astype(np.float32)
        self._faults = None
        if self._usual is None or not self.cases:
            return
        self._faults = classifier.learn(
            self._described(np.stack([case.look for case in self.cases])),
            np.array([self.names.index(case.name) for case in self.cases]),
            normal=self._described(self._usual),
            seed=0,
        )

    def of(self, look: Float32) -> tuple[str, float]:
        """What a picture that looks so [D] is called, and how probably among all names; "" and 0 where none fits."""
        best, sure, known = self.nearest(look)
        return (best, round(sure, 4)) if sure * known**0.5 >= _NAMED_FROM else ("", 0.0)

    def nearest(self, look: Float32) -> tuple[str, float, float]:
        """The name that fits best, its probability among all, and how well anything like it is known."""
        if self._faults is None:
            return "", 0.0, 0.0
        probability, known = classifier.classify(self._faults, self._described(look[np.newaxis]))
        best = int(probability[0].argmax())
        return self.names[best], float(probability[0, best]), float(known[0])

    def name(self, picture: str, name: str, look: Float32, settings: NamingSettings) -> str | Refused:
        """Call a picture so, its name as it was spelt first; a later name replaces it. To be arranged afterwards."""
        wanted = name.strip()
        if not is_name(wanted):
            told = f"a fault's name has 1 to {NAME_LIMIT_CHARS} printable characters and is not 'unknown' or 'normal'"
            return Refused("malformed", told)
        wanted = next((one for one in self.names if one.casefold() == wanted.casefold()), wanted)
        cases = (*(case for case in self.cases if case.id != picture), NamedPicture(picture, wanted, look))
        if len({case.name for case in cases}) > settings.faults:
            return Refused("too_many", f"{settings.faults} faults are known; none was added")
        while len(cases) > settings.cases:
            names = [case.name for case in cases]
            at = names.index(max(names, key=names.count))
            cases = cases[:at] + cases[at + 1 :]
        self.cases = cases
        return wanted

    def forget(self, picture: str) -> None:
        """It was no fault. To be arranged afterwards."""
        self.cases = tuple(case for case in self.cases if case.id != picture)

    def _described(self, looks: Float32) -> Float32:
        """Looks [B, D] in spreads of the usual ones."""
        assert self._usual is not None  # noqa: S101 - seen by who asks
        spread = self._usual.std(axis=0)
        spread = spread + _LEAST_SPREAD * float(spread.mean()) + 1e-6
        found: Float32 = ((looks - self._usual.mean(axis=0)) / spread).astype(np.float32)
        return found
