"""A small network by numpy: as the runtime computes it, any number of windows, and nothing that it does not know."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_agent.model.small_network import SmallNetwork
from tests.support.tiny_judge import TinyJudge

JUDGE_INPUTS = ("channels", "machine", "present")


def model(
    nodes: Sequence[onnx.NodeProto], shape: Sequence[int | str], *, constants: dict[str, Any] | None = None
) -> bytes:
    """A graph from `x` to `y`."""
    graph = helper.make_graph(
        list(nodes),
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(each), name) for name, each in (constants or {}).items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    raw: bytes = made.SerializeToString()
    return raw


def answered(raw: bytes, x: np.ndarray) -> np.ndarray:
    """What numpy says, held against what the runtime says."""
    network = SmallNetwork.read(raw, inputs=["x"])
    assert network is not None
    (found,) = network.run(["y"], {"x": x})
    session = ort.InferenceSession(raw, providers=["CPUExecutionProvider"])
    (expected,) = session.run(["y"], {"x": x})
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)
    return found


def node(operator: str, *more: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, ["x", *more], ["y"], **attributes)


AXES = {"axes": np.array([1], np.int64), "both": np.array([0, 2], np.int64), "last": np.array([-1], np.int64)}
MATRIX = np.random.default_rng(4).standard_normal((2, 1, 4, 3)).astype(np.float32)
KNOWN: dict[str, Callable[[], tuple[onnx.NodeProto, dict[str, Any]]]] = {
    "sum over an axis": lambda: (node("ReduceSum", "axes", keepdims=1), {"axes": AXES["axes"]}),
    "sum over two": lambda: (node("ReduceSum", "both", keepdims=0), {"both": AXES["both"]}),
    "most": lambda: (node("ReduceMax", "last", keepdims=0), {"last": AXES["last"]}),
    "mean": lambda: (node("ReduceMean", "both", keepdims=1), {"both": AXES["both"]}),
    "log of summed powers": lambda: (node("ReduceLogSumExp", "axes", keepdims=0), {"axes": AXES["axes"]}),
    "an axis more": lambda: (node("Unsqueeze", "both"), {"both": AXES["both"]}),
    "clipped": lambda: (node("Clip", "low", "high"), {"low": np.float32(-0.5), "high": np.float32(0.25)}),
    "clipped below": lambda: (node("Clip", "low"), {"low": np.float32(-0.5)}),
    "stacked matrices": lambda: (node("MatMul", "right"), {"right": MATRIX}),
    "one matrix": lambda: (node("MatMul", "right"), {"right": MATRIX[0, 0]}),
    "joined": lambda: (helper.make_node("Concat", ["x", "x"], ["y"], axis=-1), {}),
    "cast": lambda: (node("Cast", to=TensorProto.FLOAT), {}),
    "gelu": lambda: (node("Gelu"), {}),
}


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_computed_is_what_the_runtime_computes(name: str) -> None:
    made, constants = KNOWN[name]()
    x = np.random.default_rng(3).standard_normal((2, 5, 6, 4)).astype(np.float32) * 3
    answered(model([made], ["J", "B", "C", "F"], constants=constants), x)


def test_a_gelu_is_near_the_true_one_from_end_to_end() -> None:
    x = np.concatenate([np.linspace(-12, 12, 20_001), [-1e6, 1e6, 0.0, -0.0]]).astype(np.float32)
    found = answered(model([node("Gelu")], ["N"]), x)
    true = np.array([v * 0.5 * math.erfc(-v / math.sqrt(2)) for v in x.tolist()])
    np.testing.assert_allclose(found, true, rtol=1e-6, atol=1e-6)
    assert np.isnan(answered(model([node("Gelu")], ["N"]), x * np.nan)).all()


def test_what_is_not_known_is_left_to_the_runtime() -> None:
    unknown = {
        "an operator": model([node("Sigmoid")], ["N"]),
        "axes that are computed": model(
            [helper.make_node("Shape", ["x"], ["s"]), helper.make_node("ReduceSum", ["x", "s"], ["y"])], ["N"]
        ),
        "another gelu": model([node("Gelu", approximate="tanh")], ["N"]),
        "two outputs": model([helper.make_node("Split", ["x"], ["y", "z"], num_outputs=2)], ["N"]),
        "another type": model([node("Cast", to=TensorProto.DOUBLE)], ["N"]),
        "double constants": model([node("Add", "c")], ["N"], constants={"c": np.float64(1.0)}),
        "no model": b"",
    }
    for raw in unknown.values():
        assert SmallNetwork.read(raw, inputs=["x"]) is None


def test_a_network_of_other_inputs_is_not_read() -> None:
    raw = TinyJudge().contents()["judge.onnx"]
    assert SmallNetwork.read(raw, inputs=JUDGE_INPUTS) is not None
    assert SmallNetwork.read(raw, inputs=JUDGE_INPUTS[:2]) is None
