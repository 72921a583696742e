"""One run of fine-tuning: its settings, its machines, the judge that it begins with. Trains nothing."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_agent.errors import TrainingError
from edge_trainer.config import Config, JudgeSection
from edge_trainer.data.windows import find_all
from edge_trainer.in_context.corpus import Plan, Report
from edge_trainer.in_context.machines.machine import Split
from edge_trainer.in_context.machines.site import Site
from edge_trainer.in_context.site import shipped
from edge_trainer.in_context.site.shipped import Shipped
from edge_trainer.in_context.stages import plan_of

FOLDER = "site"
SHIPPED, TUNED = "shipped", "fine-tuned"
LEFT_OUT, GENERAL = "the site's machines left out", "general machines held out"
MEASURED: tuple[tuple[str, Split], ...] = ((LEFT_OUT, "site left out"), (GENERAL, "held out"))
"""On whom both judges are measured, and the split of the corpus that holds them."""
EPISODES_SHARE = 0.6
"""Of the minutes that making episodes may take; what is left is for watching machines."""
_BEGUN = "begun.json"


@dataclass(frozen=True, slots=True)
class Run:
    """What all parts of a run share.

    Attributes:
        config: its settings. plan: of the site's and of general machines. folder: of what is left.
        shipped: the judge that it begins with.
        report: told of what is done.
    """

    config: Config
    plan: Plan
    folder: Path
    shipped: Shipped
    report: Report


def begin(config: Config, report: Report, start: Path) -> Run:
    """The run that the settings ask for, begun or gone on with.

    Raises:
        RecordingError: the recordings cannot be used. BundleError: there is no bundle in `start`.
        TrainingError: it has no judge, or the folder holds another run.
    """
    settings, folder = config.site, config.run.out / FOLDER
    files = tuple(path.absolute() for path in find_all(config.run.data, settings.recordings))
    site = Site(
        shards=folder / "episodes",
        files=files,
        exclude=settings.exclude_columns,
        period_s=settings.period_s,
        left_out_share=settings.left_out_share,
        seed=config.run.seed,
    )
    known = shipped.read(start, dropout=config.judge.dropout)
    _claim(folder, config, files, known)
    return Run(config, replace(plan_of(config), site=site), folder, known, report)


def _claim(folder: Path, config: Config, files: Sequence[Path], known: Shipped) -> None:
    """Keep what the run follows from.

    Raises:
        TrainingError: the folder holds a run that follows from something else.
    """
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    judge = config.judge
    told = {
        "recordings": digest.hexdigest(),
        "judge": known.bundled.identity,
        "seed": config.run.seed,
        "corpus": str(judge.corpus),
        "shards": [judge.shard_episodes, judge.windows, judge.batch_windows, judge.dropout],
        "budget": budget_of(judge),
        "settings": config.site.model_dump(mode="json", exclude={"recordings", "minutes"}),
    }
    path = folder / _BEGUN
    if path.exists() and (before := json.loads(path.read_text(encoding="utf-8"))) != told:
        others = ", ".join(name for name, value in told.items() if before.get(name) != value)
        raise TrainingError(f"{folder} holds a run with another {others}: name another folder (--out)")
    write_json(path, told)


def budget_of(settings: JudgeSection) -> dict[str, float]:
    """The bounds that a threshold keeps, as `threshold.smallest` takes them."""
    return {"quiet": settings.quiet, "calm_share": settings.calm_share}


def write_json(path: Path, told: Mapping[str, Any]) -> None:
    """Write what is told, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
