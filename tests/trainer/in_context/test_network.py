"""The judge: channels in any order and number, absent ones say nothing, and onnxruntime answers as torch does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from edge_trainer.in_context import export
from edge_trainer.in_context.network import JointJudge, JudgeNetwork
from torch import nn

from edge_agent.errors import TrainingError
from edge_agent.model.onnx_check import check_graph
from edge_agent.model.small_network import SmallNetwork
from tests.trainer.in_context.corpora import CHANNEL_FEATURES, MACHINE_FEATURES

SIZES = {"channel_features": CHANNEL_FEATURES, "machine_features": MACHINE_FEATURES}


def judge(seed: int = 0) -> JudgeNetwork:
    torch.manual_seed(seed)
    return JudgeNetwork(**SIZES, hidden=8).eval()


def windows(count: int, channels: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(5)
    return (
        torch.randn(count, channels, CHANNEL_FEATURES),
        torch.randn(count, MACHINE_FEATURES),
        torch.ones(count, channels, dtype=torch.bool),
    )


def test_the_order_of_channels_means_nothing() -> None:
    channels, machine, present = windows(4, 6)
    turned = torch.tensor([3, 1, 5, 0, 2, 4])
    logit, logits = judge()(channels, machine, present)
    again, logits_again = judge()(channels[:, turned], machine, present)
    torch.testing.assert_close(logit, again)
    torch.testing.assert_close(logits[:, turned], logits_again)


def test_an_absent_channel_says_nothing() -> None:
    channels, machine, present = windows(4, 3)
    alone, _ = judge()(channels[:, :2], machine, present[:, :2])
    channels[:, 2] = 1e3
    present[:, 2] = False
    beside, logits = judge()(channels, machine, present)
    torch.testing.assert_close(alone, beside)
    assert (logits[:, 2] < -20).all()


def test_features_far_outside_of_what_was_learnt_count_no_more_than_its_edge() -> None:
    channels, machine, present = windows(2, 3)
    far, farther = (judge()(channels * size, machine, present)[0] for size in (1e4, 1e6))
    torch.testing.assert_close(far, farther)


def test_features_are_dropped_while_training_only() -> None:
    channels, machine, present = windows(3, 4)
    network = judge()
    torch.testing.assert_close(network(channels, machine, present)[0], network(channels, machine, present)[0])
    network.train()
    told = torch.stack([network(channels, machine, present)[0] for _ in range(8)])
    assert told.std(dim=0).min() > 0


def test_onnxruntime_answers_as_torch() -> None:
    both = JointJudge([judge(1), judge(2)])
    raw = export.to_onnx(both, **SIZES)
    assert export.check_parity(raw, both, **SIZES, seed=9) < 1e-5
    session = export.session_of(raw)
    channels, machine, present = windows(7, 1)
    logit, logits = export.ask(session, channels.numpy(), machine.numpy(), present.numpy())
    assert logit.shape == (7,)
    assert logits.shape == (7, 1)
    check_graph(Path("judge.onnx"), raw)


def test_judges_together_say_the_mean_of_what_each_says() -> None:
    each = [judge(number) for number in range(3)]
    for number, one in enumerate(each):
        one.learn_scales(
            torch.randn(50, CHANNEL_FEATURES) * (1 + number) + number, torch.randn(50, MACHINE_FEATURES)
        )
    channels, machine, present = windows(6, 5)
    channels, present[2, 1:4] = channels * 4, False
    with torch.no_grad():
        together = JointJudge(each)(channels, machine, present)
        for said, told in zip(
            together, zip(*(one(channels, machine, present) for one in each), strict=True), strict=True
        ):
            torch.testing.assert_close(said, torch.stack(told).mean(dim=0), atol=2e-5, rtol=1e-4)


def test_the_agent_needs_no_runtime_for_what_is_exported() -> None:
    both = JointJudge([judge(1), judge(2)])
    network = SmallNetwork.read(export.to_onnx(both, **SIZES), inputs=export.INPUTS)
    assert network is not None
    given = windows(7, 3)
    given[2][4, 1:] = False
    answers = network.run(
        export.OUTPUTS, dict(zip(export.INPUTS, (each.numpy() for each in given), strict=True))
    )
    with torch.no_grad():
        for answer, expected in zip(answers, both(*given), strict=True):
            np.testing.assert_allclose(answer, expected.numpy(), atol=1e-5, rtol=1e-5)


def test_a_graph_that_answers_otherwise_is_refused() -> None:
    class Noisy(nn.Module):
        def forward(
            self, channels: torch.Tensor, machine: torch.Tensor, present: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            logit, logits = judge()(channels, machine, present)
            return logit + float(np.random.default_rng().random()), logits

    with pytest.raises(TrainingError, match="off from torch"):
        export.check_parity(export.to_onnx(judge(), **SIZES), Noisy(), **SIZES, seed=1)
