"""Stage 1: learn what signals of machines look like, without labels; leaves a network without a head.

Any mix of recordings, of the synthetic generator and of the simulated plant. Whole signals are held out to
choose the weights and to measure; no label is ever read.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge_agent.errors import TrainingError
from edge_agent.spectra import SpectralFrames
from trainer import data, parallel, pictures, plant, synthetic
from trainer.config import Config, PretrainSection
from trainer.data import Draw, Signals
from trainer.loop import NETWORK, History, Schedule, fit, load_network, save_network
from trainer.model import LEVEL_DIM, Network, normalise
from trainer.objectives import (
    TARGET_LIMIT,
    AdversarialEmbedding,
    Estrangement,
    Imitation,
    InjectedRows,
    MaskedReconstruction,
    NearTriplet,
    Weighted,
)
from trainer.objectives.adversarial import Discriminator
from trainer.objectives.injected import RowHead

FOLDER = "pretrain"
_HELD_OUT_SHARE = 0.1
_VALIDATION_BATCHES = 8
_PLANT_RATES_HZ = (0.2, 0.5, 1.0, 2.0)
_PICTURE_WINDOWS = 600
_CHUNK_SIGNALS = 2000

# At a rate of 1: what is simulated is in shares of the sampling rate.
_VIBRATION_FRAMES = tuple(
    SpectralFrames.of_blocks(block_samples, rate_hz=1.0, rows=32) for block_samples in (4096, 4096, 1024, 400)
)
_VIBRATION_ROWS = 320

Sources = list[tuple[float, Signals]]


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
    training, held_out = _split(_sources(settings, root=config.run.data, seed=seed), seed=seed)
    torch.manual_seed(seed)
    network = Network(
        architecture=settings.architecture,
        window_rows=settings.window_rows,
        embedding_dim=settings.embedding_dim,
    )
    objective = weighted(settings)
    draw = _draw(settings)

    def step_loss(rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        batch, _ = data.draw_batch(training, draw, count=settings.batch_windows, rng=rng)
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
        fingerprint=f"{seed} {settings.model_dump_json()}",
        companions=objective.companions(),
    )
    path = folder / NETWORK
    if parallel.rank() > 0:
        return path
    _draw_pictures(folder, network, history, held_out, draw=draw)
    save_network(path, network, _facts(config, history, (training, held_out), network))
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


def _sources(settings: PretrainSection, *, root: Path, seed: int) -> Sources:
    sources: Sources = []
    if settings.recordings and settings.recordings_share > 0:
        recordings = data.read_all(root, settings.recordings, exclude=settings.exclude_columns)
        signals = data.signals_of_recordings(
            recordings, window_rows=settings.window_rows, near_rows=settings.near_rows
        )
        sources.append((settings.recordings_share, signals))
    if settings.synthetic_share > 0:
        sources.append((settings.synthetic_share, _synthetic(settings, seed=seed)))
    if settings.plant_share > 0:
        sources.append((settings.plant_share, _plant(settings, seed=seed)))
    if settings.vibration_share > 0:
        sources.append((settings.vibration_share, _vibration(settings, seed=seed)))
    if not sources:
        raise TrainingError("there is nothing to train on: no recordings, and all other shares are 0")
    return sources


def _synthetic(settings: PretrainSection, *, seed: int) -> Signals:
    rng = np.random.default_rng([seed, 1])
    counts = [
        min(_CHUNK_SIGNALS, settings.synthetic_signals - at)
        for at in range(0, settings.synthetic_signals, _CHUNK_SIGNALS)
    ]
    rows = [synthetic.windows(rng, count=count, length=settings.signal_rows) for count in counts]
    if settings.drift:
        rows = [synthetic.laid_under(rng, part) for part in rows]
    return data.signals_of_rows(np.concatenate(rows), kind="synthetic")


def _plant(settings: PretrainSection, *, seed: int) -> Signals:
    """Every channel of faultless runs of every kind of machine, at several sampling rates."""
    parts = []
    for name in plant.KINDS:
        for number in range(settings.plant_runs):
            made = plant.simulate(
                name,
                rows=settings.plant_rows,
                seed=1000 * seed + number,
                rate_hz=_PLANT_RATES_HZ[number % len(_PLANT_RATES_HZ)],
            )
            moving = made.values.std(axis=0) > 0
            parts.append(data.signals_of_rows(made.values.T[moving], kind=name))
    return data.joined(parts)


def _vibration(settings: PretrainSection, *, seed: int) -> Signals:
    """Every band of the spectral frames of simulated machines, at several lengths of frame."""
    rng = np.random.default_rng([seed, 2])
    parts = []
    for number in range(settings.vibration_runs):
        frames = _VIBRATION_FRAMES[number % len(_VIBRATION_FRAMES)]
        n_samples = frames.frame_samples + (_VIBRATION_ROWS - 1) * frames.hop_samples
        samples = synthetic.vibration(rng, n_samples=n_samples)
        parts.append(data.signals_of_rows(frames.rows(samples[:, None]).T, kind="vibration"))
    return data.joined(parts)


def _split(sources: Sources, *, seed: int) -> tuple[Sources, Sources]:
    pairs = [
        (share, data.split_signals(signals, held_out_share=_HELD_OUT_SHARE, seed=seed))
        for share, signals in sources
    ]
    return [(share, pair[0]) for share, pair in pairs], [(share, pair[1]) for share, pair in pairs]


def _held_out_loss(
    network: Network, objective: Weighted, held_out: Sources, *, draw: Draw, settings: PretrainSection
) -> float:
    """Mean loss on the same held-out batches with the same hidden patches every time."""
    losses = []
    for number in range(_VALIDATION_BATCHES):
        rng = np.random.default_rng(number)
        batch, _ = data.draw_batch(held_out, draw, count=settings.batch_windows, rng=rng)
        losses.append(float(objective.losses(network, batch, rng)[0]))
    return float(np.mean(losses))


def _draw_pictures(
    folder: Path, network: Network, history: History, held_out: Sources, *, draw: Draw
) -> None:
    rng = np.random.default_rng(0)
    batch, kind = data.draw_batch(held_out, draw, count=_PICTURE_WINDOWS, rng=rng)
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
    batch, _ = data.draw_batch(held_out, draw, count=_PICTURE_WINDOWS, rng=rng)
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


def _facts(
    config: Config, history: History, sources: tuple[Sources, Sources], network: Network
) -> dict[str, Any]:
    """What the card and the manifest tell of this stage."""
    training, held_out = sources
    draw = _draw(config.pretrain)
    restored, interpolated = restoration(network, held_out, draw=draw)
    return {
        "data": [f"{len(signals)} signals: {', '.join(np.unique(signals.kind))}" for _, signals in training],
        "settings": {"seed": config.run.seed, "pretrain": config.pretrain.model_dump(mode="json")},
        "measures": {
            "held_out_loss": history.best,
            "held_out_hidden_rows_error": restored,
            "held_out_hidden_rows_error_of_interpolation": interpolated,
            "steps": len(history.losses),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
        },
    }
