"""Stage 2: a head that names faults on the pre-trained encoder, L_total = L_pre + alpha * L_fine.

Both losses come from one pass over windows with hidden patches, so that the head learns to live with gaps and the
encoder does not forget to restore. The best weights are those with the lowest cross-entropy on held-out windows.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from edge_agent.errors import TrainingError
from edge_agent.records import Float32
from edge_trainer.config import Config, FinetuneSection
from edge_trainer.data import labelled_windows, windows
from edge_trainer.data.labelled_windows import Labelled, Windows
from edge_trainer.data.manifest import DataManifest
from edge_trainer.evaluation import label_efficiency, measures
from edge_trainer.evaluation.label_efficiency import Embedded
from edge_trainer.network.network import Head, Network
from edge_trainer.report import pictures
from edge_trainer.training import parallel, pretrain
from edge_trainer.training.loop import (
    NETWORK,
    Fingerprint,
    History,
    Schedule,
    StepLoss,
    fit,
    load_network,
    save_network,
)
from edge_trainer.training.objectives import MaskedReconstruction

FOLDER = "finetune"
_VALIDATION_WINDOWS = 400
_CHUNK_WINDOWS = 16


def run(config: Config) -> Path:
    """Fine-tune the run's pre-trained network; returns the file of the network with its head.

    Raises:
        TrainingError: the data cannot be trained on (said before any training), or no network was pre-trained.
        RecordingError: a recording cannot be used.
    """
    torch.set_num_threads(config.run.threads)
    with parallel.together():
        return _run(config)


def _run(config: Config) -> Path:
    settings = config.finetune
    folder = config.run.out / FOLDER
    network, facts = load_network(config.run.out / pretrain.FOLDER / NETWORK)
    manifest = DataManifest.of(windows.find_all(config.run.data, settings.recordings), root=config.run.data)
    runs = _read(config, window_rows=network.window_rows)
    torch.manual_seed(config.run.seed)
    network.head = Head(
        channels=len(runs.channels), embedding_dim=network.embedding_dim, classes=len(runs.names)
    )
    if settings.freeze_encoder:
        network.encoder.requires_grad_(False)
        network.decoder.requires_grad_(False)
    before = _embedded(network, runs, runs.training), _embedded(network, runs, runs.held_out)
    history = fit(
        network,
        _step_loss(network, runs, settings),
        lambda: _cross_entropy(network, runs),
        schedule=_schedule(settings),
        seed=config.run.seed,
        folder=folder,
        fingerprint=Fingerprint(
            f"{config.run.seed} {settings.model_dump_json()} {facts['settings']}",
            f"{manifest.digest} {facts['data']}",
        ),
    )
    if parallel.rank() > 0:
        return folder / NETWORK
    manifest.write(folder / pretrain.MANIFEST)
    facts["data"] = [*facts["data"], manifest.told()]
    chosen = _sample(runs.held_out)
    logits, embedding = predict(network, runs, chosen)
    target = runs.held_out.target[chosen]
    pictures.curves(folder / "curves.png", history, title="fine-tuning")
    pictures.projection(folder / "embedding.png", points=embedding, kind=np.array(runs.names)[target])
    said = logits.argmax(1).numpy()
    right = said == target
    points = label_efficiency.curve(*before, seed=config.run.seed)
    of_head = measures.macro_f1(measures.confusion(said, target, n_classes=len(runs.names)))
    pictures.label_efficiency(folder / "label_efficiency.png", points, head=of_head)
    save_network(folder / NETWORK, network, _facts(config, facts, runs, history=history, right=right))
    return folder / NETWORK


def _read(config: Config, *, window_rows: int) -> Labelled:
    settings = config.finetune
    names = (
        settings.names if settings.names_file is None else labelled_windows.read_names(settings.names_file)
    )
    recordings = windows.read_all(
        config.run.data, settings.recordings, channels=settings.channels, exclude=settings.exclude_columns
    )
    return labelled_windows.prepare(
        recordings,
        names,
        window_rows=window_rows,
        held_out_share=settings.held_out_share,
        seed=config.run.seed,
    )


def _schedule(settings: FinetuneSection) -> Schedule:
    return Schedule(
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        checkpoint_steps=settings.validate_steps,
        validate_steps=settings.validate_steps,
        patience=settings.patience,
    )


def _step_loss(network: Network, runs: Labelled, settings: FinetuneSection) -> StepLoss:
    masked = MaskedReconstruction(hidden_share=settings.hidden_share)
    weights = class_weights(runs.training.target, classes=len(runs.names)) if settings.class_weights else None

    def step_loss(_: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        if settings.freeze_encoder:
            network.encoder.eval()  # its batch statistics stay as they are, too
        batch = labelled_windows.draw(
            runs, count=settings.batch_windows, window_rows=network.window_rows, onset_share=0.5, rng=rng
        )
        before, output = masked.loss(network, batch, rng)
        if output.logits is None:
            raise TrainingError("the network has no head")
        fine = functional.cross_entropy(output.logits, batch.label, weight=weights)
        parts = {"pre": float(before.detach()), "fine": float(fine.detach())}
        return before + settings.alpha * fine, parts

    return step_loss


def class_weights(target: NDArray[np.int64], *, classes: int) -> Tensor:
    """[K] inverse frequency of each class with mean 1 over the samples: a rare fault counts like a common one."""
    counts = np.bincount(target, minlength=classes)
    weights = len(target) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return torch.from_numpy(weights.astype(np.float32))


def predict(
    network: Network, runs: Labelled, chosen: NDArray[np.int64], *, of: Windows | None = None
) -> tuple[Tensor, Float32]:
    """(logits [N, K], embeddings of all channels [N, C * D]) of the chosen windows, held-out ones unless said."""
    logits, embeddings = [], []
    with torch.no_grad():
        for at in range(0, len(chosen), _CHUNK_WINDOWS):
            part = chosen[at : at + _CHUNK_WINDOWS]
            batch = labelled_windows.batch_of(
                runs, of or runs.held_out, part, window_rows=network.window_rows
            )
            output = network(batch.window, batch.present, batch.location, batch.scale)
            logits.append(output.logits)
            embeddings.append(output.embedding.flatten(1))
    return torch.cat(logits), torch.cat(embeddings).numpy()


def _embedded(network: Network, runs: Labelled, windows: Windows) -> Embedded:
    """A sample of the windows as the network sees them now."""
    chosen = _sample(windows)
    return Embedded(predict(network, runs, chosen, of=windows)[1], windows.target[chosen])


def _sample(windows: Windows) -> NDArray[np.int64]:
    """At most 400 windows, evenly over all."""
    return np.unique(
        np.linspace(0, len(windows) - 1, min(_VALIDATION_WINDOWS, len(windows))).astype(np.int64)
    )


def _cross_entropy(network: Network, runs: Labelled) -> float:
    """Of held-out windows, every class with the same weight."""
    chosen = _sample(runs.held_out)
    target = runs.held_out.target[chosen]
    weights = class_weights(target, classes=len(runs.names))
    logits, _ = predict(network, runs, chosen)
    return float(functional.cross_entropy(logits, torch.from_numpy(target), weight=weights))


def _facts(
    config: Config, before: dict[str, Any], runs: Labelled, *, history: History, right: NDArray[np.bool_]
) -> dict[str, Any]:
    """What the card and the manifest tell of both stages."""
    settings = config.finetune
    lines = [f"{len(runs.runs)} labelled runs: {', '.join(item.name for item in runs.runs)}"]
    if runs.split_in_time:
        lines.append(f"only one run of its kind, last part held out: {', '.join(runs.split_in_time)}")
    return {
        "data": [*before["data"], *lines],
        "settings": {**before["settings"], "finetune": settings.model_dump(mode="json")},
        "measures": {
            **before["measures"],
            "finetune_steps": len(history.losses),
            "finetune_held_out_cross_entropy": history.best,
            "finetune_held_out_accuracy": float(right.mean()),
        },
        "channels": list(runs.channels),
        "labels": list(runs.names),
        "rate_hz": settings.rate_hz,
    }
