"""Joins what is known of a machine and its channels to its rows: alignment, reports, what a score leaves out."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_agent.cycles.rules import is_cycle, rule_of
from edge_agent.detect.cycle_scores import knows_cycles
from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.machine import Machine
from edge_agent.pipeline.notices import CalmSettings, MachineNotices, NoticeReport
from edge_agent.pipeline.programs.cycle_notices import CycleNotices
from edge_agent.pipeline.programs.program_notices import ProgramNotices
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import WindowBlock
from edge_agent.sensors.monitor import NOTHING, SensorMonitor, SensorReport
from edge_agent.signals.alignment import Aligner
from edge_agent.signals.channel_kinds import with_kinds
from edge_agent.signals.channel_rules import alignment, physical_range
from edge_agent.signals.row_buffer import Due, RowBuffer

_SHOWN_CYCLES = 128
"""Cycles that are kept for people to look at."""


def next_sensor_monitor(
    machine: Machine, *, settings: PipelineSettings, scorer: Scorer
) -> SensorMonitor | None:
    """The monitor for a machine's profile, going on with findings that hold; None where nothing was learnt for it."""
    before, profile = machine.sensor_monitor, machine.profile
    if profile is None or not settings.quality.enabled or "quality/run" not in profile.memory:
        return None
    rules = settings.channel_rules
    monitor = SensorMonitor(
        profile,
        settings.quality,
        ranges=[
            physical_range(rules, machine=profile.machine, channel=channel) for channel in profile.channels
        ],
        window_rows=scorer.window_rows,
        model=scorer.bundle.digest,
    )
    if before is not None:
        monitor.go_on_from(before)
    monitor.reread(*machine.rows.inspected_rows())
    return monitor


def new_rows(machine: str, settings: PipelineSettings, *, scorer: Scorer) -> RowBuffer:
    """The rows of a machine, or of its next profile; a cycle is a row that is judged by itself, and holds nothing."""
    keep_rows = settings.rows_to_learn(machine)
    if is_cycle(machine):
        window = replace(settings.window, hold_rows=0, period_s=None)
        return RowBuffer(machine, window, window_rows=1, keep_rows=keep_rows, shown_rows=_SHOWN_CYCLES)
    return RowBuffer(
        machine,
        settings.window,
        window_rows=scorer.window_rows,
        keep_rows=keep_rows,
        aligner=aligner(machine, settings, scorer=scorer),
    )


def aligner(machine: str, settings: PipelineSettings, *, scorer: Scorer) -> Aligner | None:
    """What brings the machine's samples onto a grid; None where its messages are rows."""
    window = settings.window
    if window.period_s is None:
        return None
    rules = settings.channel_rules
    return Aligner(
        period_ns=round(window.period_s * 1e9),
        lateness_ns=round(window.lateness_s * 1e9),
        bridge_rows=scorer.window_rows,
        rule=lambda channel: alignment(rules, machine=machine, channel=channel),
    )


def next_notices(machine: Machine, *, settings: PipelineSettings, scorer: Scorer) -> MachineNotices | None:
    """What looks for states that a machine's profile does not know, going on with notices that hold."""
    before, profile = machine.notices, machine.profile
    if profile is None:
        return None
    calm = CalmSettings(release=settings.trigger.release, windows=settings.trigger.off_delay_windows)
    rule = rule_of(settings.cycle_rules, profile.machine)
    if rule is not None and not is_cycle(profile.machine):
        notices: MachineNotices = ProgramNotices(
            profile, settings.state, calm=calm, model=scorer.bundle.digest, rule=rule
        )
    else:
        kind = CycleNotices if knows_cycles(profile.memory) else MachineNotices
        notices = kind(profile, settings.state, calm=calm, model=scorer.bundle.digest)
    if isinstance(before, CycleNotices) and isinstance(notices, CycleNotices):
        notices.go_on_gathering(before)
    if before is not None:
        state = before.save()
        notices.restore(state if before.channels == profile.channels else replace(state, levels=()))
    notices.reread(machine.rows.inspected_rows()[0])
    return notices


def take_due(machine: Machine) -> Due:
    """What a machine's rows give out, its windows with what is shown of them."""
    due, profile = machine.rows.take_due(), machine.profile
    if due.windows is None or profile is None:
        return due
    return due._replace(windows=with_kinds(due.windows, profile.memory))


def check_states(notices: MachineNotices | None, due: Due) -> NoticeReport:
    """What the rows that are new say of the machine's state."""
    if notices is None or not len(due.rows):
        return NoticeReport()
    return notices.check(due.rows, due.times_ns, row_count=due.row_count)


def check_sensors(machine: Machine, due: Due, *, resting: NDArray[np.bool_] | None = None) -> SensorReport:
    """What the rows that are new say of the sensors; `resting`: [R] the machine stands still, or never does."""
    monitor = machine.sensor_monitor
    if monitor is None or not len(due.rows):
        return NOTHING
    monitor.by_exception = machine.rows.store.values_stand
    return monitor.check(due.rows, due.times_ns, resting=resting)


def visible_parts(due: Due, report: SensorReport) -> list[WindowBlock]:
    """The windows that fell due, in order, parted where the set of hidden channels changes.

    Args:
        due: what the machine's rows have given out.
        report: of the newest rows, those in which the windows end.
    """
    block = due.windows
    if block is None:
        return []
    if not report.hidden.any():
        return [block]
    hidden = report.hidden[block.end_rows - (due.row_count - len(report.hidden))]  # B C
    edges = np.flatnonzero((hidden[1:] != hidden[:-1]).any(axis=1)) + 1
    parts = []
    for start, end in zip([0, *edges.tolist()], [*edges.tolist(), len(hidden)], strict=True):
        parts.append(
            replace(
                block,
                values=block.values[start:end],
                shown=None if block.shown is None else block.shown[start:end],
                end_rows=block.end_rows[start:end],
                times_ns=block.times_ns[start:end],
                hidden=tuple(np.flatnonzero(hidden[start]).tolist()),
            )
        )
    return parts
