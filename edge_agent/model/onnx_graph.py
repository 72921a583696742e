"""What stands in an ONNX graph that was let in: its nodes and constants as Python values. Computes nothing.

Only what `small_network` can compute is read; field numbers are those of onnx.proto3 (ONNX 1.22).
"""

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.model.onnx_check import RefusedGraph, fields, message, varints

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_INPUT = 1, 5, 11
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE = 1, 2, 4, 5
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_ATTRIBUTE_NAME, _ATTRIBUTE_FLOAT, _ATTRIBUTE_INT, _ATTRIBUTE_TEXT = 1, 2, 3, 4
_ATTRIBUTE_TENSOR, _ATTRIBUTE_INTS = 5, 8
_PORT_NAME = 1
KINDS: Mapping[int, np.dtype[Any]] = {1: np.dtype("<f4"), 7: np.dtype("<i8"), 9: np.dtype(np.bool_)}
"""Types of numbers that are read, by ONNX's code."""
_SIGN, _WRAP = 1 << 63, 1 << 64


class UnreadError(Exception):
    """The graph holds what is not read here."""


class Node(NamedTuple):
    """One operator.

    Attributes:
        inputs: names of arrays; an empty one is left out.
        outputs: names.
        attributes: numbers, texts, lists of integers and arrays by name.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


class Graph(NamedTuple):
    """A network.

    Attributes:
        inputs: names of what it is given.
        constants: arrays by name.
        nodes: in an order in which they can be computed.
    """

    inputs: frozenset[str]
    constants: Mapping[str, NDArray[Any]]
    nodes: tuple[Node, ...]


def read(raw: bytes) -> Graph:
    """The graph of a model that `onnx_check` let in.

    Raises:
        UnreadError: it holds more than is read here.
    """
    try:
        body = next(value for number, value in _fields(raw) if number == _MODEL_GRAPH)
        return _graph(message(body, "graph"))
    except (RefusedGraph, StopIteration, ValueError, struct.error) as error:
        raise UnreadError(str(error)) from error


def _graph(raw: bytes) -> Graph:
    inputs, nodes, constants = [], [], {}
    for number, value in _fields(raw):
        if number == _GRAPH_NODE:
            nodes.append(_node(message(value, "node")))
        elif number == _GRAPH_TENSOR:
            name, array = _tensor(message(value, "tensor"))
            constants[name] = array
        elif number == _GRAPH_INPUT:
            port = dict(_fields(message(value, "input")))
            inputs.append(_text(port.get(_PORT_NAME, 0)))
    return Graph(frozenset(inputs) - constants.keys(), constants, tuple(nodes))


def _node(raw: bytes) -> Node:
    inputs, outputs, attributes, operator = [], [], {}, ""
    for number, value in _fields(raw):
        if number == _NODE_INPUT:
            inputs.append(_text(value))
        elif number == _NODE_OUTPUT:
            outputs.append(_text(value))
        elif number == _NODE_OPERATOR:
            operator = _text(value)
        elif number == _NODE_ATTRIBUTE:
            name, setting = _attribute(message(value, "attribute"))
            attributes[name] = setting
    return Node(operator, tuple(inputs), tuple(outputs), attributes)


def _attribute(raw: bytes) -> tuple[str, Any]:
    name, setting, integers = "", None, []
    for number, value in _fields(raw):
        if number == _ATTRIBUTE_NAME:
            name = _text(value)
        elif number == _ATTRIBUTE_FLOAT:
            setting = struct.unpack("<f", message(value, "number"))[0]
        elif number == _ATTRIBUTE_INT:
            setting = _signed(value)
        elif number == _ATTRIBUTE_TEXT:
            setting = _text(value)
        elif number == _ATTRIBUTE_TENSOR:
            setting = _tensor(message(value, "tensor"))[1]
        elif number == _ATTRIBUTE_INTS:
            packed = [value] if isinstance(value, int) else varints(value)
            integers += [_signed(each) for each in packed]
    return name, integers or setting


def _tensor(raw: bytes) -> tuple[str, NDArray[Any]]:
    name, kind, body = "", 0, None
    dims: list[int] = []
    for number, value in _fields(raw):
        if number == _TENSOR_DIMS:
            dims += [value] if isinstance(value, int) else varints(value)
        elif number == _TENSOR_TYPE:
            kind = _signed(value)
        elif number == _TENSOR_NAME:
            name = _text(value)
        elif number == _TENSOR_RAW:
            body = message(value, "raw data")
    if body is None or kind not in KINDS:
        raise UnreadError(f"a tensor of type {kind} has no raw data")
    return name, np.frombuffer(body, KINDS[kind]).reshape(dims)


def _fields(raw: bytes) -> Any:
    return fields(raw, allowed=None, of="model")


def _text(value: bytes | int) -> str:
    return message(value, "text").decode()


def _signed(value: bytes | int) -> int:
    """A 64-bit number as it is meant."""
    if not isinstance(value, int):
        raise UnreadError("a number is none")
    return value - _WRAP if value >= _SIGN else value
