"""A robot before an agent whose cycles are counted: what was scored, told and alarmed."""

from collections.abc import Sequence

import numpy as np

from edge_agent.cycles.rules import CycleRule, CycleStart
from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Alarm, Frame, Reject
from tests.support.robot import CHANNELS, Doing, run

RULE = CycleRule(
    machine="robot-*",
    start=CycleStart("step", "becomes", 1.0),
    step="step",
    recipe="program",
    given=("payload",),
    longest_s=60.0,
    learn_cycles=60,
)
SETTINGS = PipelineSettings(commission_rows=100_000, cycle_rules=(RULE,))


class Story:
    """A robot before an agent."""

    def __init__(
        self, scorer: Scorer, settings: PipelineSettings = SETTINGS, machine: str = "robot-1"
    ) -> None:
        self.scorer, self.settings, self.machine = scorer, settings, machine
        self.pipeline = Pipeline(decode=lambda _: Reject("no_source"), scorer=scorer, settings=settings)
        self.alarms: list[Alarm] = []
        self.findings: list[Alarm] = []
        self.scores: list[float] = []
        self.failures: list[str] = []
        self.now_ns, self.seed = 0, 0

    def go(self, doings: Sequence[Doing]) -> "Story":
        times, rows = run(doings, seed=self.seed, start_ns=self.now_ns)
        self.seed += 1
        self.now_ns = times[-1]
        self.feed(times[:-1], rows[:-1])
        return self

    def go_shifted(self, doings: Sequence[Doing]) -> None:
        """Cycles all of whose positions are off."""
        times, rows = run(doings, seed=self.seed, start_ns=self.now_ns)
        self.now_ns = times[-1]
        self.feed(times[:-1], rows[:-1] + np.array([0, 0, 0, 0, 20], np.float32))

    def feed(self, times: Sequence[int], rows: np.ndarray) -> None:
        for at in range(0, len(times), 50):
            frame = Frame(self.machine, CHANNELS, times[at : at + 50], rows[at : at + 50])
            step = self.pipeline.feed([frame])
            for request in step.commissions:
                self.pipeline.install(learn(request, scorer=self.scorer, settings=self.settings))
            self.alarms += step.alarms
            self.findings += step.findings
            self.scores += [float(one) for block in step.scores for one in block.value]
            self.failures += [failure.error for failure in step.failures]

    @property
    def cycles(self) -> int:
        return self.pipeline.machines["robot-1/cycle"].rows.store.row_count
