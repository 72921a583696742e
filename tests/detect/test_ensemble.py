"""What a gateway keeps of a machine: the alarm is the same, with a hidden sensor too, and it is small."""

import numpy as np

from edge_agent.commissioning.baseline import commission
from edge_agent.detect.detector import DueWindows
from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.detect.reference_bank import ReferenceBank
from edge_agent.detect.view_scales import ViewScales
from edge_agent.signals.views import describe_views


def _memory(rows: np.ndarray) -> dict[str, np.ndarray]:
    return dict(
        commission(rows, window_rows=64, encode=None, budget_per_week=1.0, windows_per_week=600_000.0, seed=0)
    )


def _rows(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(1500) / 7.0)[:, None] * np.array([1.0, 0.5, 2.0, 0.1])
    return (wave + rng.normal(0, 0.1, wave.shape)).astype(np.float32)


def _bytes(memory: dict[str, np.ndarray]) -> int:
    return sum(array.nbytes for array in memory.values())


def _nearly_all_close(small: np.ndarray, whole: np.ndarray) -> None:
    """A window between two remembered ones may find the other nearer once they are packed, which tolerates less."""
    apart = np.abs(small - whole)
    assert np.mean(apart > 0.005 + 0.005 * whole) < 0.02
    assert np.all(apart <= 0.05 + 0.05 * whole)


def test_the_packed_memory_alarms_as_the_whole_one_does() -> None:
    memory, later = _memory(_rows(0)), _rows(1)
    later[700:, 2] += 1.5
    windows = np.lib.stride_tricks.sliding_window_view(later, 64, axis=0)[::9].copy()
    whole = ENSEMBLE.score(memory, windows, None)
    small = ENSEMBLE.score(ENSEMBLE.compact(memory), windows, None)
    assert whole.value.max() > 1.0 > whole.value.min()
    _nearly_all_close(small.value, whole.value)
    _nearly_all_close(small.recent, whole.recent)
    loud = whole.value > 1.0
    np.testing.assert_allclose(small.contributions[loud], whole.contributions[loud], atol=0.02)


def test_with_a_hidden_sensor_the_packed_memory_alarms_as_the_whole_one_does() -> None:
    memory, later = _memory(_rows(0)), _rows(1)
    later[700:, 2] += 1.5
    seen = [0, 2, 3]
    windows = np.lib.stride_tricks.sliding_window_view(later[:, seen], 64, axis=0)[::9].copy()
    whole = ENSEMBLE.score(ENSEMBLE.mask(memory, seen), windows, None)
    small = ENSEMBLE.score(ENSEMBLE.mask(ENSEMBLE.compact(memory), seen), windows, None)
    assert whole.value.max() > 1.0 > whole.value.min()
    _nearly_all_close(small.value, whole.value)


def test_a_packed_memory_is_two_fifths_and_packing_it_again_changes_nothing() -> None:
    memory = _memory(_rows(0))
    once = ENSEMBLE.compact(memory)
    again = ENSEMBLE.compact(once)
    assert _bytes(once) < _bytes(memory) / 2.5
    assert once.keys() == again.keys()
    assert all(np.array_equal(once[name], again[name]) for name in once)


def test_profiles_have_a_place_for_each_raw_score_that_there_ever_was() -> None:
    assert " ".join(ENSEMBLE.names) == (
        "together_16 together_32 together_64 together_128 shape wide_16 wide_32 wide_64 wide_128 "
        "alone_16 alone_32 alone_64 alone_128 change_16 change_32 contrast_16 contrast_32 embedding "
        "reconstruction reconstruction_newest jump in_context in_context_strangeness"
    )
    memory = _memory(_rows(0))
    assert memory["calibration"].shape == (2, 23)
    assert memory["weights"].shape == (4, 23), "older agents read a fourth row, by which windows were ranked"
    assert not memory["weights"][3].any()


def test_a_profile_of_an_agent_that_ranked_alarms_as_before_and_forgets_what_it_ranked_by() -> None:
    memory = _memory(_rows(0))
    older = memory | {
        "weights": np.concatenate([memory["weights"][:3], np.full((1, 23), 1 / 23, np.float32)]),
        "calibration": memory["calibration"] + np.isin(np.arange(23), np.arange(5, 18)).astype(np.float32),
        **{name: np.ones((2, 3, 4), np.float32) for name in ("wide_bank", "alone_square", "embedding_reach")},
        "embedding_centre": np.ones((4, 32), np.float32),
    }
    windows = np.lib.stride_tricks.sliding_window_view(_rows(1), 64, axis=0)[::9].copy()
    found, expected = ENSEMBLE.score(older, windows, None), ENSEMBLE.score(memory, windows, None)
    for part in ("value", "recent", "contributions"):
        np.testing.assert_array_equal(getattr(found, part), getattr(expected, part))
    assert ENSEMBLE.compact(older).keys() == ENSEMBLE.compact(memory).keys()


def test_a_column_that_never_moved_is_kept_as_it_was() -> None:
    bank = np.zeros((1, 5, 3), np.float32)
    bank[..., 1] = 4.25
    packed = ReferenceBank(np.zeros((1, 5), np.float32), bank).compacted()
    assert packed.bank is None
    np.testing.assert_allclose(packed.windows(), bank, atol=1e-6)


def test_what_is_asked_for_each_window_may_be_written_into() -> None:
    memory = _memory(_rows(0))
    windows = np.lib.stride_tricks.sliding_window_view(_rows(1), 64, axis=0)[:1].copy()
    due = DueWindows([ViewScales.read(memory)], [describe_views(memory, windows)])
    found = due.by_window([memory["location"]])
    assert found.shape == (1, 4)
    found[0] = 0.0
    assert memory["location"].any()
