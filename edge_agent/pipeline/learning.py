"""Commissioning one machine: a request's normal rows to the profile that scoring reads. Slow (seconds); pure."""

import numpy as np

from edge_agent.commissioning.baseline import MOST_WINDOWS, commission
from edge_agent.commissioning.memory_bound import plan
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
from edge_agent.records import Profile
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


def learn(request: CommissionRequest, *, scorer: Scorer, settings: PipelineSettings) -> Profile:
    """What is normal for a machine.

    Raises:
        CommissionError: too few rows, or no channel that was observed often enough.
    """
    kept = _usable_channels(request, scorer)
    rows = np.ascontiguousarray(request.rows[:, kept])
    period_ns = request.period_ns or _ASSUMED_PERIOD_NS
    told = [
        kind_of(settings.channel_rules, machine=request.machine, channel=request.channels[at]) for at in kept
    ]
    fit = plan(*rows.shape, most_windows=MOST_WINDOWS, limit_bytes=settings.learning_bytes)
    heard = fit.relations and not _computed(request, kept)
    budget = facts_of(settings.machine_rules, request.machine).budget_per_week
    memory = commission(
        rows,
        window_rows=scorer.window_rows,
        encode=None,  # no alarm hears it, and it takes three quarters of the time
        judge=scorer.judge if heard else None,
        budget_per_week=settings.budget.false_alarms_per_week if budget is None else budget,
        windows_per_week=_WEEK_NS / (period_ns * request.hop_rows),
        hop_rows=request.hop_rows,
        period_s=period_ns / 1e9,
        kinds=told,
        seed=settings.seed,
        seams=request.seams,
        ensemble=ENSEMBLE if fit.relations else _OF_SINGLE_CHANNELS,
        most_windows=fit.most_windows,
    )
    if not heard:
        memory = ENSEMBLE.without(InContext.name, memory)
    observed = None if request.observed is None else request.observed[:, kept]
    return Profile(
        machine=request.machine,
        channels=tuple(request.channels[at] for at in kept),
        memory={
            **ENSEMBLE.compact(memory),
            **attribution.reference(rows_with_rates(rows, memory), row_modes(memory, rows)),
            **checks.reference(rows, observed),
            **standstill.reference(rows, observed),
            **spikes.reference(rows, memory),
            **level_step.reference(rows, memory),
            **classifier.normal_reference(memory, rows, window_rows=scorer.window_rows),
        },
        rows=len(rows),
        period_ns=period_ns,
        hop_rows=request.hop_rows,
        encoder=scorer.bundle.encoder,
        learnt_ns=request.time_ns,
    )


def _computed(request: CommissionRequest, kept: list[int]) -> bool:
    """Whether most channels are features of waveforms: no pre-trained network has seen such, the statistics decide."""
    return float(np.mean([is_feature(request.channels[at]) for at in kept])) > _MOST


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
