"""What a gateway learns from normal rows: enough to score, bounded, honest, and robust to rows that are not normal."""

import io

import numpy as np
import pytest

from edge_agent.commissioning.baseline import commission
from edge_agent.detect.detector import Encoded
from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.errors import CommissionError

T = 128
WEEK_WINDOWS = 60_480.0
NAMES, score = ENSEMBLE.names, ENSEMBLE.score


def plant(n_rows: int, n_channels: int, seed: int = 0) -> np.ndarray:
    """A machine with a slow cycle shared by its channels, each with its own level, size and noise."""
    rng = np.random.default_rng(seed)
    cycle = np.sin(2 * np.pi * np.arange(n_rows) / 60)[:, None]
    level = np.linspace(5.0, 90.0, n_channels)
    size = np.geomspace(0.01, 10.0, n_channels)
    return (level + size * (cycle + 0.3 * rng.standard_normal((n_rows, n_channels)))).astype(np.float32)


def learn(rows: np.ndarray, **changes: object) -> dict[str, np.ndarray]:
    settings: dict = {
        "window_rows": T,
        "encode": None,
        "budget_per_week": 1.0,
        "windows_per_week": WEEK_WINDOWS,
        "seed": 0,
    }
    return dict(commission(rows, **(settings | changes)))


def windows_of(rows: np.ndarray, step: int = 1) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(rows, T, axis=0)[::step].astype(np.float32)


def fake_encode(windows: np.ndarray, location: np.ndarray, scale: np.ndarray) -> Encoded:
    """An encoder that knows the mean and the sd of a window and reconstructs its mean."""
    z = np.nan_to_num((windows - location[:, None]) / scale[:, None])
    mean = z.mean(axis=2)
    rebuilt = np.broadcast_to((mean * scale + location)[..., None], windows.shape)
    return Encoded(
        embedding=np.stack([mean, z.std(axis=2)], axis=2).astype(np.float32),
        reconstruction=rebuilt.astype(np.float32),
    )


def test_windows_bridge_no_seam() -> None:
    leaping = np.concatenate([plant(600, 2), plant(600, 2, 1) + 40.0, plant(600, 2, 2)])
    bridged, apart = learn(leaping), learn(leaping, seams=(600, 1200))
    assert apart["jump_spread"].max() < bridged["jump_spread"].max()


def test_fresh_normal_rows_stay_below_the_threshold_and_a_fault_rises_above_it() -> None:
    memory = learn(plant(2000, 4))
    fresh = plant(1000, 4, seed=1)
    normal = score(memory, windows_of(fresh, step=4), None).value
    assert np.mean(normal > 1.0) < 0.01
    fresh[-40:, 2] += 4 * memory["scale"][2]
    assert score(memory, windows_of(fresh)[-1:], None).value[0] > 1.0


@pytest.mark.parametrize(("n_rows", "n_channels"), [(300, 1), (400, 8), (600, 60)])
def test_the_memory_of_small_and_wide_machines_is_finite_and_survives_npz(
    n_rows: int, n_channels: int
) -> None:
    memory = learn(plant(n_rows, n_channels))
    store = io.BytesIO()
    np.savez(store, **memory)
    store.seek(0)
    loaded = dict(np.load(store, allow_pickle=False))
    assert all(np.isfinite(array).all() for array in loaded.values())
    window = windows_of(plant(T, n_channels, seed=2))
    assert score(loaded, window, None).value == pytest.approx(score(memory, window, None).value)


def test_the_same_rows_and_seed_give_the_same_memory() -> None:
    first, second = learn(plant(1500, 3)), learn(plant(1500, 3))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_the_memory_does_not_grow_with_the_recording() -> None:
    short, long = learn(plant(2000, 2)), learn(plant(12_000, 2))
    assert sum(a.nbytes for a in long.values()) == sum(a.nbytes for a in short.values())


def _with_one_burst() -> tuple[np.ndarray, np.ndarray]:
    """(normal rows of which 20 were wild, a window that ends in 20 rows just as wild)."""
    rows, again = plant(3000, 3), plant(T, 3, seed=5)
    rows[1500:1520, 1] += 30 * rows[:1000, 1].std()
    again[-20:, 1] += 30 * rows[:1000, 1].std()
    return rows, again


def test_what_was_seen_once_is_remembered_and_is_no_alarm_when_it_comes_again() -> None:
    rows, again = _with_one_burst()
    assert score(learn(plant(3000, 3)), windows_of(again), None).value[0] > 1.0
    assert score(learn(rows), windows_of(again), None).value[0] < 1.0


def test_what_was_seen_once_sets_no_threshold_and_hides_no_other_fault() -> None:
    rows, _ = _with_one_burst()
    without, memory = learn(plant(3000, 3)), learn(rows)
    assert np.all(memory["threshold"] < 1.2 * without["threshold"])
    other = plant(T, 3, seed=5)
    other[-20:, 2] += 4 * memory["scale"][2]
    assert score(memory, windows_of(other), None).value[0] > 1.0


def test_location_and_scale_ignore_a_tenth_of_wild_rows() -> None:
    clean = plant(2000, 2)
    wild = clean.copy()
    wild[::10] = 1e6
    expected, found = learn(clean), learn(wild)
    assert found["location"] == pytest.approx(expected["location"], rel=0.05)


def test_what_the_encoder_says_is_heard_for_the_record_and_changes_no_alarm() -> None:
    rows = plant(1200, 2)
    memory = learn(rows, encode=fake_encode)
    window = windows_of(rows)[-1:]
    encoded = fake_encode(window, memory["location"], memory["scale"])
    heard = [NAMES.index(name) for name in ("reconstruction", "reconstruction_newest")]
    asked, unasked = score(memory, window, encoded), score(memory, window, None)
    assert asked.calibrated[0, heard].all()
    assert not unasked.calibrated[0, heard].any()
    np.testing.assert_array_equal(asked.value, unasked.value)


@pytest.mark.parametrize(
    "rows",
    [np.zeros((226, 2), np.float32), np.full((5000, 2), np.nan, np.float32), np.zeros((500, 0), np.float32)],
    ids=["too short", "never observed", "no channels"],
)
def test_rows_that_cannot_teach_anything_are_refused_with_a_reason(rows: np.ndarray) -> None:
    with pytest.raises(CommissionError, match="rows"):
        learn(rows)


def test_a_machine_that_stood_still_scores_nothing_until_it_moves() -> None:
    still = np.full((600, 3), 5.0, np.float32)
    memory = learn(still)
    normal = score(memory, windows_of(still)[-1:], None)
    assert normal.value[0] == 0.0
    moved = still.copy()
    moved[-40:, 1] = 9.0
    found = score(memory, windows_of(moved)[-1:], None)
    assert found.value[0] > 1.0
    assert np.argmax(found.contributions[0]) == 1
    assert np.isfinite(found.value).all()
