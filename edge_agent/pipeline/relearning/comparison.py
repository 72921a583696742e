"""What a machine's next profile is worth beside the one that watches: both score the same time and named faults. Pure.

The next one may take over by itself where it is hardly louder than the old one, and sees every named fault that the old
one sees. Else a person decides.
"""

from dataclasses import dataclass

import numpy as np

from edge_agent.detect.scorer import Scorer
from edge_agent.diagnose.fault_library import Case
from edge_agent.records import THRESHOLD, Float32, Profile, WindowBlock

_TOLERATED = 0.01
"""Share of windows above the limit that the next profile may have more than the old one."""
_WINDOWS = 3
"""Of a named alarm, spread over its life: neighbours tell the same."""


@dataclass(slots=True)
class Comparison:
    """Counts of the time in which both scored.

    Attributes:
        wanted: windows of the next profile that make a comparison.
        old, new: windows of each. old_loud, new_loud: those above the limit.
        faults: named faults that the old profile sees in their alarms' windows; lost: those that the next one does not.
        missing: channels that the old profile watches, and the next one does not.
    """

    wanted: int
    old: int = 0
    old_loud: int = 0
    new: int = 0
    new_loud: int = 0
    faults: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def note_old(self, scores: Float32) -> None:
        """The profile that watches has scored windows, [B]."""
        self.old += len(scores)
        self.old_loud += int((scores > THRESHOLD).sum())

    def note_new(self, scores: Float32) -> None:
        """The next profile has scored windows, [B]."""
        self.new += len(scores)
        self.new_loud += int((scores > THRESHOLD).sum())

    @property
    def complete(self) -> bool:
        """Whether enough time was scored."""
        return self.new >= self.wanted

    @property
    def favourable(self) -> bool:
        """Whether the next profile may take over by itself."""
        return (
            not self.lost
            and not self.missing
            and self.new_loud / max(self.new, 1) <= self._old_share + _TOLERATED
        )

    @property
    def _old_share(self) -> float:
        return self.old_loud / max(self.old, 1)

    def text(self) -> str:
        """What came out, for people."""
        said = f"above the limit in {self.new_loud} of {self.new} windows"
        said += f", the old profile in {self.old_loud} of {self.old}"
        if self.missing:
            said = f"{said}; does not watch: {', '.join(self.missing)}"
        if self.lost:
            return f"{said}; does not see: {', '.join(self.lost)}"
        return (
            f"{said}; sees all {len(self.faults)} named faults that the old one sees" if self.faults else said
        )


def seen_cases(cases: tuple[Case, ...], profile: Profile, *, scorer: Scorer) -> frozenset[str]:
    """Ids of the named alarms that a profile would raise, by windows that were kept of them."""
    found = set()
    for case in cases:
        values = _of_channels(case, profile.channels)[:: max(1, len(case.windows) // _WINDOWS)]
        block = WindowBlock(
            machine=profile.machine,
            values=values,
            end_rows=np.arange(len(values)),
            times_ns=np.zeros(len(values), np.int64),
            hidden=tuple(at for at, name in enumerate(profile.channels) if name not in case.channels),
        )
        (scored,) = scorer.score([block], [profile])
        if (scored.value > THRESHOLD).any():
            found.add(case.alarm)
    return frozenset(found)


def _of_channels(case: Case, channels: tuple[str, ...]) -> Float32:
    """The case's windows [W, C, T] in these channels, NaN where it had them not."""
    index = {name: at for at, name in enumerate(case.channels)}
    W, _, T = case.windows.shape
    values = np.full((W, len(channels), T), np.nan, np.float32)
    for at, name in enumerate(channels):
        if name in index:
            values[:, at] = case.windows[:, index[name]]
    return values
