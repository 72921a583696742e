"""Notices of a machine whose cycles are counted: its rows are judged in the programs that they were learnt in.

The rows of another program mean nothing to what was learnt of rows. They raise no alarm; the machine's cycles say what
is new, once, and learn it.
"""

from edge_agent.cycles.rules import CycleRule
from edge_agent.cycles.told_rows import ToldRows
from edge_agent.pipeline.notices import CalmSettings, MachineNotices
from edge_agent.records import Float32, Profile
from edge_agent.sensors.standstill import StateSettings


class ProgramNotices(MachineNotices):
    """Looks at the rows of one machine whose cycles are counted; what is new in its program, its cycles say."""

    def __init__(
        self, profile: Profile, settings: StateSettings, *, calm: CalmSettings, model: str, rule: CycleRule
    ) -> None:
        super().__init__(profile, settings, calm=calm, model=model)
        self._told_rows = ToldRows.read(profile.memory)
        self._rests = False
        self.quiet = frozenset(name for name in profile.channels if name in rule.own or rule.gives(name))

    def mutes(self, window: Float32, *, end_row: int, time_ns: int, score: float) -> bool:
        """Whether the score of the next window [C, T], which ends with that row, raises no alarm."""
        self._rests = super().mutes(window, end_row=end_row, time_ns=time_ns, score=score)
        return self._rests or (self._told_rows is not None and not self._told_rows.known(window))

    def was_the_stop(self, onset_ns: int) -> bool:
        """An alarm that was open before a new program is still one."""
        return self._rests and super().was_the_stop(onset_ns)
