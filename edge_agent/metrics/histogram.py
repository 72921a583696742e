"""A histogram in which equal values count at once: messages that came together are decided together. Pure."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate


class BatchHistogram:
    """How many values fell below each edge. One thread observes.

    Attributes:
        total: sum of the values.
    """

    def __init__(self, edges: Sequence[float]) -> None:
        """`edges` rise; the last one, infinity, is added."""
        self.total = 0.0
        self._edges = (*edges, math.inf)
        self._counts = [0] * len(self._edges)

    def observe(self, value: float, times: int = 1) -> None:
        """So many equal values."""
        self._counts[bisect_left(self._edges, value)] += times
        self.total += value * times

    def buckets(self) -> list[tuple[str, float]]:
        """Each edge, as Prometheus writes it, with the number of values up to it."""
        counts = zip(self._edges, accumulate(self._counts), strict=True)
        return [("+Inf" if edge == math.inf else str(edge), float(count)) for edge, count in counts]
