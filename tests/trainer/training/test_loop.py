"""The loop: resuming is as if nothing had happened, the best weights win, files hold no code."""

from pathlib import Path

import numpy as np
import pytest
import torch
from edge_trainer.network.network import Head, Network
from edge_trainer.training.loop import (
    CHECKPOINT,
    Fingerprint,
    History,
    Schedule,
    fit,
    load_network,
    save_network,
)
from torch import Tensor

from edge_agent.errors import TrainingError


class InterruptedTestError(Exception):
    pass


class Task:
    """Regression onto the generator's own numbers; stops with an exception after some steps."""

    def __init__(self, *, stop_after: int | None = None) -> None:
        torch.manual_seed(0)
        self.network = Network(architecture="dense", window_rows=32, embedding_dim=12)
        self.stop_after = stop_after
        self.calls = 0

    def step_loss(self, _: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        if self.calls == self.stop_after:
            raise InterruptedTestError
        self.calls += 1
        window = torch.from_numpy(rng.standard_normal((4, 1, 32), dtype=np.float32))
        output = self.network(window, torch.ones_like(window), torch.zeros(4, 1), torch.ones(4, 1))
        loss = (output.reconstruction - window).square().mean()
        return loss, {"part": float(loss.detach())}

    def validate(self) -> float:
        window = torch.from_numpy(np.random.default_rng(9).standard_normal((8, 1, 32), dtype=np.float32))
        output = self.network(window, torch.ones_like(window), torch.zeros(8, 1), torch.ones(8, 1))
        return float((output.reconstruction - window).square().mean())

    def fit(self, folder: Path, schedule: Schedule, *, fingerprint: str = "same", data: str = "") -> History:
        return fit(
            self.network,
            self.step_loss,
            self.validate,
            schedule=schedule,
            seed=5,
            folder=folder,
            fingerprint=Fingerprint(fingerprint, data),
        )


SCHEDULE = Schedule(steps=40, learning_rate=1e-3, warmup_steps=5, checkpoint_steps=7, validate_steps=5)


def test_a_resumed_run_has_the_losses_and_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = Task()
    expected = whole.fit(tmp_path / "whole", SCHEDULE)
    stopped = Task(stop_after=17)
    with pytest.raises(InterruptedTestError):
        stopped.fit(tmp_path / "parts", SCHEDULE)
    resumed = Task()
    found = resumed.fit(tmp_path / "parts", SCHEDULE)
    assert resumed.calls == 40 - 14  # the last checkpoint was after step 14
    assert found.losses == expected.losses
    assert found.validations == expected.validations
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name])


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    Task().fit(tmp_path, SCHEDULE)
    again = Task()
    again.fit(tmp_path, SCHEDULE)
    assert again.calls == 0


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    history = Task().fit(tmp_path, Schedule(steps=200, learning_rate=1e-2, warmup_steps=5))
    assert np.mean([loss["total"] for loss in history.losses[-20:]]) < 0.9 * history.losses[0]["total"]


def test_the_best_validated_weights_are_left_in_the_network(tmp_path: Path) -> None:
    task = Task()
    measures = iter([3.0, 1.0, 2.0, 4.0])
    seen: list[dict[str, Tensor]] = []

    def validate() -> float:
        seen.append({name: value.clone() for name, value in task.network.state_dict().items()})
        return next(measures)

    task.validate = validate  # type: ignore[method-assign]
    task.fit(tmp_path, Schedule(steps=20, learning_rate=1e-2, validate_steps=5))
    for name, value in task.network.state_dict().items():
        assert torch.equal(value, seen[1][name])


def test_patience_ends_a_run_that_no_longer_improves(tmp_path: Path) -> None:
    task = Task()
    task.validate = lambda: 1.0  # type: ignore[method-assign]
    task.fit(tmp_path, Schedule(steps=100, learning_rate=1e-3, validate_steps=5, patience=3))
    assert task.calls == 20


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    Task().fit(tmp_path, SCHEDULE)
    with pytest.raises(TrainingError, match="other settings"):
        Task().fit(tmp_path, SCHEDULE, fingerprint="another")


def test_a_checkpoint_of_other_recordings_is_refused(tmp_path: Path) -> None:
    Task().fit(tmp_path, SCHEDULE, data="yesterday")
    Task().fit(tmp_path, SCHEDULE, data="yesterday")
    with pytest.raises(TrainingError, match="other recordings"):
        Task().fit(tmp_path, SCHEDULE, data="today")


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(TrainingError, match="cannot be read"):
        Task().fit(tmp_path, SCHEDULE)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    task = Task()
    task.step_loss = lambda _step, _rng: (torch.tensor(float("nan")), {})  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="loss is nan"):
        task.fit(tmp_path, SCHEDULE)


def test_learning_rate_rises_then_falls() -> None:
    rates = [SCHEDULE.rate(step) for step in range(40)]
    assert rates[4] == pytest.approx(1e-3) == max(rates)
    assert rates[0] == pytest.approx(2e-4)
    assert rates[39] < 5e-5
    assert rates[5:] == sorted(rates[5:], reverse=True)


def test_a_saved_network_answers_as_before(tmp_path: Path) -> None:
    network = Task().network
    network.head = Head(channels=2, embedding_dim=12, classes=3)
    network.eval()
    save_network(tmp_path / "network.pt", network, {"labels": ["normal", "a", "b"]})
    loaded, facts = load_network(tmp_path / "network.pt")
    given = torch.randn(2, 2, 32), torch.ones(2, 2, 32), torch.zeros(2, 2), torch.ones(2, 2)
    with torch.no_grad():
        before, after = network(*given), loaded(*given)
    assert torch.equal(before.logits, after.logits)
    assert torch.equal(before.reconstruction, after.reconstruction)
    assert facts == {"labels": ["normal", "a", "b"]}


def test_a_missing_network_says_which_stage_comes_first(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="run the stage before first"):
        load_network(tmp_path / "network.pt")


def test_progress_is_told_in_lines_where_there_is_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Task().fit(tmp_path, SCHEDULE)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"{tmp_path.name}: step 1/40, loss ")
    assert lines[-1].startswith(f"{tmp_path.name}: step 40/40, loss ")
    assert len(lines) < 40
