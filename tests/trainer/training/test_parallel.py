"""Two processes train as one would on both batches; the first one alone writes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from edge_trainer.config import Config
from edge_trainer.training.loop import CHECKPOINT, NETWORK, Fingerprint, fit, load_network
from edge_trainer.training.pretrain import FOLDER

from tests.support.torchrun import torchrun
from tests.trainer.training import team


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_on_both_batches(tmp_path: Path) -> None:
    torchrun("tests/trainer/training/team.py", str(tmp_path))
    network = team.new()
    step = iter(range(team.SCHEDULE.steps))

    def step_loss(_: int, __: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        at = next(step)
        both = [team.windows(np.random.default_rng(seed)) for seed in ([5, at], [5, at, 1])]
        return team.loss_of(network, torch.cat(both)), {}

    def validate() -> float:
        return float(team.loss_of(network, team.windows(np.random.default_rng(9))))

    fit(
        network,
        step_loss,
        validate,
        schedule=team.SCHEDULE,
        seed=5,
        folder=tmp_path / "one",
        fingerprint=Fingerprint("one"),
    )
    trained, facts = load_network(tmp_path / NETWORK)
    before = team.new().state_dict()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(trained.state_dict()[name], value, rtol=1e-4, atol=1e-6)
    assert any(not torch.allclose(before[name], value) for name, value in network.state_dict().items())
    weights = [torch.load(tmp_path / f"weights_{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert torch.equal(*weights)
    assert facts["best"] > 0
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert {loss["rank"] for loss in state["losses"]} == {0.0}  # the first process wrote


@pytest.mark.slow
def test_pretraining_runs_under_torchrun(tmp_path: Path) -> None:
    settings = {
        "run.out": tmp_path / "run", "pretrain.architecture": "dense", "pretrain.window_rows": 32,
        "pretrain.embedding_dim": 16, "pretrain.plant_share": 0.0, "pretrain.synthetic_signals": 60,
        "pretrain.signal_rows": 128, "pretrain.steps": 4, "pretrain.batch_windows": 8,
        "pretrain.estrangement_weight": 1.0, "pretrain.episode_signals": 4, "pretrain.adversarial_weight": 0.1,
    }  # fmt: skip
    torchrun("-m", "edge_trainer", "pretrain", *(f"--set={name}={value}" for name, value in settings.items()))
    network, facts = load_network(tmp_path / "run" / FOLDER / NETWORK)
    assert network.window_rows == 32
    assert facts["measures"]["steps"] == 4


@pytest.mark.slow
def test_a_whole_fit_runs_under_torchrun(tiny: Config) -> None:
    pretrained = (
        "architecture",
        "window_rows",
        "embedding_dim",
        "plant_share",
        "synthetic_signals",
        "signal_rows",
    )
    given = {
        **{f"run.{key}": str(getattr(tiny.run, key)) for key in ("out", "data", "name", "created")},
        **{f"pretrain.{key}": getattr(tiny.pretrain, key) for key in pretrained},
        "pretrain.steps": 4, "pretrain.batch_windows": 8, "pretrain.recordings": ["normal_*.csv"],
        "finetune.recordings": ["normal_*.csv", "fault*.csv"], "finetune.steps": 6, "finetune.validate_steps": 3,
        "calibrate.recordings": ["calm.csv"],
    }  # fmt: skip
    words = [f"--set={name}={json.dumps(value)}" for name, value in given.items()]
    names = '--set=finetune.names={1 = "slipping", 2 = "hot"}'
    printed = torchrun("-m", "edge_trainer", "fit", names, *words)
    assert len(printed.strip().splitlines()) == 1, printed  # the first process alone prints and writes
    state = torch.load(tiny.run.out / "finetune" / CHECKPOINT, weights_only=True)
    assert state["step"] == 6
    bundle = Path(printed.strip())
    assert (bundle / "manifest.json").is_file()
    assert "data manifest sha256:" in (bundle / "CARD.md").read_text(encoding="utf-8")
