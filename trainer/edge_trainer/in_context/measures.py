"""What a judge is worth on machines that it never saw, beside random weights and beside the statistics alone.

Windows of one machine are ranked against each other, so that no threshold is asked for: average precision within a
machine, mean over the machines of a family, mean over families.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from torch import nn

from edge_agent.detect.fusion import joined
from edge_agent.detect.judge import alarm_logit, objection
from edge_trainer.evaluation.measures import auc_pr
from edge_trainer.in_context.corpus import Corpus
from edge_trainer.in_context.training import judged

Scores = npt.NDArray[np.floating]


def by_family(corpus: Corpus, score: Scores) -> dict[str, float]:
    """Mean average precision within a machine of each family; families without a fault are left out."""
    found: dict[str, list[float]] = {}
    for family, value in zip(corpus.family.tolist(), by_machine(corpus, score).tolist(), strict=True):
        if np.isfinite(value):
            found.setdefault(family, []).append(value)
    return {family: float(np.mean(values)) for family, values in sorted(found.items())}


def by_machine(corpus: Corpus, score: Scores) -> npt.NDArray[np.float64]:
    """Average precision within each machine [N]; NaN of one that has no fault, or nothing else."""
    found = np.full(len(corpus.family), np.nan)
    for number in range(len(found)):
        mine = corpus.episode == number
        label = corpus.label[mine]
        if 0 < label.sum() < len(label):
            found[number] = auc_pr(score[mine], label)
    return found


def by_context(corpus: Corpus, score: Scores) -> dict[str, float]:
    """The same of machines that were learnt from little, more and much."""
    bounds = {"below 1000": (0, 1000), "1000 to 3000": (1000, 3000), "3000 and more": (3000, 1 << 40)}
    found, told = {}, by_machine(corpus, score)
    for name, (low, high) in bounds.items():
        rows = corpus.context_rows
        values = told[(rows >= low) & (rows < high) & np.isfinite(told)]
        if len(values):
            found[name] = float(np.mean(values))
    return found


def guilty_first(corpus: Corpus, channels: Scores) -> float:
    """Share of faulty windows whose loudest channel is a guilty one; windows of one channel do not count."""
    starts = corpus.starts
    hits = [
        corpus.guilty[start : start + count][int(np.argmax(channels[start : start + count]))]
        for start, count, faulty in zip(starts, corpus.counts, corpus.label, strict=True)
        if faulty and count > 1 and corpus.guilty[start : start + count].any()
    ]
    return float(np.mean(hits)) if hits else float("nan")


def mean_of(families: Mapping[str, float]) -> float:
    """Mean over families."""
    return float(np.mean(list(families.values()))) if families else float("nan")


def table(
    corpus: Corpus, networks: Mapping[str, nn.Module], *, groups: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """Column by column: average precision of each family, their means, and hits of the guilty channel.

    Besides the networks there are the statistics alone, and each network with the statistics, as on a gateway.

    Args:
        corpus: machines that no network has seen.
        networks: by the name of their column.
        groups: of the families; their means have rows of their own.
    """
    columns = {"statistics alone": _column(corpus, joined(corpus.parts), groups)}
    objections = np.array([objection(rows) for rows in corpus.context_rows.tolist()], np.float32)
    for name, network in networks.items():
        logit, channels = judged(network, corpus)
        hits = {"guilty channel first": guilty_first(corpus, channels)}
        columns[name] = _column(corpus, logit, groups) | hits
        together = alarm_logit(logit, corpus.parts[:, 0], objection=objections[corpus.episode])
        columns[f"{name} and statistics"] = _column(corpus, together, groups)
    return columns


def _column(corpus: Corpus, score: Scores, groups: Mapping[str, str]) -> dict[str, float]:
    found = by_family(corpus, score)
    of_group: dict[str, dict[str, float]] = {}
    for family, value in found.items():
        of_group.setdefault(groups[family], {})[family] = value
    means = {f"all of group {name}": mean_of(of_group[name]) for name in sorted(of_group)}
    contexts = {f"learnt from {name} rows": value for name, value in by_context(corpus, score).items()}
    return {"mean": mean_of(found), **means, **contexts, **found}


def as_markdown(columns: Mapping[str, Mapping[str, float]]) -> str:
    """The table for people, a row a family."""
    names = list(columns)
    rows = list(dict.fromkeys(key for column in columns.values() for key in column))
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for row in rows:
        cells = [f"{columns[name][row]:.3f}" if row in columns[name] else "" for name in names]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
