"""What a machine's cycles say that was never learnt: a new recipe, a set-point where it never was. Pure.

Such a cycle has no score. It is told once, by a notice, and never by an alarm; after `KNOWN_CYCLES` of them they are
learnt beside the others, and the notice is over.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_agent.cycles.bands import KNOWN_CYCLES
from edge_agent.detect.cycle_scores import CycleMemory
from edge_agent.detect.operating_modes import IN_TRANSIT
from edge_agent.pipeline.notices import CalmSettings, MachineNotices, NoticeReport
from edge_agent.records import Alarm, ChannelEvidence, Float32, Profile
from edge_agent.sensors.standstill import StateSettings

NEW_RECIPE, NEW_POINT = "recipe never learnt", "operating point never learnt"
_GROUPS = 8
"""New recipes that are gathered at a time; of more, the oldest begins again."""


class CycleNotices(MachineNotices):
    """Looks at the cycles of one machine that was learnt."""

    def __init__(self, profile: Profile, settings: StateSettings, *, calm: CalmSettings, model: str) -> None:
        super().__init__(profile, settings, calm=calm, model=model)
        self._cycles = CycleMemory.read(profile.memory)
        self.gathered: dict[float, list[Float32]] = {}
        """Cycles that nobody knows, by recipe."""
        self._known_run = 0
        self._unknown_before = False
        self.to_learn: Float32 | None = None
        """[R, C] cycles of one new recipe or operating point, enough to be learnt; who learns them makes another of
        these."""

    def go_on_gathering(self, before: "CycleNotices") -> None:
        """Have what the one before this had gathered and not given to learn."""
        for recipe, rows in before.gathered.items():
            if rows and len(rows[0]) == len(self._profile.channels):
                self.gathered[recipe] = rows

    def check(self, rows: Float32, times_ns: NDArray[np.int64], *, row_count: int) -> NoticeReport:  # noqa: ARG002
        """Look at the next cycles [R, C]."""
        findings: list[Alarm] = []
        known = self._cycles.known(rows)
        for row, time_ns, usual in zip(rows, times_ns.tolist(), known.tolist(), strict=True):
            self._known_run = self._known_run + 1 if usual else 0
            findings += self._over(time_ns)
            if not usual:
                findings += self._tell(row, time_ns)
                self._gather(row)
            self._unknown_before = not usual
        return NoticeReport(tuple(findings))

    def _over(self, time_ns: int) -> list[Alarm]:
        """Notices of what is known by now, or has not come for long."""
        found = []
        for key, notice in [*self._open.items()]:
            seen = notice.channels[0] if notice.channels else None
            learnt = seen is not None and self._learnt(key[0], seen)
            if learnt or self._known_run >= KNOWN_CYCLES:
                found += self._close(key, time_ns)
        return found

    def _learnt(self, fault: str, seen: ChannelEvidence) -> bool:
        row = np.full((1, len(self._profile.channels)), np.nan, np.float32)
        row[0, self._profile.channels.index(seen.name)] = np.nan if seen.observed is None else seen.observed
        if fault == NEW_RECIPE:
            return bool(self._cycles.recipe_of(row)[0] != IN_TRANSIT)
        return not bool(self._cycles.beyond(row).any())

    def _tell(self, row: Float32, time_ns: int) -> list[Alarm]:
        memory, channels = self._cycles, self._profile.channels
        if memory.recipe_of(row[np.newaxis])[0] == IN_TRANSIT:
            at, fault = int(memory.recipe), NEW_RECIPE
            low, high = float(memory.recipes.min()), float(memory.recipes.max())
        else:
            which = int(memory.beyond(row[np.newaxis])[0].argmax())
            at, fault = int(memory.given[which]), NEW_POINT
            low, high = (float(end) for end in memory.reach[:, which])
            if (
                not self._unknown_before
            ):  # it may have moved within this cycle, and its mean stands for neither
                return []
        if (fault, channels[at]) in self._open:
            return []
        value = float(row[at])
        evidence = ChannelEvidence(
            name=channels[at],
            contribution=0.0,
            observed=value if np.isfinite(value) else None,
            normal_low=low,
            normal_high=high,
            deviation=0.0,
            symptom="unusual pattern",
        )
        return [self._begin(fault, onset_ns=time_ns, time_ns=time_ns, evidence=evidence)]

    def _gather(self, row: Float32) -> None:
        at = int(self._cycles.recipe)
        recipe = float(row[at]) if at >= 0 else 0.0
        if np.isnan(recipe):
            return
        if recipe not in self.gathered and len(self.gathered) >= _GROUPS:
            self.gathered.pop(next(iter(self.gathered)))
        group = self.gathered.setdefault(recipe, [])
        group.append(row.copy())
        if len(group) >= KNOWN_CYCLES:
            self.to_learn = np.stack(self.gathered.pop(recipe))

    def mutes(self, window: Float32, *, end_row: int, time_ns: int, score: float) -> bool:  # noqa: ARG002
        """Whether the cycle [C, 1] says nothing of the machine."""
        return not bool(self._cycles.known(window[np.newaxis, :, -1])[0])

    def was_the_stop(self, onset_ns: int) -> bool:  # noqa: ARG002
        """An alarm that was open before a new recipe is still one."""
        return False

    def check_level(
        self,
        window: Float32,  # noqa: ARG002
        *,
        hidden: Sequence[int],  # noqa: ARG002
        alarm: Alarm | None,  # noqa: ARG002
        time_ns: int,  # noqa: ARG002
    ) -> list[Alarm]:
        """Cycles have no level of one channel."""
        return []

    def reread(self, rows: Float32) -> None:
        """What the kept cycles said has been said."""
