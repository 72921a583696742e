"""How late messages are, and which of them are shed while more come than this machine can carry. No MQTT and no clock.

A broker hides its queue from whoever reads it. So the agent sends itself a numbered probe through it every half second:
the probe waits behind everything that waits there, and its age on return is what a sensor message waits, exactly.

Backlog and overload look alike in one moment. They are told apart by what came before:

- catching up: the connection is new, or nothing came or was taken for a while, and messages are late. Nothing is shed
  for up to `catch_up_s` unless the delay grows: the backlog of an outage is worth having, and it shrinks.
- overload: messages became late while they kept coming. Of each batch the oldest are shed, first a half, then more,
  until messages are in time again; then step by step fewer.
"""

from collections import deque
from dataclasses import replace

from edge_agent.inbox import Batch

PROBE_EVERY_S = 0.5
_PROBES_LIMIT = 256
"""Probes on their way that are remembered; a longer queue loses the oldest ones only."""
_LEAST_SHARE = 1 / 32
_LESS, _MORE = 0.5, 1.1
_ADJUST_EVERY_S = 0.25
_GROWTH_S = 1.0
"""Probes sent so long after one another tell whether the queue grows."""


class Relief:
    """Follows the delay of one connection after the other. Belongs to one thread."""

    def __init__(self, *, topic: str, limit_s: float, catch_up_s: float) -> None:
        """Messages later than `limit_s` are too late; `topic` is where probes come back. No limit: never shed."""
        self.share = 1.0
        """Of each batch, how much is used."""
        self.delay_s = 0.0
        """What a message waits from the broker to the pipeline, as far as is known."""
        self._topic = topic
        self._limit_s = limit_s
        self._catch_up_s = catch_up_s
        self._number = 0
        self._flying: deque[tuple[int, float]] = deque()
        self._earlier: deque[tuple[float, float]] = deque()  # (sent, delay) of probes, while catching up
        self._session = -1
        self._answered = False
        self._catching_up_since: float | None = None
        self._heard_s = self._sent_s = self._adjusted_s = 0.0
        self._looked_s = 0.0
        self._pause_s = max(limit_s, 2 * PROBE_EVERY_S)

    @property
    def overloaded(self) -> bool:
        """Whether messages are being shed."""
        return self.share < 1.0

    @property
    def catching_up(self) -> bool:
        """Whether a backlog is being worked off, of which nothing is shed."""
        return self._catching_up_since is not None

    def probe(self, *, session: int, now_s: float) -> bytes | None:
        """What is to be sent to the topic now, if it is time; `session` is the number of the connection."""
        if session != self._session:
            self._session, self._answered = session, False
            self._flying.clear()
            self.share, self.delay_s = 1.0, 0.0
            self._catching_up_since = now_s
            self._earlier.clear()
        if self._limit_s <= 0 or now_s - self._sent_s < PROBE_EVERY_S:
            return None
        self._sent_s = now_s
        self._number += 1
        self._flying.append((self._number, now_s))
        if len(self._flying) > _PROBES_LIMIT:
            self._flying.popleft()
        return str(self._number).encode()

    def thin(self, batch: Batch, *, now_s: float) -> Batch:
        """The batch without probes, and without its oldest messages while there is an overload."""
        self._note_pause(batch, now_s)
        if not batch.arrivals:
            self._judge(now_s)
            return batch
        self._heard_s = batch.arrivals[-1].at_s
        probes = [a for a in batch.arrivals if a.delivery.topic == self._topic]
        for arrival in probes:
            self._returned(arrival.delivery.payload, now_s)
        self._judge(now_s)
        arrivals = batch.arrivals
        if probes:
            arrivals = tuple(a for a in arrivals if a.delivery.topic != self._topic)
        if not self.overloaded:
            return replace(batch, arrivals=arrivals)
        keep = round(self.share * len(arrivals))
        return replace(
            batch, arrivals=arrivals[len(arrivals) - keep :], shed=batch.shed + len(arrivals) - keep
        )

    def _returned(self, payload: bytes, now_s: float) -> None:
        if not any(str(number).encode() == payload for number, _ in self._flying):
            return  # of an earlier connection, or somebody else's
        self._answered = True
        while True:
            number, sent_s = self._flying.popleft()
            if str(number).encode() == payload:
                break
        self.delay_s = now_s - sent_s
        if self.delay_s < self._limit_s or self._grows(sent_s):
            self._catching_up_since = None
            self._earlier.clear()

    def _grows(self, sent_s: float) -> bool:
        """Whether messages sent later waited longer: then more come than go, and what waits is no mere backlog."""
        self._earlier.append((sent_s, self.delay_s))
        while self._earlier[0][0] < sent_s - 2 * _GROWTH_S:
            self._earlier.popleft()
        before_s, delay_s = self._earlier[0]
        return sent_s - before_s >= _GROWTH_S and self.delay_s > delay_s + _GROWTH_S / 4

    def _note_pause(self, batch: Batch, now_s: float) -> None:
        """After nothing came, or nothing was taken, for longer than the limit, there is a backlog to catch up with."""
        came_s = batch.arrivals[0].at_s - self._heard_s if batch.arrivals else 0.0
        if max(came_s, now_s - self._looked_s) > self._pause_s and not self.overloaded:
            self._catching_up_since = now_s
            self._earlier.clear()
        self._looked_s = now_s

    def _judge(self, now_s: float) -> None:
        """Shed more, less or nothing, by the age of the oldest probe on its way."""
        waiting_s = now_s - self._flying[0][1] if self._flying else 0.0
        self.delay_s = max(waiting_s, self.delay_s if waiting_s < PROBE_EVERY_S else 0.0)
        if not self._answered or self._limit_s <= 0 or now_s - self._adjusted_s < _ADJUST_EVERY_S:
            return
        since = self._catching_up_since
        if since is not None and now_s - since < self._catch_up_s:
            return
        if self.delay_s > self._limit_s:
            if now_s - self._heard_s > self._limit_s:  # nothing comes: shedding cannot help
                return
            self.share = max(_LEAST_SHARE, _LESS * self.share)
        elif self.delay_s < self._limit_s / 2:
            self.share = min(1.0, _MORE * self.share)
        self._adjusted_s = now_s
