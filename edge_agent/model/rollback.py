"""Which releases of signed bundles are too old: ones before what has run here, and expired ones. Verifies no signature.

Only what a trusted key vouches for is remembered: anybody could write a high counter into an unsigned bundle and so
lock out the good ones. The file lies in the state directory; who can change it is the agent's own user already.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from edge_agent.errors import BundleError, StateError
from edge_agent.logs import get_logger
from edge_agent.model.bundle import Bundle

log = get_logger()

FILE = "bundles.json"
_SCHEMA_VERSION = 1
_NAMES_LIMIT = 256
_LIMIT_BYTES = 1024 * 1024


class _Seen(msgspec.Struct, frozen=True):
    counter: int
    digest: str


class _File(msgspec.Struct, frozen=True):
    schema_version: int
    seen: dict[str, _Seen]


@dataclass(frozen=True, slots=True)
class Counters:
    """The highest counter run of each bundle's name, in the state directory `folder`."""

    folder: Path

    def check(self, bundle: Bundle) -> None:
        """Refuse a signed bundle that is older than one that has run here.

        Raises:
            BundleError: older, without a counter after one with it, or another one with the same counter.
        """
        seen = self._load().get(bundle.manifest.name)
        if bundle.signed_by is None or seen is None:
            return
        counter = bundle.release.counter if bundle.release else 0
        if counter < seen.counter:
            raise BundleError(
                bundle.path, f"older than what has run here: counter {counter}, after {seen.counter}"
            )
        if counter == seen.counter and bundle.digest != seen.digest:
            raise BundleError(
                bundle.path, f"another bundle with counter {counter} has run here: sign it anew"
            )

    def remember(self, bundle: Bundle) -> None:
        """Note that this bundle runs here.

        Raises:
            StateError: the file cannot be written.
        """
        if bundle.signed_by is None or bundle.release is None:
            return
        table = self._load()
        entry = _Seen(bundle.release.counter, bundle.digest)
        if table.get(bundle.manifest.name) == entry:
            return
        if len(table) >= _NAMES_LIMIT and bundle.manifest.name not in table:
            raise StateError(self.folder / FILE, f"remembers {_NAMES_LIMIT} names of bundles, and no more")
        table[bundle.manifest.name] = entry
        path = self.folder / FILE
        partial = path.with_name(f".{FILE}.partial")
        try:
            partial.write_bytes(msgspec.json.encode(_File(_SCHEMA_VERSION, table)))
            partial.replace(path)
        except OSError as error:
            raise StateError(path, error.strerror or "cannot be written") from error

    def _load(self) -> dict[str, _Seen]:
        """A damaged file is reported and counts as empty: a gateway must watch its machines, whatever its disk did."""
        path = self.folder / FILE
        try:
            with path.open("rb") as file:
                return dict(msgspec.json.decode(file.read(_LIMIT_BYTES), type=_File).seen)
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("bundle_counters_unreadable", path=str(path), reason=str(error))
            return {}


def expired(bundle: Bundle, *, now: datetime) -> bool:
    """Whether the bundle's signer wanted it replaced by now."""
    expires = bundle.release.expires if bundle.release else None
    return expires is not None and expires <= now


def refuse_expired(bundle: Bundle, *, now: datetime) -> None:
    """Refuse a bundle that should have been replaced, where the configuration asks for that.

    Raises:
        BundleError: it has expired.
    """
    if expired(bundle, now=now) and bundle.release is not None:
        raise BundleError(
            bundle.path, f"expired {bundle.release.expires:%Y-%m-%dT%H:%MZ}: sign a new release"
        )
