"""Stage 1: learn what signals of machines look like, without labels; leaves a network without a head.

Any mix of recordings, of the synthetic generator and of the simulated plant. Whole signals are held out to
choose the weights and to measure; no label is ever read.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge_trainer.config import Config, PretrainSection
from edge_trainer.data import windows
from edge_trainer.data.mixture import Material, Sources, gather
from edge_trainer.data.windows import Draw
from edge_trainer.network.network import LEVEL_DIM, Network, normalise
from edge_trainer.report import pictures
from edge_trainer.training import parallel
from edge_trainer.training.loop import (
    NETWORK,
    Fingerprint,
    History,
    Schedule,
    fit,
    load_network,
    save_network,
)
from edge_trainer.training.objectives import (
    TARGET_LIMIT,
    AdversarialEmbedding,
    Estrangement,
    Imitation,
    InjectedRows,
    MaskedReconstruction,
    NearTriplet,
    Weighted,
)
from edge_trainer.training.objectives.adversarial import Discriminator
from edge_trainer.training.objectives.injected import RowHead

FOLDER = "pretrain"
MANIFEST = "data_manifest.json"
_VALIDATION_BATCHES = 8
_PICTURE_WINDOWS = 600


def run(config: Config) -> Path:
    """Pre-train; returns the file of the network.

    Raises:
        TrainingError: nothing to train on, or a checkpoint of other settings lies in the way.
        RecordingError: a recording cannot be used.
    """
    torch.set_num_threads(config.run.threads)
    with parallel.together():
        return _run(config)


def _run(config: Config) -> Path:
    settings = config.pretrain
    seed = config.run.seed
    folder = config.run.out / FOLDER
    material = gather(config)
    held_out = material.held_out
    torch.manual_seed(seed)
    network = Network(
        architecture=settings.architecture,
        window_rows=settings.window_rows,
        embedding_dim=settings.embedding_dim,
    )
    objective = weighted(settings)
    draw = _draw(settings)

    def step_loss(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        batch, _ = windows.draw_batch(material.at(step), draw, count=settings.batch_windows, rng=rng)
        total, parts, _ = objective.losses(network, batch, rng)
        return total, parts

    def validate() -> float:
        return _held_out_loss(network, objective, held_out, draw=draw, settings=settings)

    history = fit(
        network,
        step_loss,
        validate,
        schedule=Schedule(steps=settings.steps, learning_rate=settings.learning_rate),
        seed=seed,
        folder=folder,
        fingerprint=Fingerprint(
            f"{seed} {settings.model_dump_json(exclude={'readers'})}", material.manifest.digest
        ),
        companions=objective.companions(),
    )
    path = folder / NETWORK
    if parallel.rank() > 0:
        return path
    material.manifest.write(folder / MANIFEST)
    _draw_pictures(folder, network, history, held_out, draw=draw)
    save_network(path, network, _facts(config, history, material, network))
    return path


def weighted(settings: PretrainSection) -> Weighted:
    """L_pre: the objectives with their weights, or the imitation of a teacher."""
    if settings.teacher is not None:
        return Weighted({"imitation": (1.0, Imitation(load_network(settings.teacher)[0]))})
    masked = MaskedReconstruction(
        hidden_share=settings.hidden_share, noise=settings.noise, spectrum_weight=settings.spectrum_weight
    )
    learnt_dim = settings.embedding_dim - LEVEL_DIM
    return Weighted(
        {
            "reconstruction": (settings.reconstruction_weight, masked),
            "triplet": (settings.triplet_weight, NearTriplet(settings.triplet_margin)),
            "estrangement": (settings.estrangement_weight, Estrangement()),
            "injected": (settings.injected_weight, InjectedRows(RowHead(settings.embedding_dim))),
            "adversarial": (settings.adversarial_weight, AdversarialEmbedding(Discriminator(learnt_dim))),
        }
    )


def _draw(settings: PretrainSection) -> Draw:
    asked = settings.estrangement_weight > 0 and settings.teacher is None
    memory = (settings.episode_signals, settings.episode_memory) if asked else (0, 0)
    return Draw(window_rows=settings.window_rows, near_rows=settings.near_rows, memory=memory)


def _held_out_loss(
    network: Network, objective: Weighted, held_out: Sources, *, draw: Draw, settings: PretrainSection
) -> float:
    """Mean loss on the same held-out batches with the same hidden patches every time."""
    losses = []
    for number in range(_VALIDATION_BATCHES):
        rng = np.random.default_rng(number)
        batch, _ = windows.draw_batch(held_out, draw, count=settings.batch_windows, rng=rng)
        losses.append(float(objective.losses(network, batch, rng)[0]))
    return float(np.mean(losses))


def _draw_pictures(
    folder: Path, network: Network, history: History, held_out: Sources, *, draw: Draw
) -> None:
    rng = np.random.default_rng(0)
    batch, kind = windows.draw_batch(held_out, draw, count=_PICTURE_WINDOWS, rng=rng)
    observed = batch.present * (1.0 - MaskedReconstruction().hide(batch.present, rng))
    with torch.no_grad():
        restored = network(batch.window, observed, batch.location, batch.scale)
        embedding = network(batch.window, batch.present, batch.location, batch.scale).embedding
    pictures.curves(folder / "curves.png", history, title="pre-training")
    pictures.reconstructions(
        folder / "reconstructions.png",
        window=batch.window[:, 0].numpy(),
        observed=observed[:, 0].numpy(),
        reconstruction=restored.reconstruction[:, 0].numpy(),
    )
    pictures.projection(folder / "embedding.png", points=embedding[:, 0].numpy(), kind=kind)


def restoration(network: Network, held_out: Sources, *, draw: Draw) -> tuple[float, float]:
    """Mean absolute error on hidden rows in units of a window's spread: (the network's, linear interpolation's).

    Interpolation is what a network must beat to be worth its weights.
    """
    rng = np.random.default_rng(1)
    batch, _ = windows.draw_batch(held_out, draw, count=_PICTURE_WINDOWS, rng=rng)
    observed = batch.present * (1.0 - MaskedReconstruction().hide(batch.present, rng))
    own = normalise(batch.window, observed, batch.location, batch.scale)
    clean = normalise(batch.window, batch.present, batch.location, batch.scale)
    target = (
        ((clean.deviation - own.mean) / own.spread).clamp(-TARGET_LIMIT, TARGET_LIMIT).numpy()[:, 0]
    )  # N T
    with torch.no_grad():
        restored = network(batch.window, observed, batch.location, batch.scale).shape.numpy()[:, 0]
    seen, known = observed.numpy()[:, 0] > 0, batch.present.numpy()[:, 0] > 0
    rows = np.arange(target.shape[1])
    errors, plain = [], []
    for number in np.flatnonzero(seen.any(axis=1)):
        hidden = known[number] & ~seen[number]
        bridged = np.interp(rows[hidden], rows[seen[number]], target[number, seen[number]])
        errors.append(np.abs(restored[number, hidden] - target[number, hidden]))
        plain.append(np.abs(bridged - target[number, hidden]))
    return float(np.concatenate(errors).mean()), float(np.concatenate(plain).mean())


def _facts(config: Config, history: History, material: Material, network: Network) -> dict[str, Any]:
    """What the card and the manifest tell of this stage."""
    draw = _draw(config.pretrain)
    restored, interpolated = restoration(network, material.held_out, draw=draw)
    return {
        "data": material.told(),
        "settings": {"seed": config.run.seed, "pretrain": config.pretrain.model_dump(mode="json")},
        "measures": {
            "held_out_loss": history.best,
            "held_out_hidden_rows_error": restored,
            "held_out_hidden_rows_error_of_interpolation": interpolated,
            "steps": len(history.losses),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
        },
    }
