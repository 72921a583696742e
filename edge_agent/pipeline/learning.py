"""Commissioning one machine: a request's normal rows to the profile that scoring reads. Slow (seconds); pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.commissioning import accepted_rows, cycle_baseline
from edge_agent.commissioning.baseline import MOST_WINDOWS, commission
from edge_agent.commissioning.memory_bound import plan
from edge_agent.cycles.cycle_row import DURATION, RECIPE
from edge_agent.cycles.rules import CycleRule, is_cycle, rule_of
from edge_agent.cycles.told_rows import ToldRows
from edge_agent.detect.cycle_scores import CycleMemory, knows_cycles
from edge_agent.detect.detectors import COLUMNS, DETECTORS, ENSEMBLE
from edge_agent.detect.detectors.in_context import InContext
from edge_agent.detect.detectors.mahalanobis import Mahalanobis
from edge_agent.detect.ensemble import Ensemble
from edge_agent.detect.operating_modes import row_modes
from edge_agent.detect.scorer import Scorer
from edge_agent.diagnose import attribution, classifier
from edge_agent.errors import CommissionError
from edge_agent.pipeline.results import CommissionRequest
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Float32, Profile
from edge_agent.sensors import checks, level_step, spikes, standstill
from edge_agent.signals.channel_kinds import rows_with_rates
from edge_agent.signals.channel_rules import kind_of
from edge_agent.signals.machine_rules import facts_of
from edge_agent.signals.vibration import is_feature

_WEEK_NS = 7 * 24 * 3600 * 1_000_000_000
_ASSUMED_PERIOD_NS = 1_000_000_000
"""Recordings without times count as one row a second."""
_LEAST_OBSERVED = 0.5
"""A channel that was silent in more of the normal rows is left out: nothing is known of its normal behaviour."""

_MOST = 0.5
_OF_SINGLE_CHANNELS = Ensemble(
    [one for one in DETECTORS if one.detector.name not in (Mahalanobis.name, InContext.name)], columns=COLUMNS
)
"""Of machines too wide for a Gaussian of all channels, which the pre-trained judge hears, too."""
_OF_MODES = "mode_"
"""How arrays of modes are called, which a machine has or has not."""


def learn(request: CommissionRequest, *, scorer: Scorer, settings: PipelineSettings) -> Profile:
    """What is normal for a machine.

    Raises:
        CommissionError: too few rows, or no channel that was observed often enough.
    """
    if is_cycle(request.machine):
        return _learn_cycles(request, settings=settings, encoder=scorer.bundle.encoder)
    if request.known is not None:
        return _knowing(request.known, scorer=scorer, settings=settings)
    kept = _usable_channels(request, scorer)
    rows = np.ascontiguousarray(request.rows[:, kept])
    period_ns = request.period_ns or _ASSUMED_PERIOD_NS
    channels = tuple(request.channels[at] for at in kept)
    memory = _remembered(
        rows,
        machine=request.machine,
        channels=channels,
        period_ns=period_ns,
        hop_rows=request.hop_rows,
        seams=request.seams,
        scorer=scorer,
        settings=settings,
    )
    observed = None if request.observed is None else request.observed[:, kept]
    rule = rule_of(settings.cycle_rules, request.machine)
    return Profile(
        machine=request.machine,
        channels=channels,
        memory={
            **ENSEMBLE.compact(memory),
            **accepted_rows.kept(rows, request.seams),
            **attribution.reference(rows_with_rates(rows, memory), row_modes(memory, rows)),
            **checks.reference(rows, observed),
            **standstill.reference(rows, observed),
            **spikes.reference(rows, memory),
            **level_step.reference(rows, memory),
            **classifier.normal_reference(memory, rows, window_rows=scorer.window_rows),
            **({} if rule is None else ToldRows.of(rows, channels, rule).arrays()),
        },
        rows=len(rows),
        period_ns=period_ns,
        hop_rows=request.hop_rows,
        encoder=scorer.bundle.encoder,
        learnt_ns=request.time_ns,
    )


def _learn_cycles(request: CommissionRequest, *, settings: PipelineSettings, encoder: str) -> Profile:
    """What is normal of a machine's cycles.

    Raises:
        CommissionError: nobody says what its cycles are any more, or too few are of recipes that come again.
    """
    rule = rule_of(settings.cycle_rules, request.machine)
    if rule is None:
        raise CommissionError(f"{request.machine}: no [[cycle]] is of this machine any more")
    period_ns = request.period_ns or _ASSUMED_PERIOD_NS
    profile = Profile(
        machine=request.machine,
        channels=request.channels,
        memory={},
        rows=len(request.rows),
        period_ns=period_ns,
        hop_rows=request.hop_rows,
        encoder=encoder,
        learnt_ns=request.time_ns,
    )
    return replace(profile, memory=_cycles_remembered(request.rows, profile, rule, settings=settings))


def learn_more_cycles(profile: Profile, rows: Float32, *, settings: PipelineSettings) -> Profile:
    """The profile by the cycles that it was learnt from and these ones [R, C], of a recipe that nobody knew; quick.

    Raises:
        CommissionError: nobody says what its cycles are any more.
    """
    rule = rule_of(settings.cycle_rules, profile.machine)
    if rule is None or not knows_cycles(profile.memory):
        raise CommissionError(f"{profile.machine}: no [[cycle]] is of this machine any more")
    known = CycleMemory.read(profile.memory).rows
    room = cycle_baseline.MOST_CYCLES - len(rows)
    if len(known) > room:  # some of each time, so that no recipe is forgotten for another
        known = known[np.unique(np.linspace(0, len(known) - 1, room).astype(np.int64))]
    together = np.concatenate([known, rows])
    memory = _cycles_remembered(together, profile, rule, settings=settings)
    return replace(profile, memory=memory, rows=len(together))


def _cycles_remembered(
    rows: Float32, profile: Profile, rule: CycleRule, *, settings: PipelineSettings
) -> Mapping[str, NDArray[Any]]:
    """What scoring and evidence read of cycles [R, C]."""
    names = profile.channels
    channels = cycle_baseline.CycleChannels(
        names=names,
        recipe=RECIPE if rule.recipe else "",
        given=frozenset(
            name for name in names if name.endswith(".mean") and rule.gives(name[: -len(".mean")])
        ),
        durations=frozenset(name for name in names if name.split(".")[-1] == DURATION),
    )
    budget = facts_of(settings.machine_rules, profile.machine).budget_per_week
    memory = cycle_baseline.fit(
        rows,
        channels,
        budget_per_week=settings.budget.false_alarms_per_week if budget is None else budget,
        cycles_per_week=_WEEK_NS / (profile.period_ns * profile.hop_rows),
    )
    learnt = CycleMemory.read(memory)
    of_recipes = learnt.recipe_of(learnt.rows) if rule.recipe else None
    return {**memory, **attribution.usual(learnt.rows, of_recipes)}


def _knowing(profile: Profile, *, scorer: Scorer, settings: PipelineSettings) -> Profile:
    """The profile by the rows that it was learnt from and those that people have accepted since.

    Detectors remember both; what is known of sensors, standstills and usual values stays as it was learnt.

    Raises:
        CommissionError: its rows were not kept.
    """
    offset = np.asarray(profile.memory.get("level_offset", np.float32(0.0)), np.float32)
    try:
        rows, seams, accepted = accepted_rows.together(profile.memory, offset=offset)
    except KeyError:
        raise CommissionError(f"{profile.machine}: the rows that it was learnt from were not kept") from None
    memory = _remembered(
        rows,
        machine=profile.machine,
        channels=profile.channels,
        period_ns=profile.period_ns,
        hop_rows=profile.hop_rows,
        seams=seams,
        accepted=accepted,
        scorer=scorer,
        settings=settings,
    )
    stays = {name: profile.memory[name] for name in profile.memory if not name.startswith(_OF_MODES)}
    found = {**stays, **ENSEMBLE.compact(memory), **accepted_rows.known(profile.memory)}
    return replace(profile, memory=found, encoder=scorer.bundle.encoder)


def _remembered(  # noqa: PLR0913 - what a machine and its rows are
    rows: Float32,
    *,
    machine: str,
    channels: Sequence[str],
    period_ns: int,
    hop_rows: int,
    seams: Sequence[int],
    scorer: Scorer,
    settings: PipelineSettings,
    accepted: int = 0,
) -> Mapping[str, NDArray[Any]]:
    """What detectors remember of rows [R, C], the last of which are of accepted states."""
    fit = plan(*rows.shape, most_windows=MOST_WINDOWS, limit_bytes=settings.learning_bytes)
    heard = fit.relations and not _computed(channels)
    budget = facts_of(settings.machine_rules, machine).budget_per_week
    memory = commission(
        rows,
        window_rows=scorer.window_rows,
        encode=None,  # no alarm hears it, and it takes three quarters of the time
        judge=scorer.judge if heard else None,
        budget_per_week=settings.budget.false_alarms_per_week if budget is None else budget,
        windows_per_week=_WEEK_NS / (period_ns * hop_rows),
        hop_rows=hop_rows,
        period_s=period_ns / 1e9,
        kinds=[kind_of(settings.channel_rules, machine=machine, channel=channel) for channel in channels],
        seed=settings.seed,
        seams=seams,
        accepted_rows=accepted,
        ensemble=ENSEMBLE if fit.relations else _OF_SINGLE_CHANNELS,
        most_windows=fit.most_windows,
    )
    return memory if heard else ENSEMBLE.without(InContext.name, memory)


def _computed(channels: Sequence[str]) -> bool:
    """Whether most channels are features of waveforms: no pre-trained network has seen such, the statistics decide."""
    return float(np.mean([is_feature(channel) for channel in channels])) > _MOST


def _usable_channels(request: CommissionRequest, scorer: Scorer) -> list[int]:
    """Columns to learn: all that were observed often enough, or the very ones that a fault head was trained on."""
    observed = np.mean(~np.isnan(request.rows), axis=0) >= _LEAST_OBSERVED
    usable = {name: at for at, name in enumerate(request.channels) if observed[at]}
    wanted = [channel.name for channel in scorer.bundle.manifest.channels] or list(usable)
    if missing := [name for name in wanted if name not in usable]:
        raise CommissionError(
            f"{request.machine}: the model needs channels that are missing: {', '.join(missing)}"
        )
    if not wanted:
        raise CommissionError(
            f"{request.machine}: no channel was observed in half of the {len(request.rows)} rows"
        )
    return [usable[name] for name in wanted]
