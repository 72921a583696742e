"""How a judge learns from a corpus; the same seed gives the same weights on the same machine.

Axes: B windows of a batch, C channels, F features of a channel, G features of the machine, K all channels of a corpus.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from edge_agent.errors import TrainingError
from edge_trainer.in_context.corpus import Corpus
from edge_trainer.in_context.network import JudgeNetwork

_SCALE_WINDOWS = 20_000
_BATCHES_SORTED = 8
"""Batches whose windows are sorted by their channels together, so that little of a batch is padding."""
_CHANNEL_WEIGHT = 0.3
_WEIGHT_DECAY = 1e-3
_WARM_UP_SHARE = 0.1
_LARGEST_GRADIENT = 1.0
_TOLD_BATCHES = 300
_SCORED_WINDOWS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how fast is learnt."""

    epochs: int
    batch_windows: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of any machines, padded to the most channels among them.

    Attributes:
        channels: [B, C, F]. machine: [B, G]. present, guilty: [B, C].
        label, weight: [B].
    """

    channels: Tensor
    machine: Tensor
    present: Tensor
    guilty: Tensor
    label: Tensor
    weight: Tensor


def batch_of(corpus: Corpus, windows: npt.NDArray[np.int64], *, starts: npt.NDArray[np.int64]) -> Batch:
    """Some windows of the corpus; `starts` are those of the corpus, found once."""
    counts = corpus.counts[windows]
    place = np.arange(int(counts.max()))
    there = place < counts[:, None]
    cells = np.where(there, starts[windows][:, None] + place, 0)
    return Batch(
        channels=torch.from_numpy(corpus.channels[cells].astype(np.float32)),
        machine=torch.from_numpy(corpus.machine[windows].astype(np.float32)),
        present=torch.from_numpy(there & corpus.present[cells]),
        guilty=torch.from_numpy((there & corpus.guilty[cells]).astype(np.float32)),
        label=torch.from_numpy(corpus.label[windows].astype(np.float32)),
        weight=torch.from_numpy(corpus.weight[windows]),
    )


def loss(network: JudgeNetwork, batch: Batch) -> Tensor:
    """Cross-entropy of the windows, and of their channels with a smaller weight."""
    window, channels = network(batch.channels, batch.machine, batch.present)
    told = functional.binary_cross_entropy_with_logits(window, batch.label, reduction="none")
    each = functional.binary_cross_entropy_with_logits(channels, batch.guilty, reduction="none")
    there = batch.present.to(each.dtype)
    return (told * batch.weight).mean() + _CHANNEL_WEIGHT * (each * there).sum() / there.sum().clamp(min=1.0)


def untrained(corpus: Corpus, *, seed: int, hidden: int, dropout: float) -> JudgeNetwork:
    """A judge with random weights that knows the features' scales."""
    torch.manual_seed(seed)
    network = JudgeNetwork(
        channel_features=corpus.channels.shape[1],
        machine_features=corpus.machine.shape[1],
        hidden=hidden,
        dropout=dropout,
    )
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(corpus.label), min(len(corpus.label), _SCALE_WINDOWS), replace=False)
    seen = batch_of(corpus, chosen.astype(np.int64), starts=corpus.starts)
    network.learn_scales(seen.channels[seen.present], seen.machine)
    return network


def forgotten(network: JudgeNetwork, *, seed: int) -> JudgeNetwork:
    """A judge that has learnt nothing but the features' scales, to be set beside one that has."""
    torch.manual_seed(seed)
    fresh = JudgeNetwork(**network.sizes, hidden=network.hidden, dropout=0.0)
    fresh.load_state_dict(dict(network.named_buffers()), strict=False)
    return fresh.eval()


