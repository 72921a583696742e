"""Whether messages as long as those that we publish get through: a broker may acknowledge them and drop them. Pure.

mosquitto does so beyond its `message_size_limit`, and nobody who listens or publishes is told. So an echo as long as
the longest message that was ever published follows it to ourselves, once for each greater length.
"""

import json
from collections.abc import Iterable

_PATIENCE_S = 20.0
_AGAIN_S = 600.0
_TRIES = 2
"""Connections that may be lost with such an echo under way: more would be lost to it."""


class LongEcho:
    """The longest length that came back, and the one that did not. One thread."""

    def __init__(self, *, boot: str) -> None:
        """`boot` tells this process's echoes from those of another life."""
        self._boot = boot
        self._returned = 0
        self._lost = 0
        self._out = 0
        self._session = 0
        self._sent_s = 0.0
        self._tries = 0
        self._heard_other = False

    @property
    def trouble(self) -> str:
        """What is wrong with long messages; empty where nothing is."""
        if not self._lost:
            return ""
        return (
            f"what we publish is lost where it is as long as {self._lost:,} bytes: the broker acknowledges it "
            "and drops it, or hangs up (mosquitto: message_size_limit, max_packet_size)"
        )

    def next_message(self, longest: int, *, session: int, now_s: float) -> bytes | None:
        """The echo to send now, where `longest` bytes were published and nothing so long has come back yet."""
        if self._out and session != self._session:
            self._tries += 1
            if self._tries >= _TRIES:
                self._lost = max(self._lost, self._out)
            self._out = 0
        if self._out and self._heard_other and now_s - self._sent_s > _PATIENCE_S:
            self._lost, self._out = max(self._lost, self._out), 0
        soon = self._lost >= longest and now_s - self._sent_s < _AGAIN_S
        if (
            self._out
            or longest <= self._returned
            or soon
            or (self._tries >= _TRIES and self._lost >= longest)
        ):
            return None
        self._out, self._session, self._sent_s, self._heard_other = longest, session, now_s, False
        return json.dumps({"boot": self._boot, "long": longest}).encode().ljust(longest)

    def take_echoes(self, payloads: Iterable[bytes]) -> None:
        """What came back, of whatever length."""
        beginning = json.dumps({"boot": self._boot, "long": self._out}).encode()
        for payload in payloads:
            if self._out and payload.startswith(beginning):
                self._returned, self._out, self._tries = self._out, 0, 0
                self._lost = 0 if self._lost <= self._returned else self._lost
            else:
                self._heard_other = True
