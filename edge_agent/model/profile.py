"""A machine's profile as bytes: an npz of its memory, with the rest as a JSON header among the arrays."""

import io
import zipfile
from pathlib import Path

import msgspec
import numpy as np

from edge_agent.errors import BundleError, NewerError
from edge_agent.model.arrays import LIMIT_BYTES, decode_arrays, encode_arrays
from edge_agent.records import Profile

_HEADER = "__header__"
_SCHEMA_VERSION = 3
_READABLE = (2, 3)
"""3 may lack what only ranked windows; 2 had it in any case."""
SCHEMA_VERSION = _SCHEMA_VERSION
"""Of what `encode` writes."""


class _ProfileHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema_version: int
    machine: str
    channels: tuple[str, ...]
    rows: int
    period_ns: int
    hop_rows: int
    encoder: str
    learnt_ns: int


class _Version(msgspec.Struct, frozen=True):
    """What every version's header says, whatever else is in it."""

    schema_version: int


def encode(profile: Profile) -> bytes:
    """The profile as npz bytes."""
    header = _ProfileHeader(
        schema_version=_SCHEMA_VERSION,
        machine=profile.machine,
        channels=profile.channels,
        rows=profile.rows,
        period_ns=profile.period_ns,
        hop_rows=profile.hop_rows,
        encoder=profile.encoder,
        learnt_ns=profile.learnt_ns,
    )
    text = np.frombuffer(msgspec.json.encode(header), np.uint8)
    return encode_arrays({**profile.memory, _HEADER: text})


def version_of(raw: bytes) -> int:
    """The schema version of bytes that `decode` has read."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        entry = archive.read(f"{_HEADER}.npy")
    _, _, text = entry.partition(b"\n")  # numpy's own line stands before it
    return msgspec.json.decode(text, type=_Version).schema_version


def decode(path: Path, raw: bytes, *, limit_bytes: int = LIMIT_BYTES) -> Profile:
    """The profile in `raw`, of so many bytes unpacked at most; `path` only names it in errors.

    Raises:
        NewerError: it is of a schema version that is to come.
        BundleError: truncated, altered or of a schema version that is no longer read.
    """
    arrays = decode_arrays(path, raw, limit_bytes=limit_bytes)
    try:
        text = arrays.pop(_HEADER).tobytes()
        if (version := msgspec.json.decode(text, type=_Version).schema_version) > max(_READABLE):
            raise NewerError(path, f"profile schema version {version}, this agent has {_SCHEMA_VERSION}")
        header = msgspec.json.decode(text, type=_ProfileHeader)
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(path, f"not a machine profile: {error}") from error
    if header.schema_version not in _READABLE:
        raise BundleError(
            path, f"profile schema version {header.schema_version}, this agent has {_SCHEMA_VERSION}"
        )
    return Profile(
        machine=header.machine,
        channels=header.channels,
        memory=arrays,
        rows=header.rows,
        period_ns=header.period_ns,
        hop_rows=header.hop_rows,
        encoder=header.encoder,
        learnt_ns=header.learnt_ns,
    )
