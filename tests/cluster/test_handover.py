"""A profile on its way to the machine's next owner: whole and meant for it, or not used."""

import hashlib
import io
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_agent.cluster.handover import pack, unpack
from edge_agent.records import Profile
from tests.support.profiles import small_profile

LIMIT_BYTES = 100_000


def learnt() -> Profile:
    rows = np.arange(12, dtype=np.float32)
    return small_profile(memory={"threshold": np.asarray(np.float32(1.5)), "rows": rows})


def packed() -> bytes:
    payload = pack(learnt(), limit_bytes=LIMIT_BYTES)
    assert payload is not None
    return payload


def test_what_was_packed_comes_back() -> None:
    found = unpack(packed(), machine="pump-1", encoder="e1", limit_bytes=LIMIT_BYTES)
    assert isinstance(found, Profile)
    np.testing.assert_array_equal(found.memory["rows"], learnt().memory["rows"])
    assert replace(found, memory={}) == replace(learnt(), memory={})


@pytest.mark.parametrize(
    ("payload", "machine", "encoder", "why"),
    [
        (packed()[:-1], "pump-1", "e1", "damaged"),
        (b"", "pump-1", "e1", "damaged"),
        (packed() + b"x" * LIMIT_BYTES, "pump-1", "e1", "longer than"),
        (packed(), "pump-2", "e1", "of another machine"),
        (packed(), "pump-1", "e2", "another model bundle"),
    ],
)
def test_what_is_damaged_or_meant_for_others_is_not_used(
    payload: bytes, machine: str, encoder: str, why: str
) -> None:
    found = unpack(payload, machine=machine, encoder=encoder, limit_bytes=LIMIT_BYTES)
    assert isinstance(found, str)
    assert why in found


def test_a_profile_beyond_the_limit_is_not_packed() -> None:
    assert pack(learnt(), limit_bytes=100) is None


def test_a_small_message_does_not_become_a_large_profile() -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=np.zeros(10_000_000, np.uint8))
    body = buffer.getvalue()
    payload = b"EAP1" + hashlib.sha256(body).digest() + body
    found = unpack(payload, machine="m", encoder="e", limit_bytes=LIMIT_BYTES)
    assert isinstance(found, str)
    assert "the limit is" in found


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    buffer = io.BytesIO()
    np.savez(buffer, x=np.array([Trap(trap)], dtype=object))
    for body in (buffer.getvalue(), pickle.dumps(Trap(trap))):
        payload = b"EAP1" + hashlib.sha256(body).digest() + body
        assert isinstance(unpack(payload, machine="m", encoder="e", limit_bytes=LIMIT_BYTES), str)
    assert not trap.exists()
