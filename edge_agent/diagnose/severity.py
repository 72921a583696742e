"""How grave an alarm is: how far, for how long, how fast it grows, and what the machine is worth. Pure.

The size of a score alone says little: a machine that is a little beyond its limit since yesterday, that gets worse by
the hour, or that stops the whole line, wants somebody sooner than one that twitched.

    gravity = weight x how many times the limit x (1 .. 2 by how long) x (1 .. 3 by how fast it grows in an hour)

Lengths count from a quarter of an hour on: an hour makes it graver by a quarter, four by a half, two and a half days
double it. Growth counts where it is certain. The score is a running geometric mean, so that one wild window is none.

What an alarm remembers of its score is bounded: means of five minutes, the older the longer ("exponential histograms":
Datar, Gionis, Indyk, Motwani, SIAM Journal on Computing 31, 2002).
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from edge_agent.records import ScoreTrend

_MINUTE_NS = 60_000_000_000
_HOUR_NS = 60 * _MINUTE_NS
_SPAN_NS = 5 * _MINUTE_NS
"""Of the newest means."""
_OF_A_LENGTH = 6
_MOST_MEANS = 42
"""More than two days and a half."""
_LEAST_SCORE = 0.05
_REMEMBERED_WINDOWS = 8
"""Of the running mean."""
_FEWEST_MEANS = 4
_LEAST_LOOK_NS = 15 * _MINUTE_NS
"""Of a trend: less tells noise."""
_CERTAIN = 3.0
"""Standard errors that a trend must be away from none."""
_LEAST_CHANGE = math.log(1.2)
"""A smaller change over all that is looked at is not worth a word."""
_LOOKS_NS = (_HOUR_NS, 24 * _HOUR_NS)
_LONG_NS, _LONGER, _LONGEST = 15 * _MINUTE_NS, 0.25, 2.0
_FASTEST = 3.0


@dataclass(frozen=True, slots=True)
class ScoreMean:
    """The score over a stretch of time: n windows from `start_ns` on, the sum of their logarithms."""

    start_ns: int
    span_ns: int
    windows: int
    logarithms: float

    @property
    def middle_ns(self) -> int:
        """Its middle."""
        return self.start_ns + self.span_ns // 2

    @property
    def mean(self) -> float:
        """The mean logarithm."""
        return self.logarithms / self.windows


@dataclass(frozen=True, slots=True)
class ScoreCourseState:
    """What outlives a restart: means, oldest first, and the running mean of the logarithm over so many windows."""

    means: tuple[ScoreMean, ...] = ()
    level: float = 0.0
    windows: int = 0


class ScoreCourse:
    """What one alarm's score was, from its opening on."""

    def __init__(self) -> None:
        self._means: list[ScoreMean] = []  # oldest first
        self._level = 0.0
        self._windows = 0
        self._per_hour: float | None = None  # as of the beginning of the newest mean

    def save(self) -> ScoreCourseState:
        """What a restart goes on with."""
        return ScoreCourseState(tuple(self._means), self._level, self._windows)

    def restore(self, state: ScoreCourseState) -> None:
        """Go on where another one stood."""
        self._means, self._level, self._windows = [*state.means], state.level, state.windows
        self._per_hour = self._growth(self._means[-1].start_ns) if self._means else None

    @property
    def level(self) -> float:
        """How many times the limit, of late."""
        return math.exp(self._level)

    def add(self, score: float, *, time_ns: int) -> None:
        """Take in the score of the next window."""
        logarithm = math.log(max(score, _LEAST_SCORE))
        self._windows = min(self._windows + 1, _REMEMBERED_WINDOWS)
        self._level += (logarithm - self._level) / self._windows
        newest = self._means[-1] if self._means else None
        if newest is not None and 0 <= time_ns - newest.start_ns < _SPAN_NS:
            self._means[-1] = replace(
                newest, windows=newest.windows + 1, logarithms=newest.logarithms + logarithm
            )
            return
        if newest is not None and time_ns < newest.start_ns:  # the clock was set back: what was is not before
            self._means.clear()
        self._means.append(ScoreMean(time_ns, _SPAN_NS, 1, logarithm))
        self._join()
        self._per_hour = self._growth(time_ns)  # most windows of an alarm change nothing of it

    def _join(self) -> None:
        """Make two of the oldest of a length one, where there are too many of it."""
        span_ns = _SPAN_NS
        while True:
            places = [at for at, one in enumerate(self._means) if one.span_ns == span_ns]
            if len(places) <= _OF_A_LENGTH:
                break
            first, second = (self._means[at] for at in places[:2])
            self._means[places[0] : places[1] + 1] = [
                ScoreMean(
                    first.start_ns,
                    2 * span_ns,
                    first.windows + second.windows,
                    first.logarithms + second.logarithms,
                )
            ]
            span_ns *= 2
        del self._means[:-_MOST_MEANS]

    def trend(self, *, now_ns: int) -> ScoreTrend:
        """Where the score stands, where it stood, and how fast it moves."""
        before = self._before(now_ns)
        return ScoreTrend(
            level=self.level,
            before=None if before is None else math.exp(before.mean),
            before_ns=None if before is None else before.middle_ns,
            per_hour=self._per_hour,
        )

    def _growth(self, now_ns: int) -> float | None:
        """By what the score is multiplied in an hour, by the shortest look that tells it."""
        slopes = (self._slope(now_ns, look_ns) for look_ns in _LOOKS_NS)
        return next((math.exp(slope) for slope in slopes if slope is not None), None)

    def _before(self, now_ns: int) -> ScoreMean | None:
        """The mean of an hour ago; of the beginning, where that is not so long ago but long enough."""
        older = [one for one in self._means if now_ns - one.middle_ns >= _LEAST_LOOK_NS]
        return min(older, key=lambda one: abs(now_ns - _HOUR_NS - one.middle_ns), default=None)

    def _slope(self, now_ns: int, look_ns: int) -> float | None:
        """Growth of the logarithm in an hour, where it is certain and worth a word."""
        # All but the newest, which may be of a single window.
        seen = [one for one in self._means if 0 <= now_ns - one.middle_ns <= look_ns + _SPAN_NS]
        seen = seen[:-1] if len(seen) > _FEWEST_MEANS and seen[-1].windows < seen[-2].windows // 2 else seen
        if len(seen) < _FEWEST_MEANS or seen[-1].middle_ns - seen[0].middle_ns < _LEAST_LOOK_NS:
            return None
        hours = np.array([(one.middle_ns - now_ns) / _HOUR_NS for one in seen])
        values = np.array([one.mean for one in seen])
        hours -= hours.mean()
        slope = float(hours @ (values - values.mean()) / (hours @ hours))
        rest = values - values.mean() - slope * hours
        error = math.sqrt(float(rest @ rest) / (len(seen) - 2) / float(hours @ hours))
        worth = abs(slope) * (hours[-1] - hours[0]) >= _LEAST_CHANGE
        return slope if worth and abs(slope) > _CERTAIN * error else None


def gravity(trend: ScoreTrend, *, lasted_ns: int, weight: float) -> float:
    """How grave it is, as many times a light alarm of an ordinary machine."""
    lengths = max(lasted_ns, _LONG_NS) / _LONG_NS
    longer = min(1.0 + _LONGER * math.log(lengths, 4), _LONGEST)
    faster = min(max(trend.per_hour or 1.0, 1.0), _FASTEST)
    return weight * trend.level * longer * faster
