"""The threshold of a fine-tuned judge, on fresh machines of the site that were left out and on general ones."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.errors import TrainingError
from edge_trainer.in_context import fresh, threshold
from edge_trainer.in_context.export import to_onnx
from edge_trainer.in_context.fresh import Watched
from edge_trainer.in_context.network import JointJudge, JudgeNetwork
from edge_trainer.in_context.site.gain import gain
from edge_trainer.in_context.site.run import (
    EPISODES_SHARE,
    LEFT_OUT,
    MEASURED,
    SHIPPED,
    TUNED,
    Run,
    budget_of,
    write_json,
)
from edge_trainer.in_context.threshold import Quality


def path_of(run: Run) -> Path:
    """Where they are kept."""
    return run.folder / "thresholds.json"


def set_thresholds(run: Run, networks: Sequence[JudgeNetwork]) -> dict[str, Any]:
    """The thresholds, and what alarms both judges would have given; those that are kept, where there are.

    Raises:
        TrainingError: no threshold keeps the budget, or nothing could be watched.
    """
    path = path_of(run)
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    watched = _watched(run, networks)
    bounds = budget_of(run.config.judge)
    tuned = {part: threshold.smallest(machines, TUNED, **bounds) for part, machines in watched.items()}
    shipped = {part: _kept(machines, bounds) for part, machines in watched.items()}
    limit, service = max(each.threshold for each in tuned.values()), run.shipped.limits
    alarms: dict[str, Quality] = {}
    for part, machines in watched.items():
        alarms[f"{part}, shipped as it is"] = threshold.quality(machines, SHIPPED, service)
        if (in_budget := shipped[part]) is not None:
            alarms[f"{part}, shipped in budget"] = in_budget
        alarms[f"{part}, fine-tuned in budget"] = tuned[part]
        alarms[f"{part}, fine-tuned as exported"] = threshold.quality(machines, TUNED, limit)
    everyone = [each for machines in watched.values() for each in machines]
    told = {
        "threshold": limit,
        "few_rows_threshold": limit + max(0.0, service.few - service.many),
        "state_threshold": threshold.of_state(everyone, TUNED),
        "shipped": service.many,
        "machines": len(everyone),
        "alarms": {name: asdict(each) for name, each in alarms.items()},
    }
    if (before := shipped[LEFT_OUT]) is not None:
        told["found"] = _found_more(watched[LEFT_OUT], before.threshold, tuned[LEFT_OUT].threshold)
    write_json(path, told)
    return told


def _kept(machines: Sequence[Watched], bounds: Mapping[str, float]) -> Quality | None:
    """What the shipped judge reaches within the budget; None where it keeps it nowhere."""
    try:
        return threshold.smallest(machines, SHIPPED, **bounds)
    except TrainingError:
        return None


def _watched(run: Run, networks: Sequence[JudgeNetwork]) -> dict[str, list[Watched]]:
    """Fresh machines of the site that were left out, and general ones, as both judges watch them."""
    settings = run.config.site
    graphs = {
        SHIPPED: run.shipped.bundled.model,
        TUNED: to_onnx(JointJudge(networks), **networks[0].sizes),
    }
    minutes = (1.0 - EPISODES_SHARE) * settings.minutes / len(MEASURED)
    return {
        name: fresh.watch(
            run.plan,
            graphs,
            split=split,
            machines=settings.fresh_machines,
            jobs=run.config.judge.jobs,
            minutes=minutes,
            report=run.report,
        )
        for name, split in MEASURED
    }


def _found_more(machines: Sequence[Watched], before: float, after: float) -> dict[str, float]:
    """Share of the faults that is found on each machine, with each judge at a threshold of its own."""
    ill = [each for each in machines if each.faults]
    found = {
        network: np.array([threshold.quality([each], network, limit).found for each in ill])
        for network, limit in ((SHIPPED, before), (TUNED, after))
    }
    return asdict(gain(found[SHIPPED], found[TUNED], [each.family for each in ill]))
