"""The windows of a machine's normal rows, as detectors are fitted to them. Fits none.

Axes: R rows, C channels, W normal windows, T rows of a window, P views of a window, F statistics of a view.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_agent.detect.detector import Encode, NormalWindows
from edge_agent.detect.detectors.reconstruction import reconstruction_errors
from edge_agent.detect.view_scales import CHANGE_ROWS, ViewScales, fit_views
from edge_agent.signals.features import Float32, standardise, views

# Windows that a bank remembers of all channels together and of each alone, which has fewer states.
_REFERENCE_WINDOWS = 800
_CHANNEL_REFERENCE_WINDOWS = 256
_CHUNK_WINDOWS = 256
# Newest rows that are kept of each window as they are.
_NEWEST_ROWS = 16


@dataclass(frozen=True, slots=True)
class Observed:
    """Normal windows before it is known which of them are to be learnt from; see `NormalWindows` of each."""

    rows: Float32
    ends: NDArray[np.int64]
    views: Float32
    newest: Float32
    early: Float32
    embedding: Float32 | None
    errors: Float32 | None

    def normal(
        self, arrays: Mapping[str, NDArray[Any]], *, kept: NDArray[np.bool_], rng: np.random.Generator
    ) -> NormalWindows:
        """What detectors are fitted to, by what is known of the machine already."""
        return NormalWindows(
            rows=self.rows,
            ends=self.ends,
            kept=kept,
            reference=_spread_out(kept, _REFERENCE_WINDOWS, rng),
            reference_channel=_spread_out(kept, _CHANNEL_REFERENCE_WINDOWS, rng),
            scales=ViewScales.read(arrays),
            views=self.views,
            newest=self.newest,
            early=self.early,
            embedding=self.embedding,
            errors=self.errors,
            found={},
        )

    def fit_scales(self, lengths: Sequence[int], *, kept: NDArray[np.bool_]) -> dict[str, Float32]:
        """What views are compared with, by the kept windows; the same once more for diagnosis, by length."""
        found = fit_views(self.views[:, kept])
        for view, rows in enumerate(lengths):
            found[f"statistics_{rows}_centre"] = found["view_centre"][view]
            found[f"statistics_{rows}_spread"] = found["view_spread"][view]
        return found


def observe(
    arrays: Mapping[str, NDArray[Any]],
    rows: Float32,
    *,
    window_rows: int,
    stride: int,
    encode: Encode | None,
    seams: Sequence[int] = (),
) -> Observed:
    """Look at every `stride`-th normal window, of those that bridge no seam, as all detectors do."""
    ends = np.arange(window_rows, len(rows) + 1, stride)
    piece = np.searchsorted(np.asarray(seams), [ends - window_rows, ends - 1], side="right")
    ends = ends[piece[0] == piece[1]]
    windows = sliding_window_view(rows, window_rows, axis=0)[ends - window_rows]  # W C T
    known = {name: arrays[name] for name in ("location", "scale", "limit")}
    lengths = [int(length) for length in arrays["lengths"]]
    newest_rows = min(_NEWEST_ROWS, window_rows)
    first = sliding_window_view(rows[: window_rows - 1], newest_rows, axis=0)
    seen, newest, embedding, errors = [], [], [], []
    for start in range(0, len(windows), _CHUNK_WINDOWS):
        chunk = np.ascontiguousarray(windows[start : start + _CHUNK_WINDOWS])
        z = standardise(chunk, **known)
        seen.append(views(z, lengths_rows=lengths, change_rows=CHANGE_ROWS))
        newest.append(z[..., -newest_rows:].copy())
        if encode is not None:
            encoded = encode(chunk, arrays["location"], arrays["scale"])
            embedding.append(encoded.embedding)
            errors.append(reconstruction_errors(z, encoded.reconstruction, known))
    return Observed(
        rows=rows,
        ends=ends,
        views=np.concatenate(seen, axis=1),
        newest=np.concatenate(newest),
        early=standardise(first, **known),
        embedding=np.concatenate(embedding) if embedding else None,
        errors=np.concatenate(errors, axis=2) if errors else None,
    )


def _spread_out(kept: NDArray[np.bool_], n_windows: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Windows to remember: spread evenly over the normal time, at a random point of each share."""
    candidates = np.flatnonzero(kept)
    if candidates.size <= n_windows:
        return candidates
    edges = np.linspace(0, candidates.size, n_windows + 1)
    at = edges[:-1] + rng.random(n_windows) * np.diff(edges)
    return candidates[np.minimum(at.astype(np.int64), candidates.size - 1)]