def train(
    corpus: Corpus,
    schedule: Schedule,
    *,
    seed: int,
    hidden: int,
    dropout: float,
    report: Callable[[str], None],
    start: JudgeNetwork | None = None,
) -> JudgeNetwork:
    """A judge that has learnt from the corpus.

    Args:
        corpus: of episodes.
        schedule: how long and how fast.
        seed: of all chance.
        hidden: units.
        dropout: share of features that are taken away while training.
        report: told of each epoch.
        start: a judge that goes on learning, with the features' scales that it knows; it stays what it is. Its own size
            and dropout count. None: random weights.

    Raises:
        TrainingError: the corpus holds not even one batch, or the loss is no number any more.
    """
    network = untrained(corpus, seed=seed, hidden=hidden, dropout=dropout)
    if start is not None:
        network = deepcopy(start)
    rng = np.random.default_rng([seed, 1])
    batches = len(corpus.label) // schedule.batch_windows
    if batches == 0:
        raise TrainingError(f"{len(corpus.label)} windows are less than one batch")
    optimiser = torch.optim.AdamW(network.parameters(), lr=schedule.learning_rate, weight_decay=_WEIGHT_DECAY)
    pace = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        max_lr=schedule.learning_rate,
        total_steps=schedule.epochs * batches + 1,
        pct_start=_WARM_UP_SHARE,
    )
    starts = corpus.starts
    network.train()
    for epoch in range(schedule.epochs):
        losses = []
        for windows in _order(rng, corpus.counts, batch=schedule.batch_windows):
            found = loss(network, batch_of(corpus, windows, starts=starts))
            optimiser.zero_grad()
            found.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
            optimiser.step()
            pace.step()
            losses.append(float(found.detach()))
        newest = float(np.mean(losses[-_TOLD_BATCHES:]))
        if not np.isfinite(newest):
            raise TrainingError(f"the loss is {newest} after {epoch + 1} epochs")
        report(f"seed {seed}, epoch {epoch + 1} of {schedule.epochs}: loss {newest:.4f}")
    return network.eval()


def _order(
    rng: np.random.Generator, counts: npt.NDArray[np.int64], *, batch: int
) -> Iterator[npt.NDArray[np.int64]]:
    """All windows once, batch by batch: at random, but those of one batch have about as many channels."""
    order = rng.permutation(len(counts))
    batches = []
    for at in range(0, len(order), batch * _BATCHES_SORTED):
        block = order[at : at + batch * _BATCHES_SORTED]
        block = block[np.argsort(counts[block], kind="stable")]
        batches += [block[start : start + batch] for start in range(0, len(block) - batch + 1, batch)]
    for which in rng.permutation(len(batches)):
        yield batches[which]


@torch.no_grad()
def judged(
    network: torch.nn.Module, corpus: Corpus
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Logits of all windows [W] and of all their channels [K]."""
    starts, order = corpus.starts, np.argsort(corpus.counts, kind="stable")
    window = np.empty(len(corpus.label), np.float32)
    channels = np.empty(len(corpus.present), np.float32)
    for at in range(0, len(order), _SCORED_WINDOWS):
        chosen = order[at : at + _SCORED_WINDOWS]
        batch = batch_of(corpus, chosen, starts=starts)
        logit, logits = network(batch.channels, batch.machine, batch.present)
        window[chosen] = logit.numpy()
        place = np.arange(logits.shape[1])
        there = place < corpus.counts[chosen][:, None]
        channels[(starts[chosen][:, None] + place)[there]] = logits.numpy()[there]
    return window, channels


def save(network: JudgeNetwork, path: Path, facts: dict[str, Any]) -> None:
    """Weights, with what is to be known of them, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    sizes = {**network.sizes, "hidden": network.hidden}
    torch.save({"weights": network.state_dict(), "sizes": sizes, "facts": facts}, partial)
    partial.replace(path)


def load(path: Path) -> tuple[JudgeNetwork, dict[str, Any]]:
    """(the judge, what is known of it).

    Raises:
        TrainingError: there is none, or the file is none.
    """
    try:
        kept = torch.load(path, weights_only=True)
        network = JudgeNetwork(**kept["sizes"])
        network.load_state_dict(kept["weights"])
    except (OSError, RuntimeError, KeyError, EOFError) as error:
        raise TrainingError(f"{path} holds no judge: {error}") from error
    return network.eval(), kept["facts"]
