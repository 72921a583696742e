"""The model bundle: the only thing that passes from trainer to agent. Reads, verifies and writes; runs nothing.

An immutable directory: `manifest.json` names every other file with its size and SHA-256; the bundle's digest is the
SHA-256 of the manifest's bytes. Nothing is unpickled: ONNX, JSON, and npz read with `allow_pickle=False`.
A bundle is read whole into memory before it is trusted, so that what was verified is what runs.
"""

import hashlib
import io
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_agent.contract.records import Float32
from edge_agent.errors import BundleError

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
MODEL = "model.onnx"
GOLDEN = "golden.npz"
PROFILE = "profile.npz"
CARD = "CARD.md"
_FILES = frozenset({MODEL, GOLDEN, PROFILE, CARD})
_REQUIRED = frozenset({MODEL, GOLDEN, CARD})
_LIMIT_BYTES = 256 * 1024 * 1024
"""A gateway's memory is small; no edge model of this family comes near."""
_MANIFEST_LIMIT_BYTES = 4 * 1024 * 1024
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,
    MemoryError,
    zlib.error,
    zipfile.BadZipFile,
)
"""What numpy and zipfile raise at damaged archives; a flipped byte can claim encryption or a huge array."""


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size and hash of one file."""

    bytes: int
    sha256: str


class Channel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input channel that a fine-tuned model expects."""

    name: str
    unit: str = ""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a bundle says of itself.

    Attributes:
        window_rows: T, rows in a window.
        embedding_dim: D.
        architecture: "conv" or "dense".
        channels: empty where any channels fit (the pre-trained encoder); else the head's fixed order.
        labels: names of the classes of the `logits` output, index 0 being normal; empty without a head.
        unknown_below: probability under which a fault is called unknown.
        rate_hz: sampling rate of the training data; None where any rate fits.
        golden_tolerance: largest difference from the golden answers, relative to each array's size; kernels of another
            processor round differently, those of int8 more so.
        training: settings of the run, seed included. measures: held-out figures. Both for reading, not for running.
    """

    schema_version: int
    name: str
    version: str
    created: str
    architecture: str
    window_rows: int
    embedding_dim: int
    channels: tuple[Channel, ...] = ()
    labels: tuple[str, ...] = ()
    unknown_below: float = 0.5
    rate_hz: float | None = None
    golden_tolerance: float = 1e-3
    training: dict[str, Any] = {}
    measures: dict[str, Any] = {}
    files: dict[str, FileEntry]


@dataclass(frozen=True, slots=True)
class Golden:
    """Windows and what torch answered; re-scored before a bundle is trusted.

    Attributes:
        window: [B, C, T]. observed: [B, C, T] 1 or 0. location, scale: [B, C].
        embedding: [B, C, D]. reconstruction: [B, C, T]. logits: [B, K] or None.
    """

    window: Float32
    observed: Float32
    location: Float32
    scale: Float32
    embedding: Float32
    reconstruction: Float32
    logits: Float32 | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle in memory."""

    path: Path
    digest: str
    manifest: Manifest
    model: bytes
    golden: Golden
    profile: bytes | None
    card: str


def read(path: Path) -> Bundle:
    """Read and verify a bundle.

    Raises:
        BundleError: names the file and the reason; nothing is half-loaded.
    """
    raw = _read_file(path / MANIFEST, _MANIFEST_LIMIT_BYTES)
    manifest = _decode_manifest(path / MANIFEST, raw)
    _check_names(path, manifest)
    contents = {name: _read_verified(path / name, entry) for name, entry in manifest.files.items()}
    return Bundle(
        path=path,
        digest=hashlib.sha256(raw).hexdigest(),
        manifest=manifest,
        model=contents[MODEL],
        golden=_decode_golden(path / GOLDEN, contents[GOLDEN]),
        profile=contents.get(PROFILE),
        card=contents[CARD].decode(errors="replace"),
    )


def _decode_manifest(path: Path, raw: bytes) -> Manifest:
    try:
        version = msgspec.json.decode(raw, type=_SchemaVersion).schema_version
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(path, f"not a bundle manifest: {error}") from error
    if version != SCHEMA_VERSION:
        age = "newer" if version > SCHEMA_VERSION else "older"
        raise BundleError(path, f"schema version {version} is {age} than this agent's {SCHEMA_VERSION}")
    try:
        return msgspec.json.decode(raw, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(path, str(error)) from error


class _SchemaVersion(msgspec.Struct):
    schema_version: int


def _check_names(path: Path, manifest: Manifest) -> None:
    names = manifest.files.keys()
    if missing := _REQUIRED - names:
        raise BundleError(path / MANIFEST, f"lists no {', '.join(sorted(missing))}")
    if extra := names - _FILES:
        raise BundleError(path / MANIFEST, f"lists unknown files: {', '.join(sorted(extra))}")
    total = sum(entry.bytes for entry in manifest.files.values())
    if total > _LIMIT_BYTES:
        raise BundleError(path / MANIFEST, f"claims {total} bytes, the limit is {_LIMIT_BYTES}")


def _read_file(path: Path, limit_bytes: int) -> bytes:
    try:
        if path.is_symlink():
            raise BundleError(path, "is a symbolic link")
        with path.open("rb") as file:
            raw = file.read(limit_bytes + 1)
    except OSError as error:
        raise BundleError(path, error.strerror or "cannot be read") from error
    if len(raw) > limit_bytes:
        raise BundleError(path, f"is larger than {limit_bytes} bytes")
    return raw


def _read_verified(path: Path, entry: FileEntry) -> bytes:
    raw = _read_file(path, entry.bytes)
    if len(raw) != entry.bytes:
        raise BundleError(path, f"truncated: {len(raw)} bytes, the manifest says {entry.bytes}")
    if hashlib.sha256(raw).hexdigest() != entry.sha256:
        raise BundleError(path, "altered: its SHA-256 differs from the manifest's")
    return raw


def _decode_golden(path: Path, raw: bytes) -> Golden:
    arrays = decode_arrays(path, raw)
    try:
        return Golden(**{name: np.asarray(array, np.float32) for name, array in arrays.items()})
    except TypeError as error:
        raise BundleError(path, f"has not the golden arrays: {error}") from error


def decode_arrays(path: Path, raw: bytes) -> dict[str, NDArray[Any]]:
    """Arrays of an npz held in memory; nothing is unpickled.

    Raises:
        BundleError: the bytes are no npz of plain arrays.
    """
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except _UNREADABLE as error:
        raise BundleError(path, f"not an array archive: {error}") from error


def encode_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """An npz of the arrays, byte for byte the same for the same input (zip entries carry a fixed date)."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def write(parent: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> Path:
    """Write a bundle as `parent/<name>-<first 12 of its digest>`, whole or not at all.

    `manifest.files` is filled in here from `contents`.

    Raises:
        BundleError: the directory cannot be written.
    """
    entries = {
        name: FileEntry(bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest())
        for name, raw in contents.items()
    }
    raw = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(manifest, files=entries)), indent=2)
    final = parent / f"{manifest.name}-{hashlib.sha256(raw).hexdigest()[:12]}"
    partial = parent / f".{final.name}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, content in {**contents, MANIFEST: raw}.items():
            (partial / name).write_bytes(content)
        if final.exists():
            shutil.rmtree(final)
        partial.replace(final)
    except OSError as error:
        raise BundleError(final, f"cannot be written: {error.strerror}") from error
    return final
