"""What stands in for the shipped network: nothing, or weights that learnt nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from edge_trainer.in_context.export import session_of, to_onnx
from edge_trainer.in_context.network import JointJudge, JudgeNetwork
from onnx import TensorProto, helper, numpy_helper

from benchmarks.detection.networks import NONE, REPLACED, decides, judged
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from tests.support import tiny

N_FEATURES = 5
SPREAD = np.arange(1.0, N_FEATURES + 1.0, dtype=np.float32)
WEIGHTS = np.linspace(-1.0, 2.0, N_FEATURES, dtype=np.float32)


@dataclass(frozen=True)
class Judge:
    """As much of the agent's as the benchmark touches."""

    ask: Callable[..., Any]
    threshold: float
    identity: int


def graph() -> bytes:
    """A channel's logit is a weighed sum of its features in their scales, the window's the largest."""

    def port(name: str, *shape: int | str, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    nodes = [
        helper.make_node("Div", ["channels", "judges.0.channel_spread"], ["scaled"]),
        helper.make_node("MatMul", ["scaled", "weights"], ["own"]),
        helper.make_node("Where", ["present", "own", "absent"], ["channel_logits"]),
        helper.make_node("ReduceMax", ["channel_logits"], ["largest"], axes=[1], keepdims=0),
        helper.make_node("ReduceMax", ["machine"], ["most"], axes=[1], keepdims=0),
        helper.make_node("Add", ["largest", "most"], ["logit"]),
    ]
    inputs = [port("channels", "B", "C", N_FEATURES), port("machine", "B", 2)]
    inputs.append(port("present", "B", "C", kind=TensorProto.BOOL))
    outputs = [port("logit", "B"), port("channel_logits", "B", "C")]
    constants = {"judges.0.channel_spread": SPREAD, "weights": WEIGHTS, "absent": np.float32(-30.0)}
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(
        helper.make_graph(nodes, "judge", inputs, outputs, held), opset_imports=opset, ir_version=8
    )
    raw: bytes = model.SerializeToString()
    return raw


@pytest.fixture
def scorer(tmp_path: Path) -> Scorer:
    return Scorer.load(bundle.read(tiny.bundle(tmp_path)), provider="cpu")


def deciding(scorer: Scorer) -> Any:
    """A scorer whose bundle has a judge."""
    return SimpleNamespace(
        session=scorer.session,
        expecting=False,
        judge=Judge(ask=lambda *_: None, threshold=2.5, identity=77),
        bundle=SimpleNamespace(judge=SimpleNamespace(model=graph())),
    )


def test_what_ships_is_left_as_it_is(scorer: Scorer) -> None:
    assert judged(scorer) is scorer


def test_without_a_network_nothing_is_asked(scorer: Scorer) -> None:
    alone = judged(scorer, NONE)
    assert not decides(alone)


def test_random_weights_are_the_shipped_ones_in_another_order(scorer: Scorer) -> None:
    channels = np.eye(N_FEATURES, dtype=np.float32)[None] * SPREAD[:, None]  # each channel shows one weight
    machine, present = np.zeros((1, 2), np.float32), np.ones((1, N_FEATURES), np.bool_)
    told = []
    for seed in range(3):
        other = judged(deciding(scorer), f"random:{seed}")
        assert decides(other)
        assert (other.judge.threshold, other.judge.identity) == (2.5, seed)
        assert not other.expecting
        logit, of_channels = other.judge.ask(channels, machine, present)
        assert np.sort(of_channels[0]) == pytest.approx(WEIGHTS, abs=1e-6)
        assert logit[0] == pytest.approx(WEIGHTS.max(), abs=1e-6)
        told.append(of_channels[0].tolist())
    assert WEIGHTS.tolist() not in told
    assert told[0] != told[1]


def test_of_the_graph_that_ships_the_scales_stay_where_they_are(tmp_path: Path) -> None:
    torch.manual_seed(0)
    seen, known = 3.0 + torch.randn(200, N_FEATURES) * torch.arange(1, N_FEATURES + 1), torch.randn(200, 2)
    judges = [
        JudgeNetwork(channel_features=N_FEATURES, machine_features=2, hidden=8, dropout=0.0) for _ in range(2)
    ]
    for judge in judges:
        judge.learn_scales(seen, known)
    graph = to_onnx(JointJudge(judges), channel_features=N_FEATURES, machine_features=2)
    given = SimpleNamespace(**vars(deciding(Scorer.load(bundle.read(tiny.bundle(tmp_path)), provider="cpu"))))
    given.bundle = SimpleNamespace(judge=SimpleNamespace(model=graph))
    channels, present = seen[:40, None].numpy(), np.ones((40, 1), np.bool_)
    shipped = session_of(graph).run(
        None, {"channels": channels, "machine": known[:40].numpy(), "present": present}
    )
    told = judged(given, "random:1").judge.ask(channels, known[:40].numpy(), present)[0]
    # In the unit of its scales each feature counts alike: the mixed judge hears all, as loudly as the shipped one.
    assert np.isfinite(told).all()
    assert 0.1 < told.std() / shipped[0].std() < 10.0
    assert abs(np.corrcoef(told, shipped[0])[0, 1]) < 0.9


def test_three_draws_of_random_weights_stand_beside_none() -> None:
    assert sorted(len(draws) for draws in REPLACED.values()) == [1, 3]
