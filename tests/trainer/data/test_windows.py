"""Sampling windows: repeatable, in bounds, gaps kept, nothing of one side of a split on the other."""

from pathlib import Path

import numpy as np
import pytest
from edge_trainer.data import windows
from edge_trainer.data.windows import Draw, Signals

from edge_agent.errors import RecordingError, TrainingError


def signals(count: int = 5, rows: int = 300, *, kind: str = "a") -> Signals:
    """Signal s counts up from 1000 * s: a value tells where it comes from."""
    return windows.signals_of_rows(
        np.arange(rows, dtype=np.float32) + 1000 * np.arange(count, dtype=np.float32)[:, None], kind=kind
    )


def test_windows_are_cut_from_one_signal_at_one_stride() -> None:
    batch, _ = windows.draw_batch([(1.0, signals())], Draw(64), count=200, rng=np.random.default_rng(0))
    window = batch.window[:, 0].numpy()
    steps = np.diff(window, axis=1)
    assert set(np.abs(steps[:, 0])) == {1.0, 2.0, 3.0}
    assert (steps == steps[:, :1]).all()
    assert (np.abs(window[:, -1]) // 1000 == np.abs(window[:, 0]) // 1000).all()


def test_near_windows_are_shifted_by_one_to_four_rows() -> None:
    batch, _ = windows.draw_batch(
        [(1.0, signals())], Draw(64, near_rows=4), count=200, rng=np.random.default_rng(0)
    )
    shift = np.abs((batch.near - batch.window)[:, 0].numpy())
    assert (shift == shift[:, :1]).all()
    assert set(shift[:, 0]) == {1.0, 2.0, 3.0, 4.0}


def test_same_generator_gives_the_same_batch() -> None:
    first, again, other = (
        windows.draw_batch([(1.0, signals())], Draw(64), count=20, rng=np.random.default_rng(seed))[0].window
        for seed in (0, 0, 1)
    )
    assert first.equal(again)
    assert not first.equal(other)


def test_sources_give_their_shares_in_mixed_order() -> None:
    sources = [(3.0, signals(kind="a")), (1.0, signals(kind="b"))]
    _, kind = windows.draw_batch(sources, Draw(64), count=4000, rng=np.random.default_rng(0))
    assert 0.72 < (kind == "a").mean() < 0.78
    assert 0.65 < (kind[:500] == "a").mean() < 0.85


def test_gaps_are_marked_and_never_reach_the_tensors() -> None:
    rows = np.ones((1, 300), np.float32).cumsum(axis=1)
    rows[0, ::7] = np.nan
    batch, _ = windows.draw_batch(
        [(1.0, windows.signals_of_rows(rows, kind="a"))],
        Draw(64, strides=(1,)),
        count=50,
        rng=np.random.default_rng(0),
    )
    assert batch.window.isfinite().all()
    assert 8 * 50 <= (batch.present == 0).sum() <= 10 * 50
    assert (batch.window[batch.present == 0] == 0).all()


def test_short_signals_are_read_at_the_longest_stride_that_fits() -> None:
    batch, _ = windows.draw_batch(
        [(1.0, signals(rows=72))], Draw(64, near_rows=4), count=50, rng=np.random.default_rng(0)
    )
    assert (np.abs(np.diff(batch.window[:, 0].numpy(), axis=1)) == 1).all()


def test_split_shares_no_signal() -> None:
    training, held_out = windows.split_signals(signals(20), held_out_share=0.1, seed=0)
    assert len(training), len(held_out) == (18, 2)
    assert not set(training.starts) & set(held_out.starts)


def test_joined_signals_keep_their_values() -> None:
    both = windows.joined([signals(2, 100), signals(3, 50, kind="b")])
    found = [both.values[start] for start in both.starts]
    assert found == [0, 1000, 0, 1000, 2000]
    assert both.kind.tolist() == ["a", "a", "b", "b", "b"]


def test_robust_place_is_not_moved_by_outliers() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, 20_000).astype(np.float32)
    values[:200] = 1e6
    middle, spread = windows.robust_place(values)
    assert middle == pytest.approx(5.0, abs=0.1)
    assert spread == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0] * 9, (3.0, 1.0)),
        ([float("nan")] * 3, (0.0, 1.0)),
        ([0.0] * 999 + [1.0], (0.0, np.sqrt(0.001 * 0.999))),
    ],
)
def test_robust_place_of_resting_and_empty_channels(
    values: list[float], expected: tuple[float, float]
) -> None:
    assert windows.robust_place(np.array(values, np.float32)) == pytest.approx(expected)


def test_recordings_are_found_by_name_pattern_and_folder_each_once(recordings: Path) -> None:
    found = windows.read_all(recordings, ["normal_*.csv", "normal_0.csv", "calm.csv"])
    assert [item.name for item in found] == ["normal_0", "normal_1", "normal_2", "calm"]
    assert len(windows.read_all(recordings.parent, ["recordings"])) == 10
    with pytest.raises(TrainingError, match="no recordings were named"):
        windows.read_all(recordings, [])
    with pytest.raises(TrainingError, match="no recording is called"):
        windows.read_all(recordings, ["pump_*.csv"])
    with pytest.raises(RecordingError, match="holds no"):
        windows.read_all(recordings, ["absent.csv"])


def test_the_memory_of_a_signal_lies_elsewhere_in_the_same_signal() -> None:
    rows = np.arange(1000, dtype=np.float32)[None] + np.array([[0.0], [5000.0]], np.float32)
    sources = [(1.0, windows.signals_of_rows(rows, kind="line"))]
    draw = windows.Draw(32, strides=(1, 2), memory=(16, 5))
    batch, _ = windows.draw_batch(sources, draw, count=24, rng=np.random.default_rng(0))
    assert batch.memory.shape == (16, 5, 32)
    window, memory = batch.window[:16].abs().numpy(), batch.memory.abs().numpy()
    assert ((window > 4000) == (memory > 4000)).all()  # the same of the two signals
    span = np.abs(window[:, 0, -1] - window[:, 0, 0])
    assert (np.abs(memory[:, :, 0] - window[:, :, 0]) >= span[:, None] // 2).all()
