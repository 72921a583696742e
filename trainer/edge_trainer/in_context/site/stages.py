"""From a site's recordings to a bundle whose judge knows the site, where that is a gain.

    episodes -> networks -> gain -> threshold -> bundle

What is there is not made anew, and a run's folder holds one site with one judge and one set of settings.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge_agent.detect.fusion import joined as joined_statistics
from edge_agent.errors import TrainingError
from edge_trainer.bundle.placing import place
from edge_trainer.config import Config
from edge_trainer.in_context import bundled, corpus, measures, training
from edge_trainer.in_context.corpus import Corpus, Report
from edge_trainer.in_context.export import to_onnx
from edge_trainer.in_context.machines.machine import Split
from edge_trainer.in_context.network import JointJudge, JudgeNetwork
from edge_trainer.in_context.site import thresholds
from edge_trainer.in_context.site.gain import gain
from edge_trainer.in_context.site.report import as_markdown
from edge_trainer.in_context.site.run import (
    EPISODES_SHARE,
    GENERAL,
    LEFT_OUT,
    MEASURED,
    SHIPPED,
    TUNED,
    Run,
    begin,
    write_json,
)

REPORT, BUNDLE = "report", "bundle"


def fine_tune(config: Config, report: Report, *, start: Path, to: Path | None = None) -> Path:
    """Let the judge of the bundle `start` learn from the site; returns the report, or `to` with the new bundle in it.

    Raises:
        RecordingError: the recordings cannot be used. BundleError: there is no bundle in `start`.
        TrainingError: it has no judge, the folder is of another run, or `to` is named and there is no gain.
    """
    torch.set_num_threads(config.run.threads)
    run = begin(config, report, start)
    _make_episodes(run)
    mixed, told = _mixture(run)
    networks = _networks(run, mixed)
    told["gain"] = {name: _gain_of(run, networks, split) for name, split in MEASURED}
    try:
        told["thresholds"] = thresholds.set_thresholds(run, networks)
        refused = _refusal(told, most_harm=config.site.most_harm)
    except TrainingError as error:
        refused = str(error)
    told["verdict"] = f"Not exported: {refused}." if refused else "Exported: a gain is shown, and no harm."
    page = _write_report(run.folder, told)
    report(page)
    if refused is None:
        written = _export(run, networks, start=start, known=mixed, told=told)
        return written if to is None else place(written, to)
    if to is not None:
        raise TrainingError(f"{to} is not written: {refused}; see {run.folder / REPORT}.md")
    return run.folder / f"{REPORT}.md"


def _make_episodes(run: Run) -> None:
    """Make what is missing: first what is measured with, then a shard of the site and its share of general ones."""
    site, per_shard = run.config.site, run.config.judge.shard_episodes
    wanted: list[tuple[Split, int]] = []
    for split, count in (("site left out", site.left_out_episodes), ("held out", site.general_episodes)):
        wanted += [(split, number) for number in range(-(-count // per_shard))]  # type: ignore[misc]
    for number in range(-(-site.episodes // per_shard)):
        first = number * site.general_share
        wanted.append(("site", number))
        wanted += [("training", first + at) for at in range(site.general_share)]
    minutes = EPISODES_SHARE * site.minutes
    missing = corpus.make(run.plan, wanted, jobs=run.config.judge.jobs, minutes=minutes, report=run.report)
    if missing:
        run.report(f"the time is up: {missing} shards are still to be made")


def _mixture(run: Run) -> tuple[Corpus, dict[str, Any]]:
    """The site's episodes with their share of general ones, and what is told of them.

    Raises:
        TrainingError: there are none of either.
    """
    share = run.config.site.general_share
    mine = corpus.read(run.plan, "site")
    shards = -(-share * len(mine.family) // run.config.judge.shard_episodes) + share
    general = corpus.read(run.plan, "training", shards=shards)
    count = min(share * len(mine.family), len(general.family))
    mine = corpus.only(mine, np.arange(len(mine.family)) < count // share)
    general = corpus.only(general, np.arange(len(general.family)) < count)
    site = run.plan.site
    learnt, left_out = (
        (sorted(site.machines(split)) for split in ("site", "site left out")) if site else ([], [])
    )
    return corpus.joined([mine, general]), {
        "made of": {
            "machines": learnt,
            "left out": left_out,
            "machines left out": learnt != left_out,
            "episodes": len(mine.family),
            "general episodes": len(general.family),
        }
    }


def _networks(run: Run, mixed: Corpus) -> list[JudgeNetwork]:
    """The shipped networks after they went on learning, each with a seed of its own."""
    settings = run.config.site
    schedule = training.Schedule(
        epochs=settings.epochs,
        batch_windows=run.config.judge.batch_windows,
        learning_rate=settings.learning_rate,
    )
    found = []
    for number, start in enumerate(run.shipped.networks):
        path = run.folder / f"network-{number}.pt"
        if not path.exists() or training.load(path)[1]["episodes"] != len(mixed.family):
            thresholds.path_of(run).unlink(missing_ok=True)
            network = training.train(
                mixed,
                schedule,
                seed=run.config.run.seed + number,
                hidden=start.hidden,
                dropout=start.dropout,
                report=run.report,
                start=start,
            )
            training.save(network, path, {"episodes": len(mixed.family)})
        found.append(training.load(path)[0])
    return found


def _gain_of(run: Run, networks: Sequence[JudgeNetwork], split: Split) -> dict[str, float]:
    """Average precision within machines of a split, with the shipped judge and with the fine-tuned one."""
    known = corpus.read(run.plan, split)
    before, after = (
        measures.by_machine(known, training.judged(JointJudge(each), known)[0])
        for each in (run.shipped.networks, networks)
    )
    statistics = measures.by_family(known, joined_statistics(known.parts))
    found = gain(before, after, known.family.tolist())
    return {"statistics": measures.mean_of(statistics), **asdict(found)}


def _refusal(told: Mapping[str, Any], *, most_harm: float) -> str | None:
    """Why the fine-tuned judge may not take the place of the shipped one; None where it may."""
    gains, found = told["gain"], told["thresholds"].get("found")
    if not gains[LEFT_OUT]["low"] > 0.0:
        return f"no gain is shown on {LEFT_OUT}"
    if not gains[GENERAL]["low"] >= -most_harm:
        return f"{GENERAL} may have lost more than {most_harm:g}"
    if found is not None and found["high"] < 0.0:
        return f"fewer faults are found at the budget on {LEFT_OUT}"
    return None


def _export(
    run: Run, networks: Sequence[JudgeNetwork], *, start: Path, known: Corpus, told: Mapping[str, Any]
) -> Path:
    """A bundle like the one that was begun with, but for its judge."""
    target = place(start, run.folder / BUNDLE)
    figures = {
        f"{name}: average precision, {what}": round(found[key], 3)
        for name, found in told["gain"].items()
        for what, key in ((SHIPPED, "before"), (TUNED, "after"))
    }
    scratch = run.folder / "scratch"
    bundled.put_into(
        target,
        to_onnx(JointJudge(networks), **networks[0].sizes),
        entry=bundled.entry_of(bundled.familiar_machines(known), told["thresholds"]),
        golden=bundled.golden_answers(JointJudge(networks), **networks[0].sizes),
        told={**figures, "machines of the site": len(told["made of"]["machines"])},
        scratch=scratch,
    )
    shutil.rmtree(scratch, ignore_errors=True)
    return target


def _write_report(folder: Path, told: Mapping[str, Any]) -> str:
    write_json(folder / f"{REPORT}.json", told)
    page = as_markdown(told)
    (folder / f"{REPORT}.md").write_text(page, encoding="utf-8")
    return page
