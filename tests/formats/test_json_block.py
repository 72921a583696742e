"""A block's quick decoder says exactly what the patient one says, or leaves the block to it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.formats.json_block import plain_block
from edge_agent.formats.json_row import _decode_patiently, decode
from edge_agent.formats.origin import Origin
from edge_agent.records import Frame

NOW_S = 1_700_000_000
ORIGIN = Origin("press", None, NOW_S * 1_000_000_000, 60_000_000_000)

WRAPPED = [(NOW_S * 10**9 - 2**64) / 1e9 + second for second in (-10, -5)]
"""Seconds in the year 1439 that a 64-bit count of nanoseconds takes for the present."""
stamps = st.one_of(
    st.floats(NOW_S - 1e6, NOW_S + 120),
    st.floats(WRAPPED[0] - 1e3, WRAPPED[1]),
    st.floats(-1e300, 1e300),
    st.integers(NOW_S - 100, NOW_S + 100),
    st.just("2023-11-14T22:13:20Z"),
)
cells = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.integers(-(10**40), 10**40), st.none(), st.booleans()
)
good_cells = st.floats(-1e30, 1e30)


@given(st.data())
@settings(max_examples=300)
def test_quick_and_patient_agree_on_every_block(data: st.DataObject) -> None:
    length = data.draw(st.integers(0, 4))
    kind = data.draw(st.sampled_from([cells, good_cells, good_cells]))
    ts = data.draw(st.lists(stamps, min_size=length, max_size=length))
    names = data.draw(st.lists(st.sampled_from(["a", "b", "", "x" * 200]), max_size=3, unique=True))
    values = {name: data.draw(st.lists(kind, min_size=length, max_size=length)) for name in names}
    payload = json.dumps({"ts": ts, "values": values}).encode()
    quick, patient = plain_block(payload, ORIGIN), _decode_patiently(payload, ORIGIN)
    if quick is None:
        return
    assert isinstance(patient, Frame)
    np.testing.assert_array_equal(quick.rows, np.array(patient.rows, np.float32))
    assert replace(quick, rows=()) == replace(patient, rows=())


@pytest.mark.parametrize(
    "ts", [[NOW_S, NOW_S + 3600], [5.0, NOW_S], [NOW_S], [NOW_S, 1e300], WRAPPED, [-1e300, 0]]
)
def test_a_block_with_anything_amiss_is_left_to_the_patient_decoder(ts: list[float]) -> None:
    payload = json.dumps({"ts": ts, "values": {"a": [1.0, 2.0]}}).encode()
    assert plain_block(payload, ORIGIN) is None
    assert decode(payload, ORIGIN) == _decode_patiently(payload, ORIGIN)


def test_the_common_block_takes_the_quick_way() -> None:
    payload = json.dumps({"ts": [NOW_S - 0.05, NOW_S], "values": {"a": [1, 2.5], "b": [3.0, -4.0]}}).encode()
    frame = plain_block(payload, ORIGIN)
    assert isinstance(frame, Frame)
    np.testing.assert_array_equal(frame.rows, np.array([[1.0, 3.0], [2.5, -4.0]], np.float32))
    assert frame.times_ns == ((NOW_S * 20 - 1) * 50_000_000, NOW_S * 1_000_000_000)
