"""A machine's profile as a retained message, so that its next owner need not learn it again. Pure: bytes only.

The payload is a mark, the SHA-256 of what follows, and the profile's npz, which is read without unpickling anything
and may not claim more bytes than the message may have: ours are not compressed.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.errors import BundleError
from edge_agent.model import profile as profiles
from edge_agent.records import Profile

_MARK = b"EAP1"
_HEAD_BYTES = len(_MARK) + 32


def pack(profile: Profile, *, limit_bytes: int) -> bytes | None:
    """The message; None where it would be longer than is allowed."""
    body = profiles.encode(replace(profile, memory=ENSEMBLE.compact(profile.memory)))
    payload = _MARK + hashlib.sha256(body).digest() + body
    return payload if len(payload) <= limit_bytes else None


def unpack(payload: bytes, *, machine: str, encoder: str, limit_bytes: int) -> Profile | str:
    """The profile of `machine` for the network `encoder`, or why it is not used."""
    if len(payload) > limit_bytes:
        return f"longer than {limit_bytes} bytes"
    body = payload[_HEAD_BYTES:]
    if payload[:_HEAD_BYTES] != _MARK + hashlib.sha256(body).digest():
        return "damaged"
    try:
        profile = profiles.decode(Path(machine), body, limit_bytes=limit_bytes)
    except BundleError as error:
        return error.reason
    if profile.machine != machine:
        return "of another machine"
    if profile.encoder != encoder:
        return "learnt with another model bundle"
    return replace(profile, memory=ENSEMBLE.compact(profile.memory))
