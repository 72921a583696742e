"""What is said of cycles: channels of a cycle's row in words, and what a machine's program does that is new. Pure."""

import re

from edge_agent.cycles.cycle_row import DURATION
from edge_agent.cycles.rules import SUFFIX
from edge_agent.pipeline.programs.cycle_notices import NEW_POINT, NEW_RECIPE
from edge_agent.records import Alarm, ChannelEvidence

_STEP = re.compile(rf"step_([^.]+)\.{DURATION}")
_PHASE = re.compile(r"(.+)\.phase_(\d+)(_spread)?")
_WHOLE = re.compile(r"(.+)\.(mean|peak|energy)")
_SHAPE = re.compile(r"(.+)\.shape")


def phrase(channel: ChannelEvidence) -> str:
    """What a channel of a cycle shows; "" where it is none that has words of its own."""
    if channel.observed is None:
        return ""
    usual = f"usually {channel.normal_low:.4g} to {channel.normal_high:.4g}"
    seen = f"{channel.observed:.4g}"
    if channel.name == DURATION:
        return f"a cycle takes {seen} s, {usual}"
    if step := _STEP.fullmatch(channel.name):
        return f"step {step[1]} takes {seen} s, {usual}"
    if phase := _PHASE.fullmatch(channel.name):
        place = f"{phase[1]} in phase {phase[2]} of the cycle"
        return f"{place} {'swings by' if phase[3] else 'is'} {seen}, {usual}"
    if shape := _SHAPE.fullmatch(channel.name):
        return f"the course of {shape[1]} is {seen} spreads from its recipe's, {usual}"
    if whole := _WHOLE.fullmatch(channel.name):
        return f"the {whole[2]} of {whole[1]} over the cycle is {seen}, {usual}"
    return ""


def notice(alarm: Alarm, *, day: str) -> str:
    """What a notice of cycles says; "" where it is another one."""
    machine = alarm.machine.removesuffix(SUFFIX)
    if alarm.fault not in (NEW_RECIPE, NEW_POINT) or not alarm.channels:
        return ""
    (seen, *_) = alarm.channels
    value = "no known one" if seen.observed is None else f"{seen.observed:.4g}"
    known = " to ".join(dict.fromkeys([f"{seen.normal_low:.4g}", f"{seen.normal_high:.4g}"]))
    if alarm.fault == NEW_RECIPE:
        told = f"{machine} has run recipe {value} since {day}: never run while it was learnt"
    else:
        name = seen.name.removesuffix(".mean")
        told = f"{machine} has had {name} at {value} since {day}: never there while it was learnt ({known})"
    if alarm.state == "closed":
        return f"{told}; known from now on, or over."
    return f"{told}. Its cycles are learnt and raise no alarm meanwhile."
