"""A judge that is tiny and untrained: a channel's logit is a weighed sum of its features, the window's the largest."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_agent.detect.context_features import CHANNEL_FEATURES, MACHINE_FEATURES
from edge_agent.model import judge as judges
from edge_agent.model.arrays import encode_arrays
from edge_agent.model.judge import JudgeEntry, JudgeGolden
from edge_agent.records import Float32

_ABSENT = -30.0
HEARS = {"last_16_distance": 2.0, "last_128_distance": 1.0, "spe": 2.0, "residual": 2.0}
"""Features that a fault raises, with weights that are good enough for tests."""


@dataclass(frozen=True)
class TinyJudge:
    """Logit of a channel: `weights` of its features less `bias`; of a window: the largest, and `of_machine`'s."""

    weights: Mapping[str, float] = field(default_factory=lambda: HEARS)
    bias: float = 6.0
    of_machine: Mapping[str, float] = field(default_factory=dict)
    threshold: float = 0.0
    state_threshold: float = 0.0
    familiar: float = 100.0

    def entry(self) -> JudgeEntry:
        """What the manifest says of it."""
        return JudgeEntry(
            features=judges.FEATURES,
            threshold=self.threshold,
            state_threshold=self.state_threshold,
            descriptors=(0.0,) * judges.N_DESCRIPTORS,
            descriptor_spread=(1.0,) * judges.N_DESCRIPTORS,
            familiar=self.familiar,
        )

    def answer(self, channels: Float32, machine: Float32, present: np.ndarray) -> tuple[Float32, Float32]:
        """What the graph answers, in numpy."""
        own = channels @ self._vector(CHANNEL_FEATURES, self.weights) - np.float32(self.bias)
        own = np.where(present, own, np.float32(_ABSENT))
        return own.max(axis=1) + machine @ self._vector(MACHINE_FEATURES, self.of_machine), own

    def contents(self) -> dict[str, bytes]:
        """Its files."""
        rng = np.random.default_rng(2)
        channels = rng.normal(size=(4, 3, len(CHANNEL_FEATURES))).astype(np.float32)
        machine = rng.normal(size=(4, len(MACHINE_FEATURES))).astype(np.float32)
        present = np.ones((4, 3), np.bool_)
        present[1, 2] = False
        golden = JudgeGolden(channels, machine, present, *self.answer(channels, machine, present))
        return {judges.MODEL: self._graph(), judges.GOLDEN: encode_arrays(golden._asdict())}

    def _vector(self, names: tuple[str, ...], weights: Mapping[str, float]) -> Float32:
        assert set(weights) <= set(names)
        return np.array([weights.get(name, 0.0) for name in names], np.float32)

    def _graph(self) -> bytes:
        def constant(name: str, values: object, kind: type = np.float32) -> onnx.TensorProto:
            return numpy_helper.from_array(np.asarray(values, kind), name)

        def port(name: str, *shape: int | str, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, kind, shape)

        nodes = [
            helper.make_node("MatMul", ["channels", "weights"], ["sums"]),
            helper.make_node("Sub", ["sums", "bias"], ["own"]),
            helper.make_node("Where", ["present", "own", "absent"], ["channel_logits"]),
            helper.make_node("ReduceMax", ["channel_logits"], ["largest"], axes=[1], keepdims=0),
            helper.make_node("MatMul", ["machine", "of_machine"], ["of_all"]),
            helper.make_node("Add", ["largest", "of_all"], ["logit"]),
        ]
        graph = helper.make_graph(
            nodes,
            "judge",
            [
                port("channels", "B", "C", len(CHANNEL_FEATURES)),
                port("machine", "B", len(MACHINE_FEATURES)),
                port("present", "B", "C", kind=TensorProto.BOOL),
            ],
            [port("logit", "B"), port("channel_logits", "B", "C")],
            [
                constant("weights", self._vector(CHANNEL_FEATURES, self.weights)),
                constant("of_machine", self._vector(MACHINE_FEATURES, self.of_machine)),
                constant("bias", self.bias),
                constant("absent", _ABSENT),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        raw: bytes = model.SerializeToString(deterministic=True)
        return raw
