"""A small training that torchrun starts as several processes: argument 1 is the folder of the run."""

import sys
from pathlib import Path

import numpy as np
import torch
from edge_trainer.network.network import Network
from edge_trainer.training import parallel
from edge_trainer.training.loop import NETWORK, Fingerprint, Schedule, fit, save_network
from torch import Tensor

SCHEDULE = Schedule(steps=6, learning_rate=1e-2, warmup_steps=2, validate_steps=3, checkpoint_steps=3)
WINDOWS = 8


def windows(rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.standard_normal((WINDOWS, 1, 32), dtype=np.float32))


def loss_of(network: Network, window: Tensor) -> Tensor:
    output = network(window, torch.ones_like(window), torch.zeros(len(window), 1), torch.ones(len(window), 1))
    return (output.reconstruction - window).square().mean()


def new() -> Network:
    torch.manual_seed(0)
    return Network(architecture="dense", window_rows=32, embedding_dim=12)


def main(folder: Path) -> None:
    network = new()

    def step_loss(_: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        loss = loss_of(network, windows(rng))
        return loss, {"rank": float(parallel.rank())}

    def validate() -> float:
        return float(loss_of(network, windows(np.random.default_rng(9 + parallel.rank()))))

    with parallel.together():
        history = fit(
            network,
            step_loss,
            validate,
            schedule=SCHEDULE,
            seed=5,
            folder=folder,
            fingerprint=Fingerprint("team"),
        )
        weights = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
        save_network(folder / NETWORK, network, {"best": history.best})
        torch.save(weights, folder / f"weights_{parallel.rank()}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
