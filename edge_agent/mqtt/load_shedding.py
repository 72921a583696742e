"""More comes than can be judged: how long messages wait at the broker, and whom to pass over meanwhile. Pure.

What the agent cannot keep up with waits in its own queue and in the broker's, where nobody sees it. So the agent sends
itself an echo through that, ten times a second where there is much to do: it comes back as late as the messages beside
it. Only a wait that grows is an overload. What had queued up while the agent was away, or while it stood still, is
worked off and lost to nobody: there the first echo comes back late, and each later one less so.

While it lasts each machine is heard for a part of every round, whole, and shed whole for the rest, as thinned-out
rows would look like faults; not all at the same time. How large the part is follows the wait.
"""

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from edge_agent.mqtt.inbox import Batch

_ECHO_EVERY_S = 0.1
_CALM_ECHO_EVERY_S = 1.0
"""Where little comes and nothing waits: each echo wakes two threads, the broker and a turn."""
_CALM_MESSAGES = 20
"""With more of them since the last echo, more than little comes."""
_LATELY_S, _SLOWLY_S = 0.5, 5.0
_GROWING_BY_S = 0.02
"""The wait grows if each echo of the last half second, or one of each of the last five seconds, was out longer by so
much than the one before. A burst of half a second is no growth."""
_FEWEST = 3
"""Echoes that tell: in an overload the turns between which they are sent grow long."""
_STEER_EVERY_S = 0.25
_PACE = 20_000.0
"""Messages a second, until it is known: rather too many."""
_ROUND_S = 600.0
"""A machine's part must be longer than its window, or it is never scored meanwhile: 128 rows of one a second take two
minutes, which is a fifth of a round."""
_GOLDEN = 0.6180339887498949
"""Multiples of it lie evenly between 0 and 1, however many there are."""
_FIRST = 0.9
"""Of the share that we could just carry: what has gathered must go, too."""
_LEAST_SHARE = 0.05
_FEWER, _MORE, _MUCH_MORE = 0.75, 1.05, 1.15
_MACHINES = 50_000
_OUT_LIMIT = 1000
"""Echoes under way that are remembered."""
_DEAF_S = 20.0
"""With no echo for so long nothing is known: the broker lost them, or we may not hear them. Nobody is passed over on a
guess, and there is no hurry to say another."""

Tell = Callable[..., None]


class _Echo(NamedTuple):
    """One that came back: how long it was at the broker, and how many messages were in our own queue then."""

    sent_s: float
    away_s: float
    queued: int


