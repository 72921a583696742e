"""The model bundle: the only thing that passes from trainer to agent. Reads, verifies and writes; runs nothing.

An immutable directory: `manifest.json` names every other file with its size and SHA-256; the bundle's digest is the
SHA-256 of the manifest's bytes, and `manifest.sig` may hold signatures of them. Nothing is unpickled: ONNX, JSON and
npz. A bundle is read whole into memory before it is trusted, so that what was verified is what runs; signatures come
before anything is parsed, hashes before anything is decoded, and the model is walked before a runtime has it.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from edge_agent.errors import BundleError
from edge_agent.model import judge as judges
from edge_agent.model.arrays import decode_arrays
from edge_agent.model.judge import BundledJudge, JudgeEntry
from edge_agent.model.onnx_check import check_graph
from edge_agent.model.signature import ANYONE, SIGNATURE, Trust
from edge_agent.model.signature import LIMIT_BYTES as _SIGNATURE_LIMIT_BYTES
from edge_agent.records import Float32

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
MODEL = "model.onnx"
GOLDEN = "golden.npz"
PROFILE = "profile.npz"
CARD = "CARD.md"
_FILES = frozenset({MODEL, GOLDEN, PROFILE, CARD}) | judges.FILES
_REQUIRED = frozenset({MODEL, GOLDEN, CARD})
_LIMIT_BYTES = 256 * 1024 * 1024
"""A gateway's memory is small; no edge model of this family comes near."""
_MANIFEST_LIMIT_BYTES = 4 * 1024 * 1024
_FILE_LIMITS_BYTES = {
    MODEL: 128 * 1024 * 1024, GOLDEN: 32 * 1024 * 1024, CARD: 1024 * 1024, **judges.LIMITS_BYTES,
}  # fmt: skip
"""Of single files; a profile may fill what is left."""
_UNPARSABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_GOLDEN_SIGNALS_LIMIT = 4096
"""Channel windows among the golden ones: they go through the network in one call."""


_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
"""Shown in logs and as a metric's label."""


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size and hash of one file."""

    bytes: Annotated[int, msgspec.Meta(ge=0)]
    sha256: str


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `edge-trainer sign` adds.

    Attributes:
        counter: rises with every release of the same name; an agent takes no lower one than it has run.
        expires: from when on the bundle is reported as too old; it goes on running.
    """

    counter: Annotated[int, msgspec.Meta(ge=1, le=2**62)]
    expires: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


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
        release: what the signer vouches for besides the files; left out of a bundle that was not signed.
        judge: the network that judges windows; left out of a bundle that has none.
    """

    schema_version: int
    name: _Name
    version: _Name
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
    release: Release | msgspec.UnsetType = msgspec.UNSET
    judge: JudgeEntry | msgspec.UnsetType = msgspec.UNSET


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
    """A verified bundle in memory.

    Attributes:
        signed_by: id of the trusted key that vouches for it; None where nobody was asked or nobody had to.
        judge: the network that judges windows; None in a bundle that has none.
    """

    path: Path
    digest: str
    manifest: Manifest
    model: bytes
    golden: Golden
    profile: bytes | None
    card: str
    signed_by: str | None = None
    judge: BundledJudge | None = None

    @property
    def encoder(self) -> str:
        """SHA-256 of the network's bytes: what was learnt with one network means nothing to another."""
        return self.manifest.files[MODEL].sha256

    @property
    def release(self) -> Release | None:
        """Counter and expiry, where the bundle was signed with them."""
        return None if isinstance(self.manifest.release, msgspec.UnsetType) else self.manifest.release


def read(path: Path, *, trust: Trust = ANYONE) -> Bundle:
    """Read and verify a bundle.

    Raises:
        BundleError: names the file and the reason; nothing is half-loaded.
    """
    with opened(path) as folder:
        raw = read_file(folder, path / MANIFEST, _MANIFEST_LIMIT_BYTES)
        signed_by = trust.verify(path / SIGNATURE, raw, _read_signature(folder, path))
        manifest = _decode_manifest(path / MANIFEST, raw)
        _check_names(path, manifest)
        contents = {name: read_verified(folder, path / name, entry) for name, entry in manifest.files.items()}
    check_graph(path / MODEL, contents[MODEL])
    return Bundle(
        path=path,
        digest=hashlib.sha256(raw).hexdigest(),
        manifest=manifest,
        model=contents[MODEL],
        golden=_decode_golden(path / GOLDEN, contents[GOLDEN], window_rows=manifest.window_rows),
        profile=contents.get(PROFILE),
        card=contents[CARD].decode(errors="replace"),
        signed_by=signed_by,
        judge=_judge(path, manifest, contents),
    )


