"""Keys and signatures: who made a bundle, its place in the order of releases, until when it is good. Trains nothing."""

import os
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from edge_agent.errors import UsageError
from edge_agent.model import bundle, signature
from edge_agent.model.bundle import Release
from edge_trainer.bundle import placing


def keygen(out: Path, *, passphrase: bytes | None = None) -> tuple[Path, Path]:
    """A new key pair as `out` (private, readable by its owner alone) and `out` with `.pub` in place of its suffix.

    Raises:
        UsageError: one of them exists already, or cannot be written.
    """
    public_file = out.with_suffix(".pub")
    for path in (out, public_file):
        if path.exists():
            raise UsageError(f"{path}: exists, and a key is never overwritten")
    key = Ed25519PrivateKey.generate()
    hidden = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for path, content, mode in ((out, private, 0o600), (public_file, public, 0o644)):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
                file.write(content)
    except OSError as error:
        raise UsageError(f"{error.filename}: the key cannot be written ({error.strerror})") from error
    return out, public_file


def run(
    path: Path,
    *,
    keys: Sequence[Path],
    counter: int,
    expires: datetime | None = None,
    to: Path | None = None,
    passphrase: bytes | None = None,
) -> Path:
    """Write a signed copy of a bundle beside it (or into `to`, replaced whole); its network stays byte for byte.

    Args:
        path: the bundle.
        keys: private keys; two of them while gateways change from one to the other.
        counter: higher than that of every release of this name before.
        expires: aware time from which on agents report the bundle as too old.
        to: directory for the signed bundle.
        passphrase: of the keys, where they have one.

    Raises:
        BundleError: the bundle is not whole.
        UsageError: a key cannot be used.
        TrainingError: `to` holds something that is no bundle.
    """
    read = bundle.read(path)
    private = [_private_key(file, passphrase) for file in keys]
    contents = {name: (path / name).read_bytes() for name in read.manifest.files}
    manifest = msgspec.structs.replace(read.manifest, release=Release(counter=counter, expires=expires))
    signatures = signature.sign(bundle.with_files(manifest, contents), private)
    written = bundle.write(path.absolute().parent, manifest, contents, signature=signatures)
    if to is None:
        return written
    placed = placing.place(written, to)
    if written != to.absolute():
        shutil.rmtree(written)
    return placed


def _private_key(file: Path, passphrase: bytes | None) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(file.read_bytes(), passphrase)
    except OSError as error:
        raise UsageError(f"{file}: the key cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{file}: no private key in PEM form, or its passphrase is another") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{file}: not an Ed25519 key")
    return key
