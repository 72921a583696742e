"""What a channel is, and what the score is made of for it. Pure; finds no kind (`commissioning.kind_finding` does).

A machine's channels are not all analog signals: a meter only rises, a door is open or shut, a set-point is constant.
What a kind asks for is a function of the window alone, so that a window says the same in whatever order it is seen:

- analog: as it is, but for spikes: a value far outside of all that was learnt counts from its third row on.
- counter: its rate over `RATE_ROWS` rows, an hour's worth of it. Where it starts again, or was not heard, the rate of
  the rows before goes on. From where it falls, but not to near 0, it is hidden: that is no counter.
- state, constant, ignore: hidden, so that the score says nothing of them.

What was learnt lies among a machine's arrays as `kind_<field>`. Without them every channel is scored as it is.

Axes: B windows, C channels, T rows, K counters, V values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32, WindowBlock

ChannelKind = Literal["analog", "counter", "state", "constant", "ignore"]
KINDS: tuple[ChannelKind, ...] = get_args(ChannelKind)
"""In the order of their codes."""
ANALOG, COUNTER, STATE, CONSTANT, IGNORED = range(len(KINDS))

MOST_VALUES = 16
"""Of a state; more values are no state."""
RATE_ROWS = 16
"""Rows that a rate is taken over: as many as the shortest view of a window has."""
_USUAL_ROWS = 64
"""Rows before a reset or a gap whose rate goes on in its place."""
HIDDEN_ROWS = 128
"""From where a counter falls as none does."""
_RESET_SHARE = 0.01
"""A counter starts again below this share of where it was, or with a rise that is still usual."""
_HELD_SHARE = 1 / 16
"""More rows of a window that lie far out are no spikes: a signal that swings wildly must be seen."""
_FARTHEST = np.finfo(np.float32).max
_DITHER_FACTOR = np.uint32(
    2_654_435_761
)  # Knuth, The Art of Computer Programming 3, 6.4: multiplicative hashing

Arrays = Mapping[str, NDArray[Any]]

_PREFIX = "kind_"
_CODE, _LOW, _HIGH = (f"{_PREFIX}{field}" for field in ("code", "low", "high"))


class ChannelKinds(NamedTuple):
    """What was learnt of a machine's channels; arrays over C, zero where a field says nothing of the kind.

    Attributes:
        code: place of the kind in `KINDS`.
        low, high: an analog value beyond is a spike while it lasts at most two rows; the farthest number for none.
        least_step: by which a counter rises at least. most_rise: a counter that rises by more in a row was exchanged.
        values: that a state or constant had, [C, V], the first ones that `value_count` [C] counts; 0 of them: unknown.
        most_changes: of a state within 128 learnt rows.
        rows_per_hour: 0-d.
    """

    code: NDArray[np.uint8]
    low: Float32
    high: Float32
    least_step: Float32
    most_rise: Float32
    values: Float32
    value_count: NDArray[np.int64]
    most_changes: NDArray[np.int64]
    rows_per_hour: Float32

    @classmethod
    def read(cls, arrays: Arrays) -> "ChannelKinds | None":
        """Those among a machine's arrays; None in what an older agent learnt."""
        if _CODE not in arrays:
            return None
        return cls._make([arrays[_PREFIX + field] for field in cls._fields])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By the names that a profile keeps them under."""
        return {_PREFIX + field: getattr(self, field) for field in self._fields}

    @property
    def names(self) -> tuple[ChannelKind, ...]:
        """The kind of each channel."""
        return tuple(KINDS[code] for code in self.code.tolist())

    @property
    def unscored(self) -> NDArray[np.bool_]:
        """Channels of which the score says nothing, [C]."""
        return self.code >= STATE

    def known_values(self, channel: int) -> Float32:
        """What a state or constant was while it was learnt; empty where that is not known."""
        return self.values[channel, : self.value_count[channel]]

    def masked(self, channels: NDArray[np.int64]) -> "ChannelKinds":
        """Of some of the channels."""
        by_channel = [np.ascontiguousarray(array[channels]) for array in self[:-1]]
        return ChannelKinds._make([*by_channel, self.rows_per_hour])


def remarkable_kinds(arrays: Arrays, channels: Sequence[str]) -> tuple[tuple[str, ChannelKind], ...]:
    """(channel, kind) of those that are not analog; C names."""
    code = arrays.get(_CODE)
    if code is None or not code.any():
        return ()
    return tuple((channels[at], KINDS[code[at]]) for at in np.flatnonzero(code).tolist())


def no_spikes(n_channels: int) -> tuple[Float32, Float32]:
    """`low` and `high` of channels without spikes."""
    high = np.full(n_channels, _FARTHEST, np.float32)
    return -high, high


def transform(windows: Float32, arrays: Arrays) -> Float32:
    """Windows [B, C, T] in physical units -> what is scored of them, NaN where hidden.

    The windows themselves where nothing is to be done, so nobody may write into what comes back.
    """
    if _CODE not in arrays:
        return windows
    code, low, high = arrays[_CODE], arrays[_LOW], arrays[_HIGH]
    far = (windows < low[:, np.newaxis]) | (windows > high[:, np.newaxis])
    found = _without_spikes(windows, far) if far.any() else windows
    if not code.any():
        return found
    kinds = ChannelKinds._make([arrays[_PREFIX + field] for field in ChannelKinds._fields])
    found = _with_rates(found, kinds)
    if found is windows:
        found = windows.copy()
    found[:, kinds.unscored] = np.nan
    return found


def with_rates(windows: Float32, arrays: Arrays) -> Float32:
    """Windows [B, C, T] for people and for the network: all values as they came, but the rate of each counter."""
    kinds = ChannelKinds.read(arrays)
    return windows if kinds is None else _with_rates(windows, kinds)


def with_kinds(block: WindowBlock, arrays: Arrays) -> WindowBlock:
    """Windows of a machine with what is shown of them, so that it is worked out once for all who ask."""
    return replace(block, shown=with_rates(block.values, arrays), kinds=arrays.get(_CODE))


def transform_rows(rows: Float32, arrays: Arrays) -> Float32:
    """The same of a stretch of rows [R, C] as of one long window."""
    found: Float32 = transform(rows.T[np.newaxis], arrays)[0].T
    return found


def rows_with_rates(rows: Float32, arrays: Arrays) -> Float32:
    """`with_rates` of a stretch of rows [R, C]."""
    found: Float32 = with_rates(rows.T[np.newaxis], arrays)[0].T
    return found


def without_unscored(values: Float32, arrays: Arrays, *, counters: bool = True) -> Float32:
    """Values [..., C, T] with NaN for the channels of which the score says nothing, and for counters if not wanted."""
    kinds = ChannelKinds.read(arrays)
    if kinds is None or not kinds.code.any():
        return values
    found = values.copy()
    found[..., kinds.code >= (STATE if counters else COUNTER), :] = np.nan
    return found


def _without_spikes(windows: Float32, far: NDArray[np.bool_]) -> Float32:
    """The windows, hidden in the first two rows of each stretch of cells that are `far` out, where those are few."""
    first, second = far.copy(), far.copy()
    first[..., 1:] &= ~far[..., :-1]
    second[..., 1:] &= first[..., :-1]
    second[..., 0] = False
    held = first | second
    few = held.sum(axis=-1, keepdims=True) <= max(2.0, _HELD_SHARE * windows.shape[-1])
    return np.where(held & few, np.float32(np.nan), windows)


def _with_rates(windows: Float32, kinds: ChannelKinds) -> Float32:
    counters = np.flatnonzero(kinds.code == COUNTER)
    if not counters.size:
        return windows
    found = windows.copy()
    found[:, counters] = _rates(
        windows[:, counters],
        least_step=kinds.least_step[counters, np.newaxis].astype(np.float64),
        most_rise=kinds.most_rise[counters, np.newaxis],
    ) * float(kinds.rows_per_hour)
    return found


def _rates(counts: Float32, *, least_step: NDArray[np.float64], most_rise: Float32) -> NDArray[np.float64]:
    """Rise a row of counters [B, K, T] over `RATE_ROWS` rows, NaN where so many rows are not known.

    Whole steps at a constant rate are a comb whose phase would show in every statistic: a fixed random share of the
    least step is added to each count first (subtractive dither is known from quantisers: Schuchman, IEEE Trans.
    Commun. 12, 1964; here it only breaks the comb).
    """
    T = counts.shape[-1]
    found = np.full(counts.shape, np.nan)
    if T <= RATE_ROWS:
        return found
    observed = np.isfinite(counts)
    last = np.maximum.accumulate(np.where(observed, np.arange(T), -1), axis=-1)
    heard = np.take_along_axis(counts, np.maximum(last, 0), axis=-1)
    rise = np.diff(heard.astype(np.float64), axis=-1)
    known = observed[..., 1:] & observed[..., :-1] & (rise >= 0) & (rise <= most_rise)
    refuted = None
    if not known.all():
        refuted = _lately(falls_as_none(heard, most_rise=most_rise), HIDDEN_ROWS) > 0
        rise = _continued(rise, known)
    level = np.concatenate([np.zeros((*rise.shape[:-1], 1)), np.cumsum(rise, axis=-1)], axis=-1)
    level += least_step * _dither(heard)
    found[..., RATE_ROWS:] = (level[..., RATE_ROWS:] - level[..., :-RATE_ROWS]) / RATE_ROWS
    found[..., RATE_ROWS:][last[..., :-RATE_ROWS] < 0] = np.nan
    if refuted is not None:
        found[..., 1:][refuted] = np.nan
    return found


def falls_as_none(heard: Float32, *, most_rise: Float32) -> NDArray[np.bool_]:
    """Where counters [..., T] fall, but not to near 0: there they are none; [..., T - 1]."""
    before, after = heard[..., :-1], heard[..., 1:]
    found: NDArray[np.bool_] = (after < before) & (after > np.maximum(most_rise, _RESET_SHARE * before))
    return found


def _lately(numbers: NDArray[Any], rows: int) -> NDArray[np.float64]:
    """Sum of each row's and of those before it, so many in all, [..., T]."""
    total: NDArray[np.float64] = np.cumsum(numbers, axis=-1, dtype=np.float64)
    found = total.copy()
    found[..., rows:] -= total[..., :-rows]
    return found


def _continued(rise: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rises [B, K, T - 1], the unknown ones as the known ones of the rows before, else of all rows, are in the mean."""
    risen = np.where(known, rise, 0.0)
    count = _lately(known, _USUAL_ROWS)
    overall = risen.sum(axis=-1, keepdims=True) / np.maximum(known.sum(axis=-1, keepdims=True), 1)
    usual = np.where(count > 0, _lately(risen, _USUAL_ROWS) / np.maximum(count, 1), overall)
    return np.where(known, rise, usual)


def _dither(counts: Float32) -> NDArray[np.float64]:
    """A number in [0, 1) that looks random and is the same for the same count."""
    bits = np.ascontiguousarray(counts, np.float32).view(np.uint32)
    mixed = (bits ^ (bits >> np.uint32(15))) * _DITHER_FACTOR
    mixed = (mixed ^ (mixed >> np.uint32(13))) * _DITHER_FACTOR
    return (mixed ^ (mixed >> np.uint32(16))) / 2.0**32