def _judge(path: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> BundledJudge | None:
    if isinstance(manifest.judge, msgspec.UnsetType):
        return None
    return judges.read(path, manifest.judge, contents, sha256=manifest.files[judges.MODEL].sha256)


def _decode_manifest(path: Path, raw: bytes) -> Manifest:
    try:
        version = msgspec.json.decode(raw, type=_SchemaVersion).schema_version
    except _UNPARSABLE as error:
        raise BundleError(path, f"not a bundle manifest: {error}") from error
    if version != SCHEMA_VERSION:
        age = "newer" if version > SCHEMA_VERSION else "older"
        raise BundleError(path, f"schema version {version} is {age} than this agent's {SCHEMA_VERSION}")
    try:
        return msgspec.json.decode(raw, type=Manifest)
    except _UNPARSABLE as error:
        raise BundleError(path, str(error)) from error


class _SchemaVersion(msgspec.Struct):
    schema_version: int


def _check_names(path: Path, manifest: Manifest) -> None:
    names = manifest.files.keys()
    with_judge = not isinstance(manifest.judge, msgspec.UnsetType)
    required = _REQUIRED | judges.FILES if with_judge else _REQUIRED
    if missing := required - names:
        raise BundleError(path / MANIFEST, f"lists no {', '.join(sorted(missing))}")
    if extra := names - _FILES:
        raise BundleError(path / MANIFEST, f"lists unknown files: {', '.join(sorted(extra))}")
    if not with_judge and judges.FILES & names:
        raise BundleError(path / MANIFEST, "lists the files of a judge and says nothing of it")
    for name, limit in _FILE_LIMITS_BYTES.items():
        if name in names and (claimed := manifest.files[name].bytes) > limit:
            raise BundleError(path / MANIFEST, f"claims {claimed} bytes for {name}, the limit is {limit}")
    total = sum(entry.bytes for entry in manifest.files.values())
    if total > _LIMIT_BYTES:
        raise BundleError(path / MANIFEST, f"claims {total} bytes, the limit is {_LIMIT_BYTES}")


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """The directory held open, so that a link to it may be switched meanwhile and no file comes from elsewhere."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise BundleError(path, error.strerror or "cannot be read") from error
    try:
        yield folder
    finally:
        os.close(folder)


def read_file(folder: int, path: Path, limit_bytes: int, *, exactly: int | None = None) -> bytes:
    """The bytes of a plain file; its size is known to be allowed before memory is asked for."""

    def inside(name: str, flags: int) -> int:
        # Not blocking: a named pipe would otherwise be waited for.
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)

    try:
        with open(path.name, "rb", opener=inside) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BundleError(path, "is no plain file")
            if exactly is not None and status.st_size < exactly:
                raise BundleError(path, f"truncated: {status.st_size} bytes, the manifest says {exactly}")
            if status.st_size > limit_bytes:
                raise BundleError(path, f"is larger than {limit_bytes} bytes")
            return file.read(status.st_size + 1)[: status.st_size]
    except OSError as error:
        link = path.is_symlink()
        raise BundleError(path, "is a symbolic link" if link else error.strerror or "unreadable") from error


def _read_signature(folder: int, path: Path) -> bytes | None:
    if SIGNATURE not in os.listdir(folder):
        return None
    return read_file(folder, path / SIGNATURE, _SIGNATURE_LIMIT_BYTES)


def read_verified(folder: int, path: Path, entry: FileEntry) -> bytes:
    """The bytes of a file that are as long as its manifest says and hash to what that says."""
    raw = read_file(folder, path, entry.bytes, exactly=entry.bytes)
    if len(raw) != entry.bytes:
        raise BundleError(path, f"truncated: {len(raw)} bytes, the manifest says {entry.bytes}")
    if hashlib.sha256(raw).hexdigest() != entry.sha256:
        raise BundleError(path, "altered: its SHA-256 differs from the manifest's")
    return raw


def _decode_golden(path: Path, raw: bytes, *, window_rows: int) -> Golden:
    arrays = decode_arrays(path, raw, limit_bytes=2 * _FILE_LIMITS_BYTES[GOLDEN])
    try:
        golden = Golden(**{name: np.asarray(array, np.float32) for name, array in arrays.items()})
    except (TypeError, ValueError) as error:
        raise BundleError(path, f"has not the golden arrays: {error}") from error
    shape = golden.window.shape
    fits = (
        len(shape) == 3
        and 0 < shape[0] * shape[1] <= _GOLDEN_SIGNALS_LIMIT
        and shape[2] == window_rows
        and golden.observed.shape == golden.reconstruction.shape == shape
        and golden.location.shape == golden.scale.shape == golden.embedding.shape[:2] == shape[:2]
    )
    if not fits:
        raise BundleError(path, f"the golden arrays do not fit windows of {window_rows} rows")
    return golden


def with_files(manifest: Manifest, contents: Mapping[str, bytes]) -> bytes:
    """The manifest's bytes, with `files` filled in from `contents`."""
    entries = {
        name: FileEntry(bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest())
        for name, raw in contents.items()
    }
    complete = msgspec.structs.replace(manifest, files=entries)
    return msgspec.json.format(msgspec.json.encode(complete), indent=2)


def write(
    parent: Path, manifest: Manifest, contents: Mapping[str, bytes], *, signature: bytes | None = None
) -> Path:
    """Write a bundle as `parent/<name>-<first 12 of its digest>`, whole or not at all.

    `manifest.files` is filled in here from `contents`; a `signature` must be of the bytes of `with_files`.

    Raises:
        BundleError: the directory cannot be written.
    """
    raw = with_files(manifest, contents)
    written = {**contents, MANIFEST: raw, **({} if signature is None else {SIGNATURE: signature})}
    final = parent / f"{manifest.name}-{hashlib.sha256(raw).hexdigest()[:12]}"
    partial = parent / f".{final.name}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, content in written.items():
            (partial / name).write_bytes(content)
        if final.exists():
            shutil.rmtree(final)
        partial.replace(final)
    except OSError as error:
        raise BundleError(final, f"cannot be written: {error.strerror}") from error
    return final
