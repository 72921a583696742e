"""The one training loop: steps, learning rate, checkpoints, early stopping; knows neither data nor objectives.

The generator of step n is seeded by (seed, n) alone, so a resumed run draws exactly what an uninterrupted one
would have drawn, and a checkpoint needs no generator state. Files hold tensors, numbers and text only and are
read with `weights_only=True`: nothing is unpickled.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from edge_agent.errors import TrainingError
from edge_trainer.network.network import Head, Network
from edge_trainer.training import parallel

CHECKPOINT = "checkpoint.pt"
NETWORK = "network.pt"
_LOWEST_RATE = 0.02
"""Share of the learning rate that is left at the last step."""
_LINE_S = 10.0
"""From one line of progress to the next."""

StepLoss = Callable[[int, np.random.Generator], tuple[Tensor, dict[str, float]]]
"""The loss of a step, counted from 0, with its parts for the record."""
Validate = Callable[[], float]
"""A measure on held-out data, lower is better; called with the network in evaluation mode."""


class Fingerprint(NamedTuple):
    """What a run follows from: its settings as text, and the digest of the recordings that it reads."""

    settings: str
    data: str = ""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast.

    Attributes:
        steps: of the whole run.
        learning_rate: its peak, reached after `warmup_steps`, then falling along a cosine.
        checkpoint_steps: steps between two checkpoints.
        validate_steps: steps between two validations.
        patience: validations without improvement after which the run ends; None: never.
        gradient_limit: norm at which gradients are clipped.
    """

    steps: int
    learning_rate: float
    warmup_steps: int = 50
    weight_decay: float = 1e-4
    checkpoint_steps: int = 200
    validate_steps: int = 200
    patience: int | None = None
    gradient_limit: float = 1.0

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * (_LOWEST_RATE + (1 - _LOWEST_RATE) * 0.5 * (1 + math.cos(math.pi * done)))


@dataclass(slots=True)
class History:
    """What a run went through: parts of the loss at each step, and (step, measure) at each validation."""

    losses: list[dict[str, float]] = field(default_factory=list)
    validations: list[tuple[int, float]] = field(default_factory=list)

    @property
    def best(self) -> float:
        """Lowest validation measure so far, infinite before the first."""
        return min((measure for _, measure in self.validations), default=math.inf)

    def stale(self) -> int:
        """Validations since the best one."""
        measures = [measure for _, measure in self.validations]
        return len(measures) - 1 - measures.index(min(measures)) if measures else 0


def fit(
    network: Network,
    step_loss: StepLoss,
    validate: Validate,
    *,
    schedule: Schedule,
    seed: int,
    folder: Path,
    fingerprint: Fingerprint,
    companions: nn.Module | None = None,
) -> History:
    """Train, starting from the folder's checkpoint where there is one; leaves the best weights in the network.

    Args:
        network: trained in place; parameters that need no gradient stay as they are.
        step_loss: called once a step with that step's number and generator.
        validate: decides which weights are the best.
        schedule: how long and how fast.
        seed: of all chance.
        folder: where the checkpoint lies.
        fingerprint: of everything that shapes the run; a checkpoint of another run is refused.
        companions: what the objectives train beside the network and nobody keeps.

    Raises:
        TrainingError: the loss is no longer finite, or the checkpoint belongs to another run.
    """
    whole = nn.ModuleDict({"network": network, "companions": companions or nn.ModuleDict()})
    trained = [parameter for parameter in whole.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    history, best, start = History(), _copy(network), 0
    where = folder / CHECKPOINT
    if where.exists():
        start, best = _resume(where, whole, optimizer, history=history, fingerprint=fingerprint)
    parallel.wait()  # nobody writes a checkpoint before all have looked for one
    step_module = parallel.wrapped(_Step(whole, step_loss))
    with _progress(folder.name, start=start, steps=schedule.steps) as advanced:
        for step in range(start, schedule.steps):
            if _ended(history, schedule):
                break
            note = _step(step_module, optimizer, schedule=schedule, step=step, seed=seed)
            history.losses.append(note)
            last = step + 1 == schedule.steps
            if last or (step + 1) % schedule.validate_steps == 0:
                if (measure := _validated(network, validate)) < history.best:
                    best = _copy(network)
                history.validations.append((step + 1, measure))
            if last or (step + 1) % schedule.checkpoint_steps == 0 or _ended(history, schedule):
                _save(where, whole, optimizer, history=history, best=best, fingerprint=fingerprint)
            advanced(step + 1, f"loss {note['total']:.4f}")
    network.load_state_dict(best)
    network.eval()
    return history


class _Step(nn.Module):
    """One step's loss as a module's forward pass, so that several processes can average its gradients."""

    def __init__(self, whole: nn.Module, step_loss: StepLoss) -> None:
        super().__init__()
        self.whole = whole
        self.step_loss = step_loss

    def forward(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """The loss and its parts."""
        return self.step_loss(step, rng)


def _rng(seed: int, step: int) -> np.random.Generator:
    """Of a step; a further process draws its own share of the whole batch."""
    rank = parallel.rank()
    return np.random.default_rng([seed, step, rank] if rank else [seed, step])


def _ended(history: History, schedule: Schedule) -> bool:
    return schedule.patience is not None and history.stale() >= schedule.patience


def _step(
    module: nn.Module, optimizer: torch.optim.Optimizer, *, schedule: Schedule, step: int, seed: int
) -> dict[str, float]:
    module.train()
    for group in optimizer.param_groups:
        group["lr"] = schedule.rate(step)
    loss, parts = module(step, _rng(seed, step))
    if not torch.isfinite(loss):
        raise TrainingError(f"the loss is {float(loss)}: lower the learning rate or look at the data")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), schedule.gradient_limit)
    optimizer.step()
    return {"total": float(loss.detach()), **parts}


