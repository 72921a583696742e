"""What a pre-trained network is told of a window: numbers relative to the machine's own normal rows. Judges nothing.

A network that has never heard of a machine cannot read its units, but it can read how far a window is from all that was
normal there, in how many ways, and how much was normal to compare with: its context (in-context learning of outliers:
Shen et al., "FoMo-0D", 2024; here on statistics, since raw windows of several channels did not carry over).

Most of it other detectors have found already: views, raw scores of nearest neighbours, residuals of a Gaussian. Of its
own are a small bank of each channel's normal windows and a principal subspace of the newest rows ("T2" and "SPE":
Jackson and Mudholkar, "Control Procedures for Residuals Associated With Principal Component Analysis", Technometrics
21, 1979). Nothing is told of the rows before a window: a window's features follow from the window and the memory.

Whoever trains a network asks `features` of the same memories as the agent does; the numbers are small enough for half
floats. Axes: B windows, C channels, P views, F statistics of a view, L newest rows, W normal windows, M remembered
windows, K cells of the newest rows, D dimensions of the subspace.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.detector import (
    ByChannel,
    DueWindows,
    EachAlone,
    Entries,
    LeftLazy,
    NormalWindows,
    cells_of,
)
from edge_agent.detect.reference_bank import (
    Barred,
    held_out_distances,
    mean_of_nearest,
    square_of,
    usual_and_reach,
)
from edge_agent.detect.view_scales import CHANGE_ROWS, JUDGE_KNEE, LENGTHS_ROWS
from edge_agent.model import judge as contract
from edge_agent.model.lazy_arrays import held
from edge_agent.signals.features import Float32, signed_log

FEATURES = contract.FEATURES
"""Version of the numbers below, in their order: a network says which one it reads."""

_VIEWS = (*(f"last_{rows}" for rows in LENGTHS_ROWS), *(f"change_{rows}" for rows in CHANGE_ROWS))
_STATISTICS = ("level", "sd", "low", "high", "step", *(f"band_{number}" for number in range(1, 7)))
_VOICES = (*(f"together_{rows}" for rows in LENGTHS_ROWS), "shape")
CHANNEL_FEATURES = (
    *(f"{view}_{statistic}" for view in _VIEWS for statistic in _STATISTICS),
    *(f"{view}_distance" for view in _VIEWS),
    *("spe", "residual", "newest_residual"),
    *("oldest_level", "newest_change", "half_change", "newest_change_in_sd", "newest_sd_change"),
    *(
        "usual_level_spread",
        "usual_newest_level_spread",
        "usual_sd",
        "usual_step",
        "constant",
        "trend",
        "memory",
    ),
)
"""Of each channel, [F]. Distances and residuals are beyond what is usual, in the way to their 99 % point."""
MACHINE_FEATURES = (
    *(f"together_{rows}" for rows in LENGTHS_ROWS),
    *("t2", "spe", "shape"),
    *("rows", "channels"),
    *(f"usual_{rows}" for rows in LENGTHS_ROWS),
    *(f"reach_{rows}" for rows in LENGTHS_ROWS),
)
"""Of the machine, [G]: the first seven beyond what is usual, then `DESCRIPTORS` of what was learnt."""
DESCRIPTORS = slice(MACHINE_FEATURES.index("rows"), None)

_REMEMBERED = 128
_LEAST_DISTANCE_REACH = 0.3
# Normal windows by which usual figures are learnt; of more, the 99 % points would hardly be others.
_WINDOWS_LOOKED_AT = 1000
_FOLDS = 3
# Share of the variance that the subspace holds, and the most cells of newest rows that it is made of.
_HELD_VARIANCE = 0.95
_MOST_CELLS = 384
_NEWEST_RESIDUALS = 4
_BANK = ("square", "bank", "codes", "least", "step")
_LEVELS = np.float32(255)
_LEAST_STEP = np.float32(1e-12)
_SMALL = 0.05  # normal scales that are added to a spread, so that a still channel does not make a fault of a breath
_CONSTANT_LIMIT = 50.0  # a channel's bound is lower where it never moved (`signals.features.scales`)


class Context(NamedTuple):
    """What is remembered of a machine so that windows can be told relative to it.

    Attributes:
        square: squared length of each remembered window of each channel, [P * C, M].
        usual, reach: of each channel's distances by view, SPE, residual and newest residual, [C, P + 3]: the normal
            median, and the way to the 99 % point.
        channels: what was learnt of each channel, the last features of it, [C, 7].
        centre: mean of the newest rows, [K]. components: of their principal subspace, [K, D], half floats.
        variances: along them, [D].
        machine_usual, machine_reach: of the first seven features of the machine, [7].
        descriptors: the others, [10].
        bank: the remembered windows, [P * C, F, M]: of a few statistics of many windows, products are eight times as
            quick with the windows in the last place.
        codes: where they are packed, [P * C, F, M] from 0 to 255. least, step: [P * C, F, 1]; a statistic is
            `codes * step + least`.
    """

    square: EachAlone
    usual: ByChannel
    reach: ByChannel
    channels: ByChannel
    centre: ByChannel
    components: EachAlone
    variances: EachAlone
    machine_usual: Float32
    machine_reach: Float32
    descriptors: Float32
    bank: Float32 | None = None
    codes: LeftLazy | None = None
    least: Float32 | None = None
    step: Float32 | None = None

    def towards(self, points: Float32, into: Float32) -> None:
        """Squared distances of points [P * C, B, F] to the remembered windows, less the points' own, [P * C, B, M]."""
        twice = -2 * points
        if self.bank is not None:
            np.matmul(twice, self.bank, out=into)
        else:
            codes, least, step = self._packed()
            np.matmul(twice * step.reshape(len(step), 1, -1), codes.astype(np.float32), out=into)
            into += twice @ least
        into += self.square[:, None]

    def packed(self) -> "Context":
        """The same in less room: each statistic as 256 levels between its least and its largest value."""
        if self.bank is None:
            return self
        least = self.bank.min(axis=2, keepdims=True)
        step = np.maximum((self.bank.max(axis=2, keepdims=True) - least) / _LEVELS, _LEAST_STEP)
        codes = np.rint((self.bank - least) / step).astype(np.uint8)
        near = codes * step + least
        square = np.einsum("kfm,kfm->km", near, near)
        return self._replace(square=square, bank=None, codes=codes, least=least, step=step)

    def _packed(self) -> tuple[NDArray[np.uint8], Float32, Float32]:
        assert self.codes is not None and self.least is not None and self.step is not None  # noqa: S101, PT018 - no bank
        return held(self.codes), self.least, self.step


