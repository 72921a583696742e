"""The walk over a model's bytes lets good models in and never raises anything but its refusal."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.errors import BundleError
from edge_agent.model.bundle import MODEL
from edge_agent.model.onnx_check import check_graph

SHIPPED = Path(__file__).parents[2] / "edge_agent/models/pretrained" / MODEL


def walk(raw: bytes) -> bool:
    try:
        check_graph(Path("model"), raw)
    except BundleError as error:
        assert error.reason  # noqa: PT017 - whatever else is raised fails the test
        return False
    return True


def test_the_shipped_model_is_let_in() -> None:
    assert walk(SHIPPED.read_bytes())


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(raw: bytes) -> None:
    assert not walk(raw)


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_model_is_walked_to_the_end_or_refused(tiny_bundle: Path, data: st.DataObject) -> None:
    raw = bytearray((tiny_bundle / MODEL).read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    walk(bytes(raw[: data.draw(st.integers(0, len(raw)))]))


@pytest.mark.parametrize("repeats", [1, 100_000])
def test_numbers_without_end_and_long_models_cost_little(repeats: int) -> None:
    assert not walk(b"\xff" * repeats)
    assert not walk(b"\x3a\x00" * repeats)  # so many empty graphs
