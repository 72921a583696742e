"""Who may read the page and who may command: host names, origins and the token. Opens nothing, answers nobody.

A foreign web page in a technician's browser can send requests here. It cannot read, also where it points its own name
at this machine: `Host` must be ours. And it cannot command: that takes a header which only this page's own script sets,
with a token that no browser sends by itself.
"""

import hashlib
import hmac
import ipaddress
import socket
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

Admission = Literal["welcome", "no_token_set", "wrong_token", "too_often"]

TOKEN_LEAST = 16
"""Characters: a shorter token could be guessed."""
_TOKEN_LIMIT_BYTES = 1024
_FAILURES = 10
_FAILURES_WITHIN_S = 60.0
_ADDRESSES_LIMIT = 256


def host_allowed(host: str, names: tuple[str, ...]) -> bool:
    """Whether a request's `Host` is an address or one of our names, and not one that a stranger points here."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.removeprefix("[").removesuffix("]").rstrip(".").lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in {"localhost", socket.gethostname().lower(), *(known.lower() for known in names)}
    return True


def same_origin(headers: Mapping[str, str], host: str) -> bool:
    """Whether the browser, where it is one, says that this very page sends the request."""
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is not None and site != "same-origin":
        return False
    return origin is None or origin in {f"http://{host}", f"https://{host}"}


class TokenGuard:
    """Compares tokens in constant time, and slows an address down that sends wrong ones.

    The right token is welcome at any time: behind a proxy a stranger's wrong ones come from the technician's address.
    """

    def __init__(self, file: Path | None, *, monotonic: Callable[[], float]) -> None:
        self._file = file
        self._monotonic = monotonic
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    @property
    def usable(self) -> bool:
        """Whether there is a token to compare with. The file is read anew: it may be exchanged at any time."""
        return self._token() is not None

    def judge(self, authorization: str, address: str) -> Admission:
        """What to make of an `Authorization` header."""
        token = self._token()
        if token is None:
            return "no_token_set"
        scheme, _, shown = authorization.partition(" ")
        same = hmac.compare_digest(_digest(shown.strip().encode("latin-1", "replace")), _digest(token))
        if scheme.lower() == "bearer" and same:
            return "welcome"
        now_s = self._monotonic()
        recent = [at_s for at_s in self._failures.get(address, ()) if now_s - at_s < _FAILURES_WITHIN_S]
        if len(recent) >= _FAILURES:
            return "too_often"
        self._failures[address] = [*recent, now_s]
        self._failures.move_to_end(address)
        if len(self._failures) > _ADDRESSES_LIMIT:
            self._failures.popitem(last=False)
        return "wrong_token"

    def _token(self) -> bytes | None:
        if self._file is None:
            return None
        try:
            with self._file.open("rb") as file:
                token = file.read(_TOKEN_LIMIT_BYTES + 1).strip()
        except OSError:
            return None
        return token if TOKEN_LEAST <= len(token) <= _TOKEN_LIMIT_BYTES else None


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
