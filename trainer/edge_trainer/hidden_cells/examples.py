"""Hidden cells of one machine, with what is expected of them and what they really are; and those of many together.

Axes: R rows, C channels, B windows, N cells, E expectations, F features, M other methods.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from edge_agent.records import Float32
from edge_agent.signals.features import scales, standardise
from edge_trainer.hidden_cells.evidence import features, scale_of
from edge_trainer.hidden_cells.expectations import best_by_calm_rows, learn
from edge_trainer.hidden_cells.gaps import GAPS, WINDOW_ROWS, Gap
from edge_trainer.in_context.machines.machine import MachineRows

Other = Callable[[Float32], Float32]
"""Another method: windows [B, T] of one channel in normal scales, NaN where hidden, to all their cells [B, T]."""
_FEWEST_VALUES = 20
"""A channel of fewer is no analog signal: a code is not to be interpolated."""
_LEAST_FALLS = 0.02
"""A channel that falls in fewer of its steps is a counter."""
_WINDOWS = 16
_WINDOWS_OF_SINGLE = 48
_CELLS_OF_GAP = 8


@dataclass(frozen=True, slots=True)
class Examples:
    """Cells in the order of their episodes, each of which is one channel of a machine and one gap.

    Attributes:
        features: [N, F]. expected: [N, E]. truth: [N]. Values are from the interpolation, in units of `scale`.
        others: what other methods say, [N, M].
        scale: in normal scales, [N].
        episode: number of each cell's episode, [N].
        family, gap, best: of each episode: origin, place in `GAPS`, the expectation that erred least on calm rows.
    """

    features: Float32
    expected: Float32
    truth: Float32
    others: Float32
    scale: Float32
    episode: npt.NDArray[np.int64]
    family: npt.NDArray[np.str_]
    gap: npt.NDArray[np.int64]
    best: npt.NDArray[np.int64]


def of_machine(
    rng: np.random.Generator,
    machine: MachineRows,
    *,
    family: str,
    episodes: int,
    others: Sequence[Other] = (),
) -> Examples | None:
    """Episodes of a machine that was learnt from its context; None where nothing of it can be hidden."""
    context = machine.values[: machine.context_rows]
    place = scales(context)
    z = np.ascontiguousarray(standardise(machine.values.T, **place).T)
    analog = [at for at in range(z.shape[1]) if _is_analog(context[:, at])]
    wrong = machine.label | ~machine.judged
    found = []
    for channel in rng.permutation(analog)[:episodes].tolist():
        number = int(rng.integers(len(GAPS)))
        usable = ~wrong & np.isfinite(machine.values[:, channel])
        ends = _ends(rng, usable, first=machine.context_rows, gap=GAPS[number])
        if len(ends) == 0:
            continue
        made = _episode(
            z, ends, context_rows=machine.context_rows, channel=channel, gap=GAPS[number], others=others
        )
        if made is not None:
            found.append(_named(made, family=family, gap=number))
    return joined(found) if found else None


def joined(parts: Sequence[Examples]) -> Examples:
    """All of them, their episodes numbered on."""
    counts = np.cumsum([0, *(len(part.family) for part in parts)])
    arrays: dict[str, Any] = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Examples)
    }
    arrays["episode"] = np.concatenate(
        [part.episode + start for part, start in zip(parts, counts[:-1], strict=True)]
    )
    return Examples(**arrays)


def only(examples: Examples, chosen: npt.NDArray[np.bool_]) -> Examples:
    """The episodes that are chosen."""
    cells = chosen[examples.episode]
    by_episode = {"family", "gap", "best"}
    arrays: dict[str, Any] = {
        field.name: getattr(examples, field.name)[chosen if field.name in by_episode else cells]
        for field in fields(Examples)
    }
    arrays["episode"] = (np.cumsum(chosen) - 1)[arrays["episode"]]
    return Examples(**arrays)


def save(examples: Examples, path: Path) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    arrays: dict[str, Any] = {field.name: getattr(examples, field.name) for field in fields(Examples)}
    with partial.open("wb") as file:
        np.savez(file, **arrays)
    partial.replace(path)


def load(path: Path) -> Examples:
    """What `save` wrote."""
    with np.load(path, allow_pickle=False) as file:
        arrays: dict[str, Any] = {name: file[name] for name in file.files}
    return Examples(**arrays)


def _episode(
    z: Float32,
    ends: npt.NDArray[np.int64],
    *,
    context_rows: int,
    channel: int,
    gap: Gap,
    others: Sequence[Other],
) -> dict[str, Any] | None:
    """Arrays of the cells hidden in windows that end before the rows `ends` [B]."""
    learnt = learn(z[:context_rows], channel=channel, gap=gap)
    if learnt is None:
        return None
    chosen = sliding_window_view(z[:, learnt.channels], WINDOW_ROWS, axis=0)[ends - WINDOW_ROWS]
    windows = np.ascontiguousarray(chosen)  # B K T
    spans = windows[..., -gap.span_rows :]
    expected = learnt.fitted.expect(spans)  # E B L
    scale = scale_of(learnt)
    told = features(learnt, windows, expected)
    said = _said(windows[:, 0], gap, others)  # M B L
    cells = np.unique(np.linspace(0, gap.rows - 1, _CELLS_OF_GAP).astype(np.int64))
    origin = expected[0]

    def per_cell(values: Float32) -> Float32:
        units: Float32 = ((values - origin) / np.float32(scale))[..., cells]
        return units.reshape(len(values), len(ends) * len(cells)).T

    return {
        "features": told[:, cells].reshape(-1, told.shape[-1]),
        "expected": per_cell(expected),
        "truth": per_cell(spans[None, :, 0, gap.hidden])[:, 0],
        "others": per_cell(said),
        "scale": np.full(len(ends) * len(cells), scale, np.float32),
        "best": best_by_calm_rows(learnt.calm_error),
    }


def _said(rows: Float32, gap: Gap, others: Sequence[Other]) -> Float32:
    """What other methods say of the cells hidden at the end of rows [B, T]: [M, B, L]."""
    place = slice(rows.shape[1] - gap.span_rows + gap.before_rows, rows.shape[1] - gap.after_rows)
    given = rows.copy()
    given[:, place] = np.nan
    found = [other(given)[:, place] for other in others]
    return np.stack(found) if found else np.empty((0, len(rows), gap.rows), np.float32)


def _named(made: dict[str, Any], *, family: str, gap: int) -> Examples:
    best = made.pop("best")
    return Examples(
        **made,
        episode=np.zeros(len(made["truth"]), np.int64),
        family=np.array([family]),
        gap=np.array([gap]),
        best=np.array([best]),
    )


def _ends(
    rng: np.random.Generator, usable: npt.NDArray[np.bool_], *, first: int, gap: Gap
) -> npt.NDArray[np.int64]:
    """Ends of some windows after the first rows, all of whose rows are usable, sorted."""
    bad = np.concatenate([[0], np.cumsum(~usable)])
    ends = np.arange(first + WINDOW_ROWS, len(usable) + 1)
    ends = ends[bad[ends] == bad[ends - WINDOW_ROWS]]
    most = _WINDOWS_OF_SINGLE if gap.rows == 1 else _WINDOWS
    return np.sort(rng.choice(ends, min(most, len(ends)), replace=False))


def _is_analog(values: Float32) -> bool:
    """Whether a channel's calm rows [R] are measurements, neither codes nor a meter."""
    known = values[np.isfinite(values)]
    if len(known) < len(values) // 2 or len(np.unique(known)) <= _FEWEST_VALUES:
        return False
    return bool(np.mean(np.diff(known) < 0) > _LEAST_FALLS)


def drawn(
    machines: Iterator[tuple[str, MachineRows]],
    *,
    seed: Sequence[int],
    episodes: int,
    others: Sequence[Other] = (),
) -> Examples:
    """Episodes of named machines, each by chance of its own."""
    parts = []
    for number, (family, machine) in enumerate(machines):
        seen = machine.observed()
        rng = np.random.default_rng([*seed, number])
        made = (
            None if seen is None else of_machine(rng, seen, family=family, episodes=episodes, others=others)
        )
        if made is not None:
            parts.append(made)
    return joined(parts)
