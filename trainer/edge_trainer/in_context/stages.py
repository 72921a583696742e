"""The stages of a judge, each of which takes up what the stage before left in the run's folder; trains nothing itself.

    corpus -> train -> evaluate -> threshold -> export

Every stage may be broken off and begun again: shards and networks that are there are not made anew.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edge_agent.detect.judge import MANY_ROWS
from edge_agent.errors import TrainingError
from edge_trainer.config import Config
from edge_trainer.in_context import bundled, corpus, fresh, measures, threshold, training
from edge_trainer.in_context.corpus import Corpus, Plan, Report
from edge_trainer.in_context.export import to_onnx
from edge_trainer.in_context.look import VERSION
from edge_trainer.in_context.machines.families import families
from edge_trainer.in_context.machines.machine import Split
from edge_trainer.in_context.network import JointJudge, JudgeNetwork
from edge_trainer.in_context.threshold import Limits

FOLDER = "judge"
GRAPH = "judge.onnx"
_EVALUATION = "evaluation"
_THRESHOLD = "threshold.json"
_JUDGE, _RANDOM = "mean of seeds", "random weights"
_RANDOM_SEED = 99
_CURVE = (0.1, 0.3)
"""Shares of the machines that the curve of quality is drawn with, besides all of them."""


def make_corpus(config: Config, report: Report) -> Path:
    """Make what is missing of the corpus, as long as the time allows; returns its folder."""
    settings, plan = config.judge, plan_of(config)
    wanted: list[tuple[Split, int]] = []
    for split, count in _wanted(config):
        wanted += [(split, number) for number in range(-(-count // settings.shard_episodes))]
    missing = corpus.make(plan, wanted, jobs=settings.jobs, minutes=settings.minutes, report=report)
    if missing:
        report(f"the time is up: {missing} shards are still to be made")
    return plan.folder


def plan_of(config: Config) -> Plan:
    """What the shards of a run follow from."""
    data = config.run.data
    return Plan(
        folder=config.judge.corpus,
        data=data if data.is_dir() and data != Path() else None,
        seed=config.run.seed,
        shard_episodes=config.judge.shard_episodes,
        windows=config.judge.windows,
        version=VERSION,
    )


def _wanted(config: Config) -> list[tuple[Split, int]]:
    """Episodes of each split; those to measure with come first, so that a short time leaves some."""
    plan, settings = plan_of(config), config.judge
    foreign = settings.foreign_episodes if families(data=plan.data, split="foreign") else 0
    return [
        ("held out", settings.held_out_episodes),
        ("foreign", foreign),
        ("training", settings.episodes),
    ]


def train(config: Config, report: Report) -> Path:
    """Train a network for each seed that there is none of yet; returns their folder.

    Raises:
        TrainingError: there is no corpus.
    """
    torch.set_num_threads(config.run.threads)
    folder, known = config.run.out / FOLDER, None
    for seed in _seeds(config):
        path = folder / f"seed-{seed}.pt"
        if path.exists():
            report(f"{path} is there")
            continue
        known = known or learnt_from(config)
        report(f"{len(known.family)} machines of {len(np.unique(known.family))} families")
        network = _trained(config, known, seed=seed, report=report)
        facts = {
            "machines": len(known.family),
            "families": len(np.unique(known.family)),
            "familiar_machines": bundled.familiar_machines(known),
            "settings": _settings(config),
        }
        training.save(network, path, facts)
    return folder


def learnt_from(config: Config) -> Corpus:
    """The training machines without the families that are left out."""
    whole = corpus.read(plan_of(config), "training")
    without = left_out(config)
    return corpus.only(whole, ~np.isin(whole.family, without)) if without else whole


def left_out(config: Config) -> list[str]:
    """Names of the families that nothing is learnt from.

    Raises:
        TrainingError: one that there is not.
    """
    there = families(data=plan_of(config).data, split="training")
    wanted = set(config.judge.without)
    known = {family.name for family in there} | {family.group for family in there}
    if wrong := sorted(wanted - known):
        raise TrainingError(f"no such family: {', '.join(wrong)}; there are {', '.join(sorted(known))}")
    return [family.name for family in there if wanted & {family.name, family.group}]


def evaluate(config: Config, report: Report) -> Path:
    """Measure on machines that were held out, and on families that nothing was learnt from; returns the table.

    Raises:
        TrainingError: nothing was trained yet.
    """
    torch.set_num_threads(config.run.threads)
    networks, plan = trained(config), plan_of(config)
    held_out = corpus.read(plan, "held out")
    random = training.forgotten(networks[0], seed=_RANDOM_SEED)
    told: dict[str, Any] = {}
    splits: list[tuple[str, Corpus]] = [("held-out machines", held_out)]
    if any(plan.path("foreign", 0).parent.glob("*.npz")):
        splits.append(("foreign families", corpus.read(plan, "foreign")))
    if names := left_out(config):
        splits.append(("families left out", corpus.only(held_out, np.isin(held_out.family, names))))
    for name, known in splits:
        told[name] = measures.table(
            known,
            {_JUDGE: JointJudge(networks), **_each(networks), _RANDOM: random},
            groups=_groups(config),
        )
    told["by machines"] = _curve(config, held_out, report)
    folder = config.run.out / FOLDER
    _write_json(folder / f"{_EVALUATION}.json", told)
    text = "\n\n".join(f"## {name}\n\n{measures.as_markdown(table)}" for name, table in told.items())
    path = folder / f"{_EVALUATION}.md"
    path.write_text(text + "\n", encoding="utf-8")
    report(text)
    return path


def _curve(config: Config, held_out: Corpus, report: Report) -> dict[str, dict[str, float]]:
    """Quality by the number of machines that were learnt from: the same machines, the first so many."""
    whole = learnt_from(config)
    columns = {}
    for share in _CURVE:
        count = int(share * len(whole.family))
        part = corpus.only(whole, np.arange(len(whole.family)) < count)
        if len(part.label) < config.judge.batch_windows:
            continue
        network = _trained(config, part, seed=config.run.seed, report=report)
        families_found = measures.by_family(held_out, training.judged(network, held_out)[0])
        columns[f"{count} machines"] = {"mean": measures.mean_of(families_found), **families_found}
    return columns


def set_threshold(config: Config, report: Report) -> Path:
    """Find the threshold on fresh machines; returns the file with what it reaches.

    Raises:
        TrainingError: nothing was trained yet, or no threshold keeps the budget.
    """
    torch.set_num_threads(config.run.threads)
    settings, networks = config.judge, trained(config)
    random = training.forgotten(networks[0], seed=_RANDOM_SEED)
    graphs = {
        _JUDGE: to_onnx(JointJudge(networks), **networks[0].sizes),
        _RANDOM: to_onnx(random, **networks[0].sizes),
    }
    watched = fresh.watch(
        plan_of(config),
        graphs,
        machines=settings.fresh_machines,
        jobs=settings.jobs,
        minutes=settings.fresh_minutes,
        report=report,
    )
    unseen = left_out(config)
    watched = [each for each in watched if each.family not in unseen]
    bounds = {
        "few_rows_quiet": settings.few_rows_quiet,
        "quiet": settings.quiet,
        "calm_share": settings.calm_share,
    }
    chosen = threshold.by_rows(watched, _JUDGE, **bounds)
    told = {
        "threshold": chosen.many,
        "few_rows_threshold": chosen.few,
        "state_threshold": threshold.of_state(watched, _JUDGE),
        "machines": len(watched),
        "budget": bounds,
        "reached": _quality(threshold.quality(watched, _JUDGE, chosen)),
        "statistics alone": _quality(threshold.quality(watched, threshold.STATISTICS, 0.0)),
        "by learnt rows": _by_learnt_rows(watched, chosen),
        "by group": _by_group(config, watched, chosen),
        "by budget": {
            budget: _quality(reached)
            for budget, reached in threshold.by_budget(watched, _JUDGE, chosen).items()
        },
    }
    try:
        limits = threshold.by_rows(watched, _RANDOM, **bounds)
        told[_RANDOM] = _quality(threshold.quality(watched, _RANDOM, limits))
    except TrainingError as error:
        told[_RANDOM] = str(error)
    path = config.run.out / FOLDER / _THRESHOLD
    _write_json(path, told)
    report(json.dumps(told, indent=2))
    return path


def fit(config: Config, report: Report, *, to: Path | None = None) -> Path:
    """All stages in order."""
    for stage in (make_corpus, train, evaluate, set_threshold):
        report(f"{stage.__name__}: {stage(config, report)}")
    return export(config, report, to=to)


def export(config: Config, report: Report, *, to: Path | None = None) -> Path:
    """Write the judge's graph; into a bundle, too, where one is named. Returns what was written last.

    Raises:
        TrainingError: no network or no threshold yet, or the graph answers otherwise than torch.
    """
    networks, folder = trained(config), config.run.out / FOLDER
    thresholds, told = _read_json(folder / _THRESHOLD), _told(config)
    raw = to_onnx(JointJudge(networks), **networks[0].sizes)
    (folder / GRAPH).write_bytes(raw)
    report(f"{folder / GRAPH}: {len(raw)} bytes")
    if to is None:
        return folder / GRAPH
    facts = training.load(folder / f"seed-{config.run.seed}.pt")[1]
    entry = bundled.entry_of(facts["familiar_machines"], thresholds)
    golden = bundled.golden_answers(JointJudge(networks), **networks[0].sizes)
    return bundled.put_into(to, raw, entry=entry, golden=golden, told=told, scratch=folder / "bundle")


def _by_learnt_rows(watched: Sequence[fresh.Watched], limit: Limits) -> dict[str, dict[str, float]]:
    """What is reached on machines that were learnt from little and from much."""
    few, many = f"below {MANY_ROWS}", f"{MANY_ROWS} and more"
    return _parted(watched, limit, lambda each: few if each.context_rows < MANY_ROWS else many)


def _by_group(config: Config, watched: Sequence[fresh.Watched], limit: Limits) -> dict[str, dict[str, float]]:
    """The same on machines of each origin."""
    group = _groups(config)
    return _parted(watched, limit, lambda each: group[each.family])


def _groups(config: Config) -> dict[str, str]:
    """Origin of every family."""
    data = plan_of(config).data
    splits: tuple[Split, ...] = ("training", "held out", "foreign")
    return {each.name: each.group for split in splits for each in families(data=data, split=split)}


def _parted(
    watched: Sequence[fresh.Watched], limit: Limits, part: Callable[[fresh.Watched], str]
) -> dict[str, dict[str, float]]:
    parts: dict[str, list[fresh.Watched]] = {}
    for each in watched:
        parts.setdefault(part(each), []).append(each)
    return {
        name: {"machines": float(len(mine)), **_quality(threshold.quality(mine, _JUDGE, limit))}
        for name, mine in sorted(parts.items())
    }


def _quality(reached: threshold.Quality) -> dict[str, float]:
    return {name: round(float(getattr(reached, name)), 4) for name in threshold.Quality.__slots__}


def trained(config: Config) -> list[JudgeNetwork]:
    """The networks of all seeds.

    Raises:
        TrainingError: one is missing.
    """
    return [training.load(config.run.out / FOLDER / f"seed-{seed}.pt")[0] for seed in _seeds(config)]


def _trained(config: Config, known: Corpus, *, seed: int, report: Report) -> JudgeNetwork:
    settings = config.judge
    return training.train(
        known,
        training.Schedule(
            epochs=settings.epochs,
            batch_windows=settings.batch_windows,
            learning_rate=settings.learning_rate,
        ),
        seed=seed,
        hidden=settings.hidden,
        dropout=settings.dropout,
        report=report,
    )


def _seeds(config: Config) -> range:
    return range(config.run.seed, config.run.seed + config.judge.seeds)


def _each(networks: Sequence[JudgeNetwork]) -> dict[str, nn.Module]:
    return (
        {f"seed {number + 1}": network for number, network in enumerate(networks)}
        if len(networks) > 1
        else {}
    )


def _settings(config: Config) -> dict[str, Any]:
    return config.judge.model_dump(mode="json", exclude={"corpus", "jobs"})


def _told(config: Config) -> dict[str, Any]:
    """Figures for the bundle's card, by name."""
    folder = config.run.out / FOLDER
    reached = _read_json(folder / _THRESHOLD)
    told = {f"fresh machines: {name}": value for name, value in reached["reached"].items()}
    told |= {"fresh machines": reached["machines"]}
    if (folder / f"{_EVALUATION}.json").exists():
        for split, table in _read_json(folder / f"{_EVALUATION}.json").items():
            told |= {
                f"{split}: average precision, {name}": round(column["mean"], 3)
                for name, column in table.items()
                if not name.startswith("seed")
            }
    return told


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read: {error}; run the stages before") from error
    return found


def _write_json(path: Path, told: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