class LoadShedder:
    """The measure of the wait and the choice of machines. One thread.

    Attributes:
        share: of the machines that are heard, 1 where nothing is passed over.
        topic: where echoes go.
    """

    def __init__(
        self,
        *,
        topic: str,
        longest_wait_s: float,
        boot: str,
        machine_of: Callable[[str], str | None],
        tell: Tell,
        round_s: float = _ROUND_S,
    ) -> None:
        """Begin without an overload.

        Args:
            topic: of the echoes.
            longest_wait_s: a wait that is longer and grows is an overload; 0: nothing is measured, or passed over.
            boot: tells this process's echoes from those of another life.
            machine_of: the machine that a topic names.
            tell: is told when an overload begins and ends.
            round_s: in so long every machine has its part.
        """
        self.topic = topic
        self.share = 1.0
        self._limit_s = longest_wait_s
        self._boot = boot
        self._machine_of = machine_of
        self._tell = tell
        self._round_s = round_s
        self._session = 0
        self._number = 0
        self._out: deque[tuple[int, float]] = deque(maxlen=_OUT_LIMIT)
        self._heard_s = 0.0
        self._sent_s = 0.0
        self._since_echo = 0
        self._caught_up = False
        self._lately: deque[_Echo] = deque()
        self._slowly: deque[_Echo] = deque()  # one of each second
        self._second = 0
        self._steered_s = 0.0
        self._turned_s, self._taken, self._queued = 0.0, 0, 0
        self._pace = _PACE
        self._places: dict[str, float] = {}
        self._topics: dict[str, tuple[str, float]] = {}
        self._began_s = 0.0
        self._passed_over = 0

    def adopt_topics(self, machine_of: Callable[[str], str | None]) -> None:
        """Topics are read in another way from here on."""
        self._machine_of = machine_of
        self._topics.clear()

    @property
    def on(self) -> bool:
        """Whether machines are passed over just now."""
        return self.share < 1.0

    def wait_s(self, now_s: float) -> float:
        """How long a message waits before it is judged: by the last echo, or by one that is out for longer."""
        last_s = self._time_of(self._lately[-1]) if self._lately else 0.0
        return max(last_s, now_s - self._out[0][1]) if self._out else last_s

    def next_echo(self, *, session: int, now_s: float) -> bytes | None:
        """What to send to `topic` now from connection `session`; None where it is not time."""
        if not self._limit_s:
            return None
        new = session != self._session
        if new:
            self._session, self._caught_up = session, False
            self._out.clear()
            self._lately.clear()
            self._slowly.clear()
            self._end(now_s)
            self._heard_s = now_s
        deaf = now_s - self._heard_s > _DEAF_S
        if deaf:
            self._end(now_s)
        if not new and now_s - self._sent_s < (_DEAF_S if deaf else self._echo_every_s()):
            return None
        self._sent_s, self._number, self._since_echo = now_s, self._number + 1, 0
        self._out.append((self._number, now_s))
        return json.dumps({"boot": self._boot, "number": self._number}).encode()

    def _echo_every_s(self) -> float:
        calm = not (self._out or self._queued or self.on) and self._since_echo <= _CALM_MESSAGES
        return _CALM_ECHO_EVERY_S if calm else _ECHO_EVERY_S

    def shed(
        self, batch: Batch, echoes: Sequence[tuple[bytes, float]], *, queued: int, now_s: float
    ) -> Batch:
        """The batch without echoes and without whom we pass over; its receipts stay, what is passed over is shed.

        Args:
            batch: the oldest messages of our own queue.
            echoes: those that reached our queue since the last turn, and when.
            queued: messages left in our queue.
            now_s: monotonic.
        """
        arrivals = batch.arrivals
        self._measure_pace(queued, taken=len(arrivals), now_s=now_s)
        for payload, at_s in echoes:
            self._take_echo(payload, at_s, queued, now_s)
        if any(one.delivery.topic == self.topic for one in arrivals):
            arrivals = tuple([one for one in arrivals if one.delivery.topic != self.topic])
        elif not self.on:
            return batch
        if self.on:
            phase, share, heard = now_s / self._round_s, self.share, []
            machines = set()
            for one in arrivals:
                machine, place = self._machine(one.delivery.topic)
                if (phase + place) % 1.0 < share:
                    heard.append(one)
                else:
                    machines.add(machine)
            shed, arrivals = len(arrivals) - len(heard), tuple(heard)
            self._passed_over += shed
            batch = replace(batch, shed=batch.shed + shed, passed_over=frozenset(machines))
        return replace(batch, arrivals=arrivals)

    def _measure_pace(self, queued: int, *, taken: int, now_s: float) -> None:
        """What we take out of our own queue in a second, while there is something in it."""
        took_s = now_s - self._turned_s
        if self._queued and took_s > 0.0:
            self._pace += 0.2 * (self._taken / took_s - self._pace)
        self._turned_s, self._taken, self._queued = now_s, taken, queued
        self._since_echo += taken

    def _time_of(self, echo: _Echo) -> float:
        return echo.away_s + echo.queued / max(self._pace, 1.0)

    def _take_echo(self, payload: bytes, at_s: float, queued: int, now_s: float) -> None:
        number = self._number_of(payload)
        while self._out and self._out[0][0] < number:
            self._out.popleft()  # lost at the broker
        if not self._out or self._out[0][0] != number:
            return  # of another connection, or said twice
        sent_s, self._heard_s = self._out.popleft()[1], now_s
        if self._caught_up:
            found = _Echo(sent_s, at_s - sent_s, queued)
            _note(self._lately, found, span_s=_LATELY_S)
            if int(now_s) != self._second:
                self._second = int(now_s)
                _note(self._slowly, found, span_s=_SLOWLY_S)
            self._weigh(self._time_of(found), now_s)
        self._caught_up = True

    def _number_of(self, payload: bytes) -> int:
        """The echo's number; 0, which none has, for what this process did not say."""
        try:
            said = json.loads(payload)
        except (ValueError, RecursionError):
            return 0
        if not isinstance(said, dict) or said.get("boot") != self._boot:
            return 0
        number = said.get("number")
        return number if isinstance(number, int) and number <= self._number else 0

    def _weigh(self, wait_s: float, now_s: float) -> None:
        if not self.on:
            excess = self._growth(self._lately, _LATELY_S) or self._growth(self._slowly, _SLOWLY_S)
            if wait_s > self._limit_s and excess:
                self.share = max(_LEAST_SHARE, _FIRST / (1.0 + excess))
                self._began_s, self._steered_s, self._passed_over = now_s, now_s, 0
                self._tell("overload_began", wait_s=round(wait_s, 2), share=round(self.share, 2))
        elif now_s - self._steered_s >= _STEER_EVERY_S:
            self._steered_s = now_s
            if wait_s > self._limit_s / 2 and wait_s >= self._time_of(self._lately[0]):
                self.share = max(_LEAST_SHARE, self.share * _FEWER)
            elif wait_s < self._limit_s / 4:
                more = _MORE if wait_s > self._limit_s / 10 else _MUCH_MORE
                if self.share * more >= 1.0:
                    self._end(now_s)
                self.share = min(1.0, self.share * more)

    def _growth(self, echoes: Sequence[_Echo], span_s: float) -> float:
        """Seconds by which the wait grows in a second: so many times our pace comes beyond it. 0: it does not grow."""
        steps = [self._time_of(later) - self._time_of(earlier) for earlier, later in pairwise(echoes)]
        took_s = echoes[-1].sent_s - echoes[0].sent_s if echoes else 0.0
        if len(echoes) < _FEWEST or took_s < 0.9 * span_s or min(steps) < _GROWING_BY_S:
            return 0.0
        return sum(steps) / took_s

    def _end(self, now_s: float) -> None:
        if self.on:
            self._tell("overload_ended", lasted_s=round(now_s - self._began_s, 1), shed=self._passed_over)
        self.share = 1.0

    def _machine(self, topic: str) -> tuple[str, float]:
        """The topic's machine, and where it stands in the round, between 0 and 1."""
        known = self._topics.get(topic)
        if known is None:
            machine = self._machine_of(topic) or topic
            if len(self._topics) >= _MACHINES:
                self._topics.clear()
            if len(self._places) >= _MACHINES:
                self._places.clear()
            place = self._places.setdefault(machine, len(self._places) * _GOLDEN % 1.0)
            known = self._topics[topic] = machine, place
        return known


def _note(echoes: deque[_Echo], newest: _Echo, *, span_s: float) -> None:
    """Keep no more than what spans `span_s`."""
    echoes.append(newest)
    while len(echoes) > _FEWEST and newest.sent_s - echoes[1].sent_s >= 0.9 * span_s:
        echoes.popleft()
