"""Faults at random: which, when, how bad and how fast. No physics."""

import numpy as np

from simulator.errors import UsageError
from simulator.kinds import EVERY_KIND
from simulator.records import Growth, Injection

_GROWTHS: tuple[Growth, ...] = ("linear", "exponential", "intermittent")


def some_faults(
    kind: str,
    *,
    seed: int,
    first_row: int,
    rows: int,
    count: int,
    length_rows: tuple[int, int],
    severity: tuple[float, float] = (0.3, 1.0),
) -> tuple[Injection, ...]:
    """Faults that do not overlap, at random places between `first_row` and `rows`, with normal rows between them.

    Args:
        kind: Key in `EVERY_KIND`.
        seed: Source of all of it.
        first_row: No fault begins before it.
        rows: Each is over before it.
        count: How many; fewer where there is no room.
        length_rows: Shortest and longest, log-uniform; growth takes a random part of it, or none.
        severity: Least and greatest, uniform.

    Raises:
        UsageError: Unknown kind, or no room for any.
    """
    if kind not in EVERY_KIND:
        raise UsageError(f"unknown kind of machine {kind!r}; known: {', '.join(EVERY_KIND)}")
    rng = np.random.default_rng([seed, 2])
    low, high = length_rows
    count = min(count, (rows - first_row) // (2 * low))
    if count < 1:
        raise UsageError(f"no room for a fault of {low} rows between rows {first_row} and {rows}")
    room = (rows - first_row) // count
    drawn = []
    for number in range(count):
        fault = EVERY_KIND[kind].faults[int(rng.integers(len(EVERY_KIND[kind].faults)))].name
        longest = min(high, room // 2)
        length = int(np.exp(rng.uniform(np.log(low), np.log(longest + 1))))
        start = first_row + number * room + int(rng.integers(room - length + 1))
        how = _GROWTHS[int(rng.choice(3, p=(0.7, 0.15, 0.15)))]
        sudden = rng.uniform() < 0.3 and how == "linear"
        share = rng.uniform(0.1, 1.0) if how != "intermittent" else rng.uniform(0.02, 0.2)
        growth = 0 if sudden else max(1, int(share * length))
        drawn.append(Injection(fault, start, growth, float(rng.uniform(*severity)), start + length, how))
    return tuple(drawn)
