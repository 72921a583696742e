"""The bundle of the network that looks at pictures: read, verified and written; it is started in `session`.

A directory of its own, beside the bundle that scores machines: only an agent with a camera reads it, and machines
without one are the same with it and without. Sizes and hashes stand in its manifest; its graph is walked first.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import BundleError
from edge_agent.model.arrays import decode_arrays
from edge_agent.model.bundle import FileEntry, opened, read_file, read_verified
from edge_agent.model.onnx_check import check_graph
from edge_agent.records import Float32

SCHEMA_VERSION = 1
MANIFEST, MODEL, GOLDEN, CARD = "manifest.json", "picture.onnx", "picture.npz", "CARD.md"
INPUTS, OUTPUTS = ("pixels",), ("patches",)
CELL_PIXELS = 8
"""Of a patch, each way."""
_LIMITS_BYTES = {MODEL: 32 * 1024 * 1024, GOLDEN: 4 * 1024 * 1024, CARD: 1024 * 1024}
_MANIFEST_LIMIT_BYTES = 64 * 1024
_GOLDEN_LIMIT = 8
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]


class PictureManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the bundle says of itself.

    Attributes:
        patch_dim: D, numbers of a patch.
        source: where the weights come from, with their licence.
        golden_tolerance: largest difference from the golden answers, relative to their size.
    """

    schema_version: int
    name: _Name
    version: _Name
    created: str
    patch_dim: Annotated[int, msgspec.Meta(ge=1, le=4096)]
    source: str
    golden_tolerance: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.01
    files: dict[str, FileEntry]


@dataclass(frozen=True, slots=True)
class PictureBundle:
    """A verified bundle in memory, not yet started.

    Attributes:
        digest: SHA-256 of its network: what was learnt with one network means nothing to another.
        pixels: golden, [B, S, S, 3]. patches: what the trainer's network made of them, [B, G, G, D].
    """

    path: Path
    digest: str
    manifest: PictureManifest
    model: bytes
    pixels: NDArray[np.uint8]
    patches: Float32


def read(path: Path) -> PictureBundle:
    """Read and verify it.

    Raises:
        BundleError: names the file and the reason.
    """
    with opened(path) as folder:
        raw = read_file(folder, path / MANIFEST, _MANIFEST_LIMIT_BYTES)
        try:
            manifest = msgspec.json.decode(raw, type=PictureManifest)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BundleError(path / MANIFEST, f"not a manifest of a picture bundle: {error}") from error
        if manifest.schema_version != SCHEMA_VERSION:
            raise BundleError(
                path / MANIFEST, f"schema version {manifest.schema_version}, not {SCHEMA_VERSION}"
            )
        if manifest.files.keys() != _LIMITS_BYTES.keys():
            raise BundleError(path / MANIFEST, f"must list {', '.join(_LIMITS_BYTES)} and nothing else")
        for name, entry in manifest.files.items():
            if entry.bytes > _LIMITS_BYTES[name]:
                raise BundleError(path / MANIFEST, f"claims {entry.bytes} bytes for {name}: too many")
        contents = {name: read_verified(folder, path / name, entry) for name, entry in manifest.files.items()}
    check_graph(path / MODEL, contents[MODEL])
    pixels, patches = _golden(path / GOLDEN, contents[GOLDEN], patch_dim=manifest.patch_dim)
    return PictureBundle(path, manifest.files[MODEL].sha256, manifest, contents[MODEL], pixels, patches)


def identity(path: Path) -> str:
    """Digest of the bundle's network as its manifest tells it, before any of the network is read.

    Raises:
        BundleError: there is no such manifest.
    """
    with opened(path) as folder:
        return _manifest(folder, path).files[MODEL].sha256


def _manifest(folder: int, path: Path) -> PictureManifest:
    raw = read_file(folder, path / MANIFEST, _MANIFEST_LIMIT_BYTES)
    try:
        manifest = msgspec.json.decode(raw, type=PictureManifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(path / MANIFEST, f"not a manifest of a picture bundle: {error}") from error
    if manifest.schema_version != SCHEMA_VERSION:
        raise BundleError(path / MANIFEST, f"schema version {manifest.schema_version}, not {SCHEMA_VERSION}")
    if manifest.files.keys() != _LIMITS_BYTES.keys():
        raise BundleError(path / MANIFEST, f"must list {', '.join(_LIMITS_BYTES)} and nothing else")
    for name, entry in manifest.files.items():
        if entry.bytes > _LIMITS_BYTES[name]:
            raise BundleError(path / MANIFEST, f"claims {entry.bytes} bytes for {name}: too many")
    return manifest


def _golden(path: Path, raw: bytes, *, patch_dim: int) -> tuple[NDArray[np.uint8], Float32]:
    arrays = decode_arrays(path, raw, limit_bytes=2 * _LIMITS_BYTES[GOLDEN])
    pixels, patches = arrays.get("pixels"), arrays.get("patches")
    if pixels is None or patches is None or pixels.dtype != np.uint8 or pixels.ndim != 4:
        raise BundleError(path, "has not the golden arrays of pictures")
    count, high, wide, _ = pixels.shape
    if not 0 < count <= _GOLDEN_LIMIT or patches.shape != (
        count, high // CELL_PIXELS, wide // CELL_PIXELS, patch_dim,
    ):  # fmt: skip
        raise BundleError(path, "its golden patches do not fit its golden pictures")
    return pixels, patches.astype(np.float32)


def write(folder: Path, manifest: PictureManifest, contents: Mapping[str, bytes]) -> None:
    """Write the files and the manifest that names them.

    Raises:
        BundleError: the folder cannot be written.
    """
    files = {
        name: FileEntry(bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest())
        for name, raw in contents.items()
    }
    complete = msgspec.structs.replace(manifest, files=files)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, raw in {
            **contents,
            MANIFEST: msgspec.json.format(msgspec.json.encode(complete), indent=2),
        }.items():
            (folder / name).write_bytes(raw)
    except OSError as error:
        raise BundleError(folder, f"cannot be written: {error.strerror}") from error
