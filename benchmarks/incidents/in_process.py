"""One machine through the agent's own pipeline, as `edge-agent run` drives it: the short form."""

from benchmarks.incidents.plans import LATE_ROWS, LEARNT_ROWS, Plan
from benchmarks.incidents.verdict import Heard, Word
from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import THRESHOLD, Alarm, Delivery, Frame, Profile, Reject
from edge_agent.signals.settings import WindowSettings

_SECOND_NS = 1_000_000_000
_BLOCK_ROWS = 64


def heard(plan: Plan, *, scorer: Scorer, hop_s: float, late: bool = False) -> Heard:
    """What the agent says of the plan; `late`: the machine waits `LATE_ROWS` rows to be learnt.

    Raises:
        RuntimeError: the pipeline contained an exception: a bug.
    """
    channels, values = plan.simulated()
    settings = PipelineSettings(commission_rows=LEARNT_ROWS, window=WindowSettings(hop_s=hop_s))
    pipeline = Pipeline(decode=_no_bytes, scorer=scorer, settings=settings)
    waiting: list[tuple[int, Profile]] = []
    said: list[Alarm] = []
    loud: list[int] = []
    for start in range(0, len(values), _BLOCK_ROWS):
        part = values[start : start + _BLOCK_ROWS]
        times = [(start + row) * _SECOND_NS for row in range(len(part))]
        step = pipeline.feed([Frame(plan.name, channels, times, part)])
        if step.failures:
            raise RuntimeError(f"{plan.name}: {step.failures[0].error}")
        for request in step.commissions:
            profile = learn(request, scorer=scorer, settings=settings)
            waiting.append((start + (LATE_ROWS if late else 0), profile))
        while waiting and waiting[0][0] <= start:
            pipeline.install(waiting.pop()[1])
        said += step.alarms
        for block in step.scores:
            loud += (block.windows.times_ns[block.value > THRESHOLD] // _SECOND_NS).tolist()
    return Heard([word(alarm) for alarm in said], loud)


def word(alarm: Alarm) -> Word:
    """A revision in rows."""
    return Word(
        id=alarm.id,
        row=alarm.time_ns // _SECOND_NS,
        onset_row=alarm.onset_ns // _SECOND_NS,
        is_open=alarm.state == "open",
        unsettled=alarm.unsettled,
        reopened=alarm.reopened,
    )


def _no_bytes(_: Delivery) -> Reject:
    return Reject("no_source")
