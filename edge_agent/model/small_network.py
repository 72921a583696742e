"""A small network of plain layers, computed by numpy from its ONNX graph: who asks only that needs no runtime.

onnxruntime takes 34 MB of a gateway's memory before it has answered anything. A judge (`model.judge`) is some ten
matrices; its graph becomes a list of numpy calls here. A graph with anything else in it is left to the runtime. What
is computed is held against the golden answers of the network's bundle, as any session's.

Operators mean what the standard says of them: https://onnx.ai/onnx/operators (opset 17).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.model import onnx_graph
from edge_agent.model.onnx_graph import KINDS, Node, UnreadError
from edge_agent.records import Float32

Array = NDArray[Any]
Call = Callable[..., Array]
Settings = Sequence[Array | None]
"""Inputs of a node that must be constants: axes and bounds."""
Attributes = Mapping[str, Any]

_LOG_TAIL = (-3.2807301e-4, 4.9106409e-3, -3.5924005e-2, -3.1884246e-1, -7.9766535e-1, -6.9317324e-1)
"""Logarithm of the share of a normal distribution that lies beyond x, as a polynomial in x >= 0 that was fitted so that
x times the share is off by 5e-7 at most: half the calls of an error function."""


class _Step(NamedTuple):
    call: Call
    inputs: tuple[str, ...]
    output: str


class SmallNetwork:
    """A network as calls of numpy; asked as a session of onnxruntime is."""

    def __init__(self, constants: Mapping[str, Array], steps: Sequence[_Step]) -> None:
        self._constants = dict(constants)
        self._steps = tuple(steps)

    @classmethod
    def read(cls, raw: bytes, *, inputs: Sequence[str]) -> "SmallNetwork | None":
        """The network of a model that `onnx_check` let in.

        Returns:
            None where it has more than is computed here, or is not given just these arrays.
        """
        try:
            graph = onnx_graph.read(raw)
            if graph.inputs != frozenset(inputs):
                return None
            constants, steps = dict(graph.constants), []
            for node in graph.nodes:
                if node.operator == "Constant" and "value" in node.attributes:
                    constants[node.outputs[0]] = node.attributes["value"]
                else:
                    steps.append(_step(node, constants))
        except UnreadError:
            return None
        return cls(constants, steps)

    def run(self, outputs: Sequence[str], given: Mapping[str, Array]) -> list[Float32]:
        """The arrays of these names, from those that are given."""
        known = {**self._constants, **given}
        with np.errstate(all="ignore"):  # what is no number is for who asks to see
            for call, inputs, output in self._steps:
                known[output] = call(*[known[name] for name in inputs])
        return [known[name] for name in outputs]


def _step(node: Node, constants: Mapping[str, Array]) -> _Step:
    """The call that a node asks for, and the arrays that it is made with."""
    if len(node.outputs) != 1:
        raise UnreadError(f"{node.operator} with {len(node.outputs)} outputs")
    if (plain := _PLAIN.get(node.operator)) is not None:
        return _Step(plain, node.inputs, node.outputs[0])
    if (made := _MADE.get(node.operator)) is None:
        raise UnreadError(node.operator)
    n_arrays, make = made
    arrays = node.inputs[:n_arrays]
    bound = node.inputs[len(arrays) :]
    if any(name and name not in constants for name in bound):
        raise UnreadError(f"{node.operator} with settings that are computed")
    settings = [constants[name] if name else None for name in bound]
    return _Step(make(settings, node.attributes), arrays, node.outputs[0])


def _gelu(_: Settings, attributes: Attributes) -> Call:
    """Each number times the share of a normal distribution below it (Hendrycks and Gimpel, 2016)."""
    if attributes.get("approximate", "none") != "none":
        raise UnreadError("an approximate Gelu")
    return _x_times_share_below


def _x_times_share_below(values: Float32) -> Float32:
    size = np.abs(values)
    found = size * np.float32(_LOG_TAIL[0])
    for factor in _LOG_TAIL[1:-1]:
        found += np.float32(factor)
        found *= size
    found += np.float32(_LOG_TAIL[-1])
    np.exp(found, out=found)
    found *= size
    positive: Float32 = np.maximum(values, np.float32(0.0), out=size)
    positive -= found
    return positive


def _matmul(left: Array, right: Array) -> Array:
    """The product; stacked matrices that all meet the same one are laid end to end, for one call of BLAS."""
    if not 2 < right.ndim == left.ndim or right.shape[-3] != 1:
        return np.asarray(left @ right)
    joined = left.reshape(*left.shape[:-3], -1, left.shape[-1])
    found = joined @ right[..., 0, :, :]
    return np.asarray(found.reshape(*found.shape[:-2], *left.shape[-3:-1], right.shape[-1]))


def _clip(settings: Settings, _: Attributes) -> Call:
    least, most = [*settings, None, None][:2]
    if least is None:
        raise UnreadError("Clip without a least value")
    if most is None:
        return lambda values: np.maximum(values, least)
    return lambda values: np.minimum(np.maximum(values, least), most)  # np.clip takes several times as long


def _axes(settings: Settings, attributes: Attributes) -> tuple[int, ...]:
    known = settings[0] if settings else attributes.get("axes")
    if known is None:
        raise UnreadError("no axes")
    return tuple(int(axis) for axis in known)


def _reduced(by: Callable[..., Array], settings: Settings, attributes: Attributes) -> Call:
    axes, kept = _axes(settings, attributes), bool(attributes.get("keepdims", 1))
    return partial(by, axis=axes[0] if len(axes) == 1 else axes, keepdims=kept)


def _log_sum_exp(values: Float32, *, axis: int | tuple[int, ...], keepdims: bool) -> Float32:
    most = values.max(axis=axis, keepdims=True)
    found = np.log(np.exp(values - most).sum(axis=axis, keepdims=True)) + most
    return np.asarray(found if keepdims else np.squeeze(found, axis=axis), np.float32)


def _mean(values: Float32, *, axis: int | tuple[int, ...], keepdims: bool) -> Float32:
    total: Float32 = values.sum(axis=axis, keepdims=keepdims)
    return np.asarray(
        total * np.float32(total.size / max(values.size, 1))
    )  # np.mean takes several times as long


def _unsqueeze(settings: Settings, attributes: Attributes) -> Call:
    axes = _axes(settings, attributes)
    if axes == (0,):
        return lambda values: values[np.newaxis]
    return partial(np.expand_dims, axis=axes)


def _squeeze(settings: Settings, attributes: Attributes) -> Call:
    axes = _axes(settings, attributes)
    if axes == (-1,):
        return lambda values: values[..., 0]
    return lambda values: values.squeeze(axes)


def _cast(_: Settings, attributes: Attributes) -> Call:
    kind = KINDS.get(attributes.get("to", 0))
    if kind is None:
        raise UnreadError("a cast to another type")
    return lambda values: values.astype(kind)


def _concatenate(_: Settings, attributes: Attributes) -> Call:
    axis = attributes["axis"]
    return lambda *parts: np.concatenate(parts, axis=axis)


_PLAIN: Mapping[str, Call] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Max": np.maximum,
    "Min": np.minimum,
    "Sqrt": np.sqrt,
    "Not": np.logical_not,
    "Where": np.where,
    "MatMul": _matmul,
}
"""Operators that read arrays only."""
_MADE: Mapping[str, tuple[int | None, Callable[[Settings, Attributes], Call]]] = {
    "Clip": (1, _clip),
    "Cast": (1, _cast),
    "Concat": (None, _concatenate),
    "Gelu": (1, _gelu),
    "Squeeze": (1, _squeeze),
    "Unsqueeze": (1, _unsqueeze),
    "ReduceSum": (1, partial(_reduced, np.add.reduce)),
    "ReduceMax": (1, partial(_reduced, np.maximum.reduce)),
    "ReduceMean": (1, partial(_reduced, _mean)),
    "ReduceLogSumExp": (1, partial(_reduced, _log_sum_exp)),
}
"""Operators that are made with settings: after how many arrays these begin, None where all are arrays."""
