"""Who vouches for a bundle: Ed25519 signatures over the manifest's very bytes, in a file beside it. Reads no bundle.

The manifest names the size and SHA-256 of every other file, so that its signature covers all of them. The signature
file holds one signature a key, so that a bundle can be signed by the old and the new key while keys are exchanged.
`cryptography` is imported where a key or signature is at hand: an agent without keys does not load it.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_agent.errors import BundleError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE = "manifest.sig"
LIMIT_BYTES = 16_384
_SCHEMA_VERSION = 1
_SIGNATURES_LIMIT = 8
_KEY_FILE_LIMIT_BYTES = 16_384


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    """First 16 hexadecimal digits of the SHA-256 of the raw public key."""
    signature: str
    """Base64."""


class _SignatureFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema_version: int
    signatures: tuple[_Signed, ...]


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signatures count, and whether a bundle must have one.

    Attributes:
        keys: key id -> public key. required: refuse a bundle that none of them has signed.
    """

    keys: Mapping[str, "Ed25519PublicKey"] = field(default_factory=dict)
    required: bool = False

    def verify(self, path: Path, manifest: bytes, signatures: bytes | None) -> str | None:
        """The id of the key that vouches for these manifest bytes; None where none does and none has to.

        A signature by a trusted key that does not fit is refused even where none is required: something was altered.

        Raises:
            BundleError: with the reason; `path` names the signature file.
        """
        if signatures is None:
            if self.required:
                raise BundleError(path, "not signed, and the configuration requires a signature")
            return None
        signed = _decode(path, signatures)
        for entry in signed:
            key = self.keys.get(entry.key)
            if key is not None and not _fits(key, manifest, entry.signature):
                raise BundleError(path, f"the signature by key {entry.key} does not fit: altered")
        known = [entry.key for entry in signed if entry.key in self.keys]
        if self.required and not known:
            ids = ", ".join(entry.key[:16] for entry in signed) or "nobody"
            raise BundleError(path, f"signed by {ids}, and that is no trusted key")
        return known[0] if known else None


ANYONE = Trust()
"""No keys: hashes are checked, nobody's word is asked for."""


def load_trust(files: Sequence[Path], *, required: bool) -> Trust:
    """The public keys in these PEM files.

    Raises:
        UsageError: a file cannot be read or holds no Ed25519 public key.
    """
    keys = {}
    for file in files:
        key = _public_key(file)
        keys[key_id(key)] = key
    return Trust(keys, required)


def key_id(key: "Ed25519PublicKey") -> str:
    """How a key is called in signature files and logs."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def sign(manifest: bytes, keys: Sequence["Ed25519PrivateKey"]) -> bytes:
    """The content of a signature file for these manifest bytes."""
    signatures = tuple(
        _Signed(key_id(key.public_key()), base64.b64encode(key.sign(manifest)).decode()) for key in keys
    )
    return msgspec.json.format(msgspec.json.encode(_SignatureFile(_SCHEMA_VERSION, signatures)), indent=2)


def _decode(path: Path, raw: bytes) -> tuple[_Signed, ...]:
    try:
        content = msgspec.json.decode(raw, type=_SignatureFile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(path, f"not a signature file: {error}") from error
    if content.schema_version != _SCHEMA_VERSION:
        raise BundleError(path, f"signature schema version {content.schema_version}, not {_SCHEMA_VERSION}")
    if not 0 < len(content.signatures) <= _SIGNATURES_LIMIT:
        raise BundleError(path, f"holds {len(content.signatures)} signatures")
    return content.signatures


def _fits(key: "Ed25519PublicKey", manifest: bytes, signature: str) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    try:
        raw = base64.b64decode(signature, validate=True)
        key.verify(raw, manifest)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return base64.b64encode(raw).decode() == signature  # base64 has spare bits: one spelling alone is ours


def _public_key(file: Path) -> "Ed25519PublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    try:
        with file.open("rb") as opened:
            key = load_pem_public_key(opened.read(_KEY_FILE_LIMIT_BYTES))
    except OSError as error:
        raise UsageError(f"{file}: the key cannot be read ({error.strerror})") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{file}: holds no public key in PEM form") from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{file}: not an Ed25519 key")
    return key