class Findings(NamedTuple):
    """What is found of windows, before it is held against what is usual.

    Attributes:
        points: views relative to normal ones, [P, B, C, F]. views: as they are.
        apart: distances by view, SPE, residual and newest residual of each channel, [B, C, P + 3].
        together: raw scores, T2 and SPE of the machine, [B, 7].
    """

    points: Float32
    views: Float32
    apart: Float32
    together: Float32


def features(memories: Sequence[Context], windows: DueWindows) -> tuple[Float32, Float32]:
    """(channels [B, C, F], machine [B, G]) of windows that nearest neighbours and Mahalanobis have scored.

    Args:
        memories: one a machine, as in `windows`.
        windows: with `found`.
    """
    points = windows.points(knee=JUDGE_KNEE)
    scores = [windows.found[name] for name in _VOICES]
    shape = scores[-1]
    assert shape.cells is not None  # noqa: S101 - Mahalanobis always says them
    distance, t2, spe = _by_machine(memories, windows, points)
    found = Findings(
        points=points,
        views=windows.views,
        apart=_apart(distance, spe, shape.cells),
        together=_together([score.value for score in scores], t2, spe),
    )
    return told(
        found,
        usual=windows.by_window([memory.usual for memory in memories]),
        reach=windows.by_window([memory.reach for memory in memories]),
        machine=windows.by_window(
            [np.stack([memory.machine_usual, memory.machine_reach]) for memory in memories]
        ),
        channels=windows.by_window([memory.channels for memory in memories]),
        descriptors=windows.by_window([memory.descriptors for memory in memories]),
    )


def told(
    found: Findings,
    *,
    usual: Float32,
    reach: Float32,
    machine: Float32,
    channels: Float32,
    descriptors: Float32,
) -> tuple[Float32, Float32]:
    """The features; the memory's arrays have B or 1 in front, `machine` is usual and reach, [B, 2, 7]."""
    P, B, C, F = found.points.shape
    own = np.empty((B, C, len(CHANNEL_FEATURES)), np.float32)
    at, learnt = P * F, own.shape[-1] - channels.shape[-1]
    own[..., :at].reshape(B, C, P, F)[:] = np.moveaxis(found.points, 0, 2)
    np.divide(found.apart - usual, reach, out=own[..., at : at + P + 3])
    _changes(found.views, into=own[..., at + P + 3 : learnt])
    own[..., :learnt] = signed_log(own[..., :learnt])
    own[..., learnt:] = channels
    of_all = np.empty((B, len(MACHINE_FEATURES)), np.float32)
    of_all[:, : DESCRIPTORS.start] = signed_log((found.together - machine[:, 0]) / machine[:, 1])
    of_all[:, DESCRIPTORS] = descriptors
    return own, of_all


