"""The windows of a machine's normal rows, as detectors are fitted to them. Fits none.

Axes: R rows, C channels, W normal windows, T rows of a window, P views of a window, F statistics of a view.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_agent.commissioning.mode_tree import with_windows
from edge_agent.detect.detector import Encode, NormalWindows
from edge_agent.detect.detectors.reconstruction import reconstruction_errors
from edge_agent.detect.judge import Judge
from edge_agent.detect.left_out import LeftOut, rare_windows
from edge_agent.detect.operating_modes import OperatingModes, longer_than_learnt
from edge_agent.detect.reference_bank import leave_out
from edge_agent.detect.view_scales import (
    ALARM_KNEE,
    CHANGE_ROWS,
    ViewScales,
    fit_mode_views,
    fit_views,
    stride_of,
)
from edge_agent.signals.channel_kinds import transform, transform_rows, with_rates, without_unscored
from edge_agent.signals.features import Float32, standardise, views

# Windows that a bank remembers of all channels together and of each alone, which has fewer states.
_REFERENCE_WINDOWS = 800
_CHANNEL_REFERENCE_WINDOWS = 256
_CHUNK_WINDOWS = 256
_CHUNK_CELLS = 2_000_000
"""Cells of as many windows as are looked at together: of a wide machine these are fewer."""
# Newest rows that are kept of each window as they are.
_NEWEST_ROWS = 16
_NOT_YET = LeftOut(np.empty((0, 0), np.float32), np.empty((0, 0), np.int64))


@dataclass(frozen=True, slots=True)
class Observed:
    """Normal windows before it is known which of them are remembered, and which were seen once; see `NormalWindows`."""

    rows: Float32
    ends: NDArray[np.int64]
    views: Float32
    newest: Float32
    early: Float32
    errors: Float32 | None
    modes: OperatingModes | None = None
    sets: NDArray[np.int64] | None = None
    visited: NDArray[np.bool_] | None = None
    plain: NDArray[np.bool_] | None = None

    def normal(
        self, arrays: Mapping[str, NDArray[Any]], *, rng: np.random.Generator, judge: Judge | None = None
    ) -> NormalWindows:
        """What detectors are fitted to, by what is known of the machine already."""
        scales, n_windows = ViewScales.read(arrays), len(self.ends)
        lengths = scales.lengths
        reference = np.broadcast_to(
            _spread_out(n_windows, _REFERENCE_WINDOWS, rng),
            (len(lengths), min(n_windows, _REFERENCE_WINDOWS)),
        )
        normal = NormalWindows(
            rows=self.rows,
            ends=self.ends,
            kept=np.ones(n_windows, dtype=bool),
            reference=reference,
            reference_channel=_spread_out(n_windows, _CHANNEL_REFERENCE_WINDOWS, rng),
            left_out=_NOT_YET,
            sets=self.sets,
            scales=scales,
            views=self.views,
            newest=self.newest,
            early=self.early,
            errors=self.errors,
            found={},
            judge=judge,
            visited=self.visited,
        )
        points = normal.points(knee=ALARM_KNEE, views=slice(len(lengths)))
        flat = points.reshape(len(lengths), n_windows, -1)
        left_out = leave_out(flat, ends=self.ends, chosen=reference, lengths=lengths, sets=self.sets)
        rare = rare_windows(left_out.distance, ends=self.ends, window_rows=lengths[-1], sets=self.sets)
        return replace(normal, left_out=left_out, kept=~rare if self.plain is None else ~rare & self.plain)

    def fit_scales(self, lengths: Sequence[int]) -> dict[str, Float32]:
        """What views are compared with; the same once more for diagnosis, by length."""
        found = fit_views(self.views if self.plain is None else self.views[:, self.plain])
        for view, rows in enumerate(lengths):
            found[f"statistics_{rows}_centre"] = found["view_centre"][view]
            found[f"statistics_{rows}_spread"] = found["view_spread"][view]
        return found

    def by_mode(self, arrays: Mapping[str, NDArray[Any]]) -> tuple["Observed", dict[str, NDArray[Any]]]:
        """(these with their sets, the arrays of the modes) where enough windows are of several modes; else neither."""
        found = None if self.modes is None or self.sets is None else with_windows(self.modes, self.sets)
        if found is None or self.sets is None:
            return replace(self, modes=None, sets=None, visited=None), {}
        known = np.column_stack([found.known, np.zeros(len(found.known), dtype=bool)])
        sets = np.where(np.take_along_axis(known, self.sets, axis=1), self.sets, found.count)
        scales = ViewScales.read(arrays)
        arrays_of = fit_mode_views(
            self.views, sets, scales=scales, n_modes=found.count, stride=stride_of(self.ends)
        )
        visited = None if self.visited is None else longer_than_learnt(self.visited, sets[-1])
        return replace(self, sets=sets, visited=visited), {**found.arrays(), **arrays_of}


def observe(
    arrays: Mapping[str, NDArray[Any]],
    rows: Float32,
    *,
    window_rows: int,
    stride: int,
    encode: Encode | None,
    seams: Sequence[int] = (),
    modes: OperatingModes | None = None,
    plain_rows: int | None = None,
) -> Observed:
    """Look at every `stride`-th normal window, of those that bridge no seam, as all detectors do.

    The sets of the windows are those where all `modes` are known at all lengths. Windows that end after `plain_rows`
    are remembered, and tell nothing of what is usual.
    """
    ends = np.arange(window_rows, len(rows) + 1, stride)
    piece = np.searchsorted(np.asarray(seams), [ends - window_rows, ends - 1], side="right")
    ends = ends[piece[0] == piece[1]]
    windows = sliding_window_view(rows, window_rows, axis=0)  # R-T+1 C T, without a copy
    known = {name: arrays[name] for name in ("location", "scale", "limit")}
    lengths = [int(length) for length in arrays["lengths"]]
    newest_rows = min(_NEWEST_ROWS, window_rows)
    scored = transform_rows(rows, arrays)
    first = sliding_window_view(scored[: window_rows - 1], newest_rows, axis=0)
    seen, newest, errors, in_modes = [], [], [], []
    step = max(1, min(_CHUNK_WINDOWS, _CHUNK_CELLS // (rows.shape[1] * window_rows)))
    for start in range(0, len(ends), step):
        chunk = np.ascontiguousarray(windows[ends[start : start + step] - window_rows])
        z = standardise(transform(chunk, arrays), **known)
        seen.append(views(z, lengths_rows=lengths, change_rows=CHANGE_ROWS))
        newest.append(z[..., -newest_rows:].copy())
        if modes is not None:
            in_modes.append(modes.observe(z, lengths))
        if encode is not None:
            encoded = encode(with_rates(chunk, arrays), arrays["location"], arrays["scale"])
            rebuilt = without_unscored(encoded.reconstruction, arrays)
            errors.append(reconstruction_errors(z, rebuilt, known))
    return Observed(
        rows=scored,
        ends=ends,
        views=np.concatenate(seen, axis=1),
        newest=np.concatenate(newest),
        early=standardise(first, **known),
        errors=np.concatenate(errors, axis=2) if errors else None,
        modes=modes,
        sets=np.concatenate([part.sets for part in in_modes], axis=1) if in_modes else None,
        visited=np.concatenate([part.visited for part in in_modes]) if in_modes else None,
        plain=None if plain_rows is None else ends <= plain_rows,
    )


def _spread_out(n_windows: int, n_wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Windows to remember: spread evenly over the normal time, at a random point of each share."""
    if n_windows <= n_wanted:
        return np.arange(n_windows)
    edges = np.linspace(0, n_windows, n_wanted + 1)
    at = edges[:-1] + rng.random(n_wanted) * np.diff(edges)
    return np.minimum(at.astype(np.int64), n_windows - 1)