def _validated(network: Network, validate: Validate) -> float:
    network.eval()
    with torch.no_grad():
        return parallel.agreed(validate())


def _copy(network: Network) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _save(
    path: Path,
    whole: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    history: History,
    best: dict[str, Tensor],
    fingerprint: Fingerprint,
) -> None:
    state = {
        "fingerprint": fingerprint.settings,
        "data": fingerprint.data,
        "step": len(history.losses),
        "whole": whole.state_dict(),
        "best": best,
        "optimizer": optimizer.state_dict(),
        "losses": history.losses,
        "validations": history.validations,
    }
    _write(path, state)


def _resume(
    path: Path,
    whole: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    history: History,
    fingerprint: Fingerprint,
) -> tuple[int, dict[str, Tensor]]:
    """(step to go on from, the best weights so far); modules, optimizer and history are set as they were."""
    state = _read(path)
    found = Fingerprint(state.get("fingerprint", ""), state.get("data", ""))
    if found != fingerprint:
        other = "on other recordings" if found.settings == fingerprint.settings else "with other settings"
        raise TrainingError(
            f"{path} belongs to a run {other}: choose another directory (--out), or remove it to train anew"
        )
    whole.load_state_dict(state["whole"])
    optimizer.load_state_dict(state["optimizer"])
    history.losses = state["losses"]
    history.validations = [(int(step), float(measure)) for step, measure in state["validations"]]
    return int(state["step"]), state["best"]


def _write(path: Path, state: dict[str, Any]) -> None:
    """Whole or not at all: a run that is stopped while writing keeps the checkpoint before."""
    if parallel.rank() > 0:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
    except FileNotFoundError as error:
        raise TrainingError(f"{path}: no such file; run the stage before first") from error
    except Exception as error:  # torch.load raises several kinds for a damaged file
        raise TrainingError(f"{path}: cannot be read: {error}") from error
    return state


def save_network(path: Path, network: Network, facts: dict[str, Any]) -> None:
    """The weights, what is needed to build the network again, and facts (numbers, text, lists, tables of them)."""
    head = network.head
    spec = {
        "architecture": network.architecture,
        "window_rows": network.window_rows,
        "embedding_dim": network.embedding_dim,
        "head": None if head is None else {"channels": head.channels, "classes": head.classes},
    }
    _write(path, {"spec": spec, "weights": network.state_dict(), "facts": facts})


def load_network(path: Path) -> tuple[Network, dict[str, Any]]:
    """(the network in evaluation mode, the facts saved with it).

    Raises:
        TrainingError: the file is missing or no network.
    """
    state = _read(path)
    spec = state["spec"]
    head = None
    if spec["head"] is not None:
        head = Head(embedding_dim=spec["embedding_dim"], **spec["head"])
    network = Network(
        architecture=spec["architecture"],
        window_rows=spec["window_rows"],
        embedding_dim=spec["embedding_dim"],
        head=head,
    )
    network.load_state_dict(state["weights"])
    network.eval()
    return network, state["facts"]


@contextmanager
def _progress(name: str, *, start: int, steps: int) -> Iterator[Callable[[int, str], None]]:
    """Told of each step that is done: a bar on a terminal, elsewhere a line at once and then every few seconds."""
    console = Console(stderr=True)
    if parallel.rank() > 0:
        yield lambda _done, _note: None
    elif console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, TextColumn("{task.fields[note]}"), console=console) as bar:
            task = bar.add_task(name, total=steps, completed=start, note="")
            yield lambda done, note: bar.update(task, completed=done, note=note)
    else:
        yield _Lines(name, start=start, steps=steps, console=console)


class _Lines:
    """Progress where nobody sees a bar: a log, a pipe, a scheduler."""

    def __init__(self, name: str, *, start: int, steps: int, console: Console) -> None:
        self._name, self._start, self._steps, self._console = name, start, steps, console
        self._began = time.monotonic()
        self._next = self._began

    def __call__(self, done: int, note: str) -> None:
        now = time.monotonic()
        if now < self._next and done < self._steps:
            return
        self._next = now + _LINE_S
        left_s = (now - self._began) / max(done - self._start, 1) * (self._steps - done)
        line = f"{self._name}: step {done}/{self._steps}, {note}, {left_s / 60:.0f} min left"
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