def learn(normal: NormalWindows) -> tuple[Context, Findings, NDArray[np.int64]] | None:
    """Remember a machine.

    Returns:
        (the memory, what is found of normal windows by memories without their own rows, which windows these are);
        None for windows of other lengths than the features are made of.
    """
    if normal.scales.lengths != LENGTHS_ROWS or len(normal.reference_channel) == 0:
        return None
    thinned = np.linspace(0, len(normal.reference_channel) - 1, _REMEMBERED).astype(np.int64)
    reference = normal.reference_channel[np.unique(thinned)]
    every = -(-len(normal.ends) // _WINDOWS_LOOKED_AT)
    looked_at = np.union1d(np.arange(0, len(normal.ends), every), reference)
    kept = normal.kept[looked_at]
    points = np.ascontiguousarray(normal.points(knee=JUDGE_KNEE)[:, looked_at])  # P W C F
    alone = np.ascontiguousarray(np.swapaxes(points, 1, 2))  # P C W F
    chosen = np.searchsorted(looked_at, reference)
    bank = np.ascontiguousarray(alone[:, :, chosen])
    reaches = [*LENGTHS_ROWS, *(LENGTHS_ROWS[-1] for _ in CHANGE_ROWS)]
    distance = np.stack(
        [
            held_out_distances(alone[view], bank[view], Barred(normal.ends[looked_at], chosen, rows))
            for view, rows in enumerate(reaches)
        ]
    )  # P C W
    centre, components, variances, t2, spe = _fit_subspace(
        normal.newest[looked_at], normal.ends[looked_at], kept=kept
    )
    found = Findings(
        points=points,
        views=normal.views[:, looked_at],
        apart=_apart(distance.transpose(2, 1, 0), spe, normal.found[cells_of("shape")][looked_at]),
        together=_together([normal.found[name][looked_at] for name in _VOICES], t2, spe),
    )
    usual, reach = _usual(np.moveaxis(found.apart[kept], 0, 2))
    reach[:, : len(_VIEWS)] = np.maximum(reach[:, : len(_VIEWS)], _LEAST_DISTANCE_REACH)
    machine_usual, machine_reach = _usual(found.together[kept].T)
    whole = np.ascontiguousarray(np.swapaxes(bank, 2, 3)).reshape(-1, bank.shape[3], bank.shape[2])
    memory = Context(
        square=square_of(bank).reshape(len(whole), -1),
        usual=usual,
        reach=reach,
        channels=_channel_descriptors(normal),
        centre=centre,
        components=components,
        variances=variances,
        machine_usual=machine_usual,
        machine_reach=machine_reach,
        descriptors=_descriptors(
            np.log(len(normal.rows) / LENGTHS_ROWS[-1]), len(usual), usual=machine_usual, reach=machine_reach
        ),
        bank=whole,
    )
    return memory, found, looked_at


def features_of_normal(memory: Context, found: Findings) -> tuple[Float32, Float32]:
    """The same of the normal windows that a machine was learnt from, by what `learn` found of them."""
    return told(
        found,
        usual=memory.usual[np.newaxis],
        reach=memory.reach[np.newaxis],
        machine=np.stack([memory.machine_usual, memory.machine_reach])[np.newaxis],
        channels=memory.channels[np.newaxis],
        descriptors=memory.descriptors[np.newaxis],
    )


def rows_learnt(arrays: Entries) -> float:
    """Normal rows that a machine was learnt from, by its arrays; 0 where it has none of a context."""
    known = arrays.get("in_context_descriptors")
    return 0.0 if known is None else float(round(LENGTHS_ROWS[-1] * float(np.exp(held(known)[0]))))


def masked(memory: Context, channels: NDArray[np.int64], *, n_channels: int) -> Context:
    """What compares some of the machine's channels only: distances and errors over fewer channels are smaller."""
    share = np.float32(len(channels) / n_channels)
    shrunk = np.where(np.isin(MACHINE_FEATURES[: DESCRIPTORS.start], ("t2", "spe")), share, np.sqrt(share))
    usual, reach = memory.machine_usual * shrunk, memory.machine_reach * shrunk
    rows = len(memory.centre) // n_channels
    cells = (channels[:, np.newaxis] * rows + np.arange(rows)).ravel()
    seen = memory.components[cells].astype(np.float64)
    components, variances = _principal((seen * memory.variances) @ seen.T)
    views = np.arange(len(_VIEWS))[:, np.newaxis]
    banks = (views * n_channels + channels).ravel()
    parts = {name: held(part)[banks] for name in _BANK if (part := getattr(memory, name)) is not None}
    return memory._replace(
        usual=memory.usual[channels],
        reach=memory.reach[channels],
        channels=memory.channels[channels],
        centre=memory.centre[cells],
        components=components,
        variances=variances,
        machine_usual=usual,
        machine_reach=reach,
        descriptors=_descriptors(memory.descriptors[0], len(channels), usual=usual, reach=reach),
        **parts,
    )


def _by_machine(
    memories: Sequence[Context], windows: DueWindows, points: Float32
) -> tuple[Float32, Float32, Float32]:
    """What is compared machine by machine: (distances [B, C, P], T2 [B], SPE by channel [B, C])."""
    P, B, C, F = points.shape
    own = np.ascontiguousarray(np.swapaxes(points, 1, 2)).reshape(P * C, B, F)
    distance = _distances(memories, windows.slices, own).reshape(P, C, B).transpose(2, 1, 0)
    centre = windows.by_window([memory.centre for memory in memories])
    newest = windows.z[..., -(centre.shape[1] // C) :].reshape(B, -1) - centre
    t2, rebuilt = np.empty(B, np.float32), np.empty_like(newest)
    for memory, part in zip(memories, windows.slices, strict=True):
        components = memory.components.astype(np.float32)
        scores = np.matmul(newest[part], components)
        np.matmul(scores, components.T, out=rebuilt[part])
        np.matmul(np.square(scores, out=scores), 1 / memory.variances, out=t2[part])
    newest -= rebuilt
    return distance, t2, _squares(newest, n_channels=C)


def _distances(memories: Sequence[Context], slices: Sequence[slice], points: Float32) -> Float32:
    """Of points [P * C, B, F] to the windows that their machines remember, [P * C, B]."""
    remembered = {memory.square.shape[1] for memory in memories}
    if len(remembered) > 1:
        alone = zip(memories, slices, strict=True)
        return np.concatenate(
            [_distances([each], [slice(None)], points[:, part]) for each, part in alone], axis=1
        )
    squared = np.empty((*points.shape[:2], *remembered), np.float32)
    for memory, part in zip(memories, slices, strict=True):
        memory.towards(points[:, part], squared[:, part])
    return mean_of_nearest(squared, square_of(points))


def _apart(distance: Float32, spe: Float32, residuals: Float32) -> Float32:
    """Distances [B, C, P], SPE [B, C] and conditional residuals [B, C, L] as one: [B, C, P + 3]."""
    share = np.float32(1.0 / residuals.shape[-1])
    size = np.sqrt(np.einsum("bcl,bcl->bc", residuals, residuals) * share)
    newest = residuals[..., -_NEWEST_RESIDUALS:]
    of_newest = np.abs(newest).sum(axis=-1) * np.float32(1.0 / newest.shape[-1])
    return np.concatenate([distance, np.stack([spe, size, of_newest], axis=-1)], axis=-1)


def _together(voices: Sequence[Float32], t2: Float32, spe: Float32) -> Float32:
    """Raw scores [B] in the order of `_VOICES`, T2 [B] and SPE [B, C] as the machine's features have them, [B, 7]."""
    *near, shape = voices
    return np.stack([*near, t2, spe.sum(axis=-1), shape], axis=-1).astype(np.float32, copy=False)


def _changes(views: Float32, *, into: Float32) -> None:
    """How the newest rows differ from the oldest half of the window, by the views' levels and deviations: [B, C, 5]."""
    newest, half, whole = views[0], views[len(LENGTHS_ROWS) - 2], views[len(LENGTHS_ROWS) - 1]
    level = 2 * whole[..., 0] - half[..., 0]  # of the oldest half
    squares = 2 * (whole[..., 1] ** 2 + whole[..., 0] ** 2) - (half[..., 1] ** 2 + half[..., 0] ** 2)
    deviation = np.sqrt(np.maximum(squares - level**2, np.float32(0.0))) + np.float32(_SMALL)
    into[..., 0] = level
    into[..., 1] = change = newest[..., 0] - level
    into[..., 2] = half[..., 0] - level
    into[..., 3] = change / deviation
    into[..., 4] = newest[..., 1] / deviation - 1


def _usual(found: Float32) -> tuple[Float32, Float32]:
    """(median, way to the 99 % point, never quite 0) of normal figures [..., W]."""
    usual, reach = usual_and_reach(found, 0.0)
    return usual, np.maximum(reach, np.float32(1e-3) * np.abs(usual) + np.float32(1e-6))


def _channel_descriptors(normal: NormalWindows) -> Float32:
    """What was learnt of each channel, [C, 7]."""
    centre, spread = normal.scales.centre, normal.scales.spread
    level = normal.views[0, ..., 0]
    half = len(level) // 2
    trend = np.abs(np.median(level[half:], axis=0) - np.median(level[: max(half, 1)], axis=0))
    newest = normal.newest
    power = np.mean(newest**2, axis=(0, 2)) + np.float32(1e-6)
    memory = np.mean(newest[..., 1:] * newest[..., :-1], axis=(0, 2)) / power
    longest = len(LENGTHS_ROWS) - 1
    found = [
        np.log(spread[longest, :, 0]),
        np.log(spread[0, :, 0]),
        np.log(np.maximum(centre[0, :, 1], 0) + np.float32(0.01)),
        np.log(np.maximum(centre[0, :, 4], 0) + np.float32(0.01)),
        normal.scales.limit < _CONSTANT_LIMIT,
        signed_log(trend),
        memory,
    ]
    return np.stack(found, axis=1).astype(np.float32)


def _descriptors(log_rows: float, n_channels: int, *, usual: Float32, reach: Float32) -> Float32:
    """How much was learnt, and how far apart normal windows are: [10]."""
    usual, reach = (part[: len(LENGTHS_ROWS)] + np.float32(0.1) for part in (usual, reach))
    return np.concatenate([[log_rows, np.log(n_channels)], np.log(usual), np.log(reach / usual)]).astype(
        np.float32
    )


def _fit_subspace(
    newest: Float32, ends: NDArray[np.int64], *, kept: NDArray[np.bool_]
) -> tuple[Float32, NDArray[np.float16], Float32, Float32, Float32]:
    """The principal subspace of normal newest rows [W, C, L].

    Returns:
        (mean [K], components [K, D], variances [D], T2 [W] and SPE by channel [W, C] of each window by a subspace of
        the other parts of the recording).
    """
    W, C, L = newest.shape
    rows = min(L, max(1, _MOST_CELLS // C))
    points = newest[..., -rows:].reshape(W, -1)
    t2, spe = np.empty(W, np.float32), np.empty((W, C), np.float32)
    for start, end in pairwise(np.linspace(0, W, _FOLDS + 1).astype(np.int64)):
        if start == end:
            continue
        others = kept & ((ends <= ends[start] - L) | (ends >= ends[end - 1] + L))
        centre, components, variances = _subspace(points[others if others.any() else kept])
        t2[start:end], spe[start:end] = _in_subspace(
            points[start:end] - centre, components.astype(np.float32), variances, n_channels=C
        )
    return *_subspace(points[kept]), t2, spe


def _subspace(points: Float32) -> tuple[Float32, NDArray[np.float16], Float32]:
    """(mean [K], components [K, D], variances [D]) of points [W, K]."""
    centre = points.mean(axis=0)
    apart = points - centre
    return centre, *_principal((apart.T @ apart).astype(np.float64) / max(len(points) - 1, 1))


def _principal(covariance: NDArray[np.float64]) -> tuple[NDArray[np.float16], Float32]:
    """The fewest components that hold most of the variance: ([K, D], variances [D])."""
    variances, components = np.linalg.eigh(covariance)
    variances, components = variances[::-1], components[:, ::-1]
    held = np.cumsum(variances) / max(float(variances.sum()), 1e-12)
    n_held = min(int(np.searchsorted(held, _HELD_VARIANCE)) + 1, len(variances))
    least = np.maximum(variances[:n_held], 1e-9)
    return components[:, :n_held].astype(np.float16), least.astype(np.float32)


def _in_subspace(
    apart: Float32, components: Float32, variances: Float32, *, n_channels: int
) -> tuple[Float32, Float32]:
    """(T2 [B], squared prediction error of each channel [B, C]) of rows [B, K] without their mean."""
    scores = apart @ components
    error = apart - scores @ components.T
    return np.einsum("bd,d->b", scores**2, 1 / variances), _squares(error, n_channels=n_channels)


def _squares(error: NDArray[np.floating], *, n_channels: int) -> Float32:
    """Sums of squares of each channel's cells: [B, K] -> [B, C]."""
    cells = error.reshape(len(error), n_channels, -1)
    return np.asarray(np.einsum("bcl,bcl->bc", cells, cells), np.float32)
