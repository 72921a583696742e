"""An ONNX model's bytes, walked without onnx and before onnxruntime sees them: what may not be in them is refused.

Not a validator: it proves no model right. It reads the protobuf wire format as far as it must to refuse weights kept
in other files (a road to any file of the gateway), operators outside the standard, subgraphs (loops have no bound),
functions, and tensors that claim more than they hold. The walk is bounded and does not recurse.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from edge_agent.errors import BundleError

_NODES_LIMIT = 20_000
_TENSORS_LIMIT = 20_000
_AXES_LIMIT = 16
_STANDARD = frozenset({b"", b"ai.onnx"})
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# Field numbers of onnx.proto3 (ONNX 1.22); anything else is refused, since it could carry what we do not know.
_MODEL_GRAPH, _MODEL_OPSET = 7, 8
_MODEL = frozenset({1, 2, 3, 4, 5, 6, _MODEL_GRAPH, _MODEL_OPSET, 14})
_GRAPH_NODE, _GRAPH_TENSOR = 1, 5
_GRAPH = frozenset({_GRAPH_NODE, 2, _GRAPH_TENSOR, 10, 11, 12, 13, 14, 16})
_NODE_DOMAIN, _NODE_ATTRIBUTE = 7, 5
_NODE = frozenset({1, 2, 3, 4, _NODE_ATTRIBUTE, 6, _NODE_DOMAIN, 9})
_ATTRIBUTE_TENSORS = frozenset({5, 10})
_ATTRIBUTE = frozenset({1, 2, 3, 4, 7, 8, 9, 13, 20}) | _ATTRIBUTE_TENSORS
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 1, 2, 9, 13, 14
_TENSOR = frozenset({_TENSOR_DIMS, _TENSOR_TYPE, 4, 5, 7, 8, _TENSOR_RAW, 10, 11, 12, 16})
_OPSET_DOMAIN = 1

_ITEM_BYTES: Mapping[int, int] = {
    1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2,
}  # fmt: skip
"""Bytes of one number, by data type: floats, integers and booleans. Strings, complex and 4-bit types are refused."""
_TYPED_PER_BYTE = 1
"""Numbers outside `raw_data` take a byte each at the very least."""


class RefusedGraph(Exception):  # noqa: N818 - it says why, and does not leave this room
    """Why the model is not let in."""


def check_graph(path: Path, raw: bytes) -> None:
    """Refuse a model that could reach outside its own bytes, or that is no ONNX at all.

    Raises:
        BundleError: with the reason; `path` only names the model.
    """
    try:
        _check_model(raw)
    except RefusedGraph as refused:
        raise BundleError(path, f"not a model that is let in: {refused}") from None


def _check_model(raw: bytes) -> None:
    graphs = []
    for number, value in fields(raw, allowed=_MODEL, of="model"):
        if number == _MODEL_GRAPH:
            graphs.append(message(value, "graph"))
        elif number == _MODEL_OPSET:
            opset = fields(message(value, "opset"), allowed=frozenset({1, 2}), of="opset")
            domains = [message(field, "domain") for at, field in opset if at == _OPSET_DOMAIN]
            if not set(domains) <= _STANDARD:
                raise RefusedGraph(f"it wants the custom operators {_text(min(set(domains) - _STANDARD))}")
    if len(graphs) != 1:
        raise RefusedGraph(f"it holds {len(graphs)} graphs, not one")
    _check_graph(graphs[0])


def _check_graph(raw: bytes) -> None:
    nodes = tensors = 0
    for number, value in fields(raw, allowed=_GRAPH, of="graph"):
        if number == _GRAPH_NODE:
            nodes += 1
            tensors += _check_node(message(value, "node"))
        elif number == _GRAPH_TENSOR:
            tensors += 1
            _check_tensor(message(value, "tensor"))
        if nodes > _NODES_LIMIT or tensors > _TENSORS_LIMIT:
            raise RefusedGraph(f"it has more than {_NODES_LIMIT} nodes or {_TENSORS_LIMIT} tensors")
    if not nodes:
        raise RefusedGraph("its graph is empty")


def _check_node(raw: bytes) -> int:
    """Refuse a custom operator or a subgraph; returns how many tensors the node's attributes hold."""
    tensors = 0
    for number, value in fields(raw, allowed=_NODE, of="node"):
        if number == _NODE_DOMAIN and value not in _STANDARD:
            raise RefusedGraph(f"it has a custom operator of {_text(message(value, 'domain'))}")
        if number == _NODE_ATTRIBUTE:
            found = fields(message(value, "attribute"), allowed=_ATTRIBUTE, of="attribute")
            for at, field in found:
                if at in _ATTRIBUTE_TENSORS:
                    tensors += 1
                    _check_tensor(message(field, "tensor"))
    return tensors


def _check_tensor(raw: bytes) -> None:
    """Refuse data kept elsewhere and claims beyond the bytes at hand."""
    dims: list[int] = []
    kind, body = 0, None
    for number, value in fields(raw, allowed=_TENSOR | {_TENSOR_EXTERNAL, _TENSOR_LOCATION}, of="tensor"):
        if number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value != 0):
            raise RefusedGraph("it keeps weights in another file")
        if number == _TENSOR_DIMS:
            dims += [value] if isinstance(value, int) else list(varints(value))
        elif number == _TENSOR_TYPE:
            kind = value if isinstance(value, int) else 0
        elif number == _TENSOR_RAW:
            body = message(value, "raw data")
    if kind not in _ITEM_BYTES or len(dims) > _AXES_LIMIT:
        raise RefusedGraph(f"it has a tensor of type {kind} with {len(dims)} axes")
    claimed = math.prod(dims)
    if body is not None and claimed * _ITEM_BYTES[kind] != len(body):
        raise RefusedGraph(f"a tensor claims {claimed} numbers and holds {len(body)} bytes")
    if body is None and claimed > len(raw) * _TYPED_PER_BYTE:
        raise RefusedGraph(f"a tensor claims {claimed} numbers in {len(raw)} bytes")


def message(value: bytes | int, what: str) -> bytes:
    """A field that must be one with a length."""
    if isinstance(value, int):
        raise RefusedGraph(f"a {what} is no message")
    return value


def _text(raw: bytes) -> str:
    return ascii(raw[:60].decode("utf-8", "replace"))


def fields(raw: bytes, *, allowed: frozenset[int] | None, of: str) -> Iterator[tuple[int, bytes | int]]:
    """The fields of one message: numbers as they are, everything with a length as bytes; `allowed` None: all."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        number, wire = key >> 3, key & 7
        if allowed is not None and number not in allowed:
            raise RefusedGraph(f"its {of} has the field {number}, which is not let in")
        if wire == _VARINT:
            value, at = _varint(raw, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(raw, at)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise RefusedGraph(f"its {of} is no protobuf")
        if length > len(raw) - at:
            raise RefusedGraph(f"its {of} is cut off")
        yield number, raw[at : at + length]
        at += length


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(raw) and shift < 70:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise RefusedGraph("it has a number that does not end")


def varints(raw: bytes) -> Iterator[int]:
    """Numbers that are laid end to end."""
    at = 0
    while at < len(raw):
        value, at = _varint(raw, at)
        yield value
