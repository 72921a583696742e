"""What a network is told of a window: relative to the machine, honest about normal rows, the same however asked."""

from collections.abc import Mapping

import numpy as np
import pytest

from edge_agent.commissioning.baseline import commission
from edge_agent.detect.context_features import (
    CHANNEL_FEATURES,
    DESCRIPTORS,
    MACHINE_FEATURES,
    Context,
    features,
)
from edge_agent.detect.detector import DueWindows, MemoryArrays
from edge_agent.detect.detectors import DETECTORS, ENSEMBLE
from edge_agent.detect.detectors.in_context import InContext
from edge_agent.detect.ensemble import Ensemble
from edge_agent.detect.view_scales import CHANGE_ROWS, JUDGE_KNEE, LENGTHS_ROWS, ViewScales
from edge_agent.records import Float32
from edge_agent.signals.features import views
from edge_agent.signals.views import describe_views

T, C, R = 128, 4, 1800
TOLD = Ensemble([one for one in DETECTORS if one.detector.name in ("together", "shape", "in_context")])
"""As whoever trains a network asks for them: no network, and none of the other detectors."""
MEMORY = MemoryArrays(InContext())
HALF = np.finfo(np.float16)
Arrays = Mapping[str, np.ndarray]


def rows(n_rows: int, *, seed: int) -> Float32:
    """Two channels that move together, one periodic, one constant."""
    rng = np.random.default_rng(seed)
    load = np.convolve(rng.standard_normal(n_rows + 19), np.ones(20) / 4.5, mode="valid")
    wave = 5 + np.sin(np.arange(n_rows) / 3.0)
    found = np.stack([20 + load, 50 + 3 * load, wave, np.full(n_rows, 7.0)], axis=1)
    found[:, :3] += rng.standard_normal((n_rows, 3)) * np.array([0.2, 0.6, 0.2])
    return found.astype(np.float32)


def windows_of(values: Float32, *, step: int = 1) -> Float32:
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(values, T, axis=0)[::step])


def learn(values: Float32, ensemble: Ensemble = TOLD) -> Arrays:
    how: dict = {"encode": None, "budget_per_week": 1.0, "windows_per_week": 6e5, "seed": 0}
    return commission(values, window_rows=T, ensemble=ensemble, **how)


def tell(arrays: Arrays, windows: Float32) -> tuple[Float32, Float32]:
    return features([MEMORY.read(arrays)], TOLD.hear(arrays, windows))


def column(channels: Float32, name: str) -> Float32:
    return channels[..., CHANNEL_FEATURES.index(name)]


@pytest.fixture(scope="module")
def memory() -> Arrays:
    return learn(rows(R, seed=1))


def test_each_number_has_a_name_and_a_place(memory: Arrays) -> None:
    channels, machine = tell(memory, windows_of(rows(200, seed=2)))
    assert channels.shape == (73, C, len(CHANNEL_FEATURES))
    assert machine.shape == (73, len(MACHINE_FEATURES))
    assert channels.dtype == machine.dtype == np.float32
    assert len(set(CHANNEL_FEATURES)) == len(CHANNEL_FEATURES) == 87
    assert len(set(MACHINE_FEATURES)) == len(MACHINE_FEATURES) == 17
    rows_learnt, n_channels = machine[:, DESCRIPTORS][0, :2]
    assert rows_learnt == pytest.approx(np.log(R / T))
    assert n_channels == pytest.approx(np.log(C))


def test_views_are_told_relative_to_what_was_normal(memory: Arrays) -> None:
    windows = windows_of(rows(200, seed=2), step=30)
    channels, _ = tell(memory, windows)
    described = describe_views(memory, windows)
    scales = ViewScales.read(memory)
    seen = views(described.z, lengths_rows=LENGTHS_ROWS, change_rows=CHANGE_ROWS)
    relative = (seen - scales.centre[:, None]) / scales.spread[:, None]
    squashed = JUDGE_KNEE * np.sign(relative) * np.log1p(np.abs(relative / JUDGE_KNEE))
    expected = np.sign(squashed) * np.log1p(np.abs(squashed))
    for place, (view, statistic) in {
        "last_16_level": (0, 0),
        "last_128_step": (3, 4),
        "change_32_sd": (5, 1),
    }.items():
        np.testing.assert_allclose(
            column(channels, place), expected[view, ..., statistic], rtol=1e-4, atol=1e-5
        )


def test_the_newest_rows_are_told_against_the_oldest_half(memory: Arrays) -> None:
    windows = windows_of(rows(200, seed=3), step=20)
    channels, _ = tell(memory, windows)
    z = describe_views(memory, windows).z.astype(np.float64)
    oldest, newest = z[..., : T // 2], z[..., -16:]
    change = newest.mean(axis=-1) - oldest.mean(axis=-1)
    told = {
        "oldest_level": oldest.mean(axis=-1),
        "newest_change": change,
        "newest_change_in_sd": change / (oldest.std(axis=-1) + 0.05),
        "newest_sd_change": newest.std(axis=-1) / (oldest.std(axis=-1) + 0.05) - 1,
    }
    for name, expected in told.items():
        logarithm = np.sign(expected) * np.log1p(np.abs(expected))
        np.testing.assert_allclose(column(channels, name), logarithm, atol=2e-3)


def test_what_is_usual_was_learnt_from_windows_that_their_memory_did_not_hold(memory: Arrays) -> None:
    """Otherwise fresh normal windows would be beyond the 99 % point of normal ones again and again."""
    channels, machine = tell(memory, windows_of(rows(3000, seed=4), step=3))
    beyond = np.log(2.0)  # the 99 % point, as it is squashed
    distances = channels[..., :3, CHANNEL_FEATURES.index("last_16_distance") :][..., :9]
    assert np.mean(distances > beyond) < 0.06
    assert np.mean(machine[:, : DESCRIPTORS.start] > beyond) < 0.06
    assert abs(np.median(distances)) < 0.15
    assert np.abs(np.median(machine[:, : DESCRIPTORS.start], axis=0)).max() < 0.25


@pytest.mark.parametrize("name", ["last_16_distance", "spe", "residual", "newest_residual"])
def test_a_channel_that_leaves_the_others_is_told_as_the_guilty_one(memory: Arrays, name: str) -> None:
    values = rows(T, seed=5)
    values[-24:, 1] += 9.0
    channels, machine = tell(memory, values.T[None].copy())
    assert int(column(channels, name)[0].argmax()) == 1
    assert column(channels, name)[0, 1] > np.log(2.0)
    assert machine[0, MACHINE_FEATURES.index("spe")] > np.log(2.0)


def test_windows_of_many_machines_are_told_as_those_of_each(memory: Arrays) -> None:
    machines = [memory, learn(rows(R, seed=11)), learn(rows(1000, seed=12))]
    parts = [windows_of(rows(140 + 30 * at, seed=20 + at), step=10) for at in range(3)]
    described = [describe_views(m, w) for m, w in zip(machines, parts, strict=True)]
    due = DueWindows([ViewScales.read(each) for each in machines], described)
    for one in TOLD.alarming:
        due.found |= one.detector.score([one.arrays.read(each) for each in machines], due)
    together = features([MEMORY.read(each) for each in machines], due)
    alone = [tell(each, part) for each, part in zip(machines, parts, strict=True)]
    for place in range(2):
        expected = np.concatenate([told[place] for told in alone])
        np.testing.assert_allclose(together[place], expected, atol=2e-4)


def test_packed_memories_tell_the_same_in_less_room(memory: Arrays) -> None:
    small = TOLD.compact(memory)
    windows = windows_of(rows(300, seed=6), step=10)
    for whole, packed in zip(tell(memory, windows), tell(small, windows), strict=True):
        np.testing.assert_allclose(packed, whole, atol=0.03)
    again = TOLD.compact(small)
    assert all(np.array_equal(small[name], again[name]) for name in small)
    size = sum(array.nbytes for name, array in small.items() if name.startswith("in_context"))
    assert size < 64_000


@pytest.mark.parametrize("room", ["whole", "packed"])
def test_a_machine_without_a_channel_is_told_as_it_was(memory: Arrays, room: str) -> None:
    seen = [0, 2, 3]
    known = TOLD.compact(memory) if room == "packed" else memory
    windows = windows_of(rows(1500, seed=7), step=10)
    whole, machine = tell(memory, windows)
    fewer, of_fewer = tell(TOLD.mask(known, seen), np.ascontiguousarray(windows[:, seen]))
    assert fewer.shape == (len(windows), 3, len(CHANNEL_FEATURES))
    own = [
        at for at, name in enumerate(CHANNEL_FEATURES) if name not in ("spe", "residual", "newest_residual")
    ]
    np.testing.assert_allclose(fewer[..., own], whole[:, seen][..., own], atol=0.03)
    assert of_fewer[0, MACHINE_FEATURES.index("channels")] == pytest.approx(np.log(3))
    assert np.mean(of_fewer[:, : DESCRIPTORS.start] > np.log(2.0)) < 0.15
    assert np.isfinite(machine).all()


def test_any_window_is_told_in_numbers_that_half_floats_hold(memory: Arrays) -> None:
    rng = np.random.default_rng(8)
    windows = windows_of(rows(200, seed=8), step=10)
    windows[1:] *= np.exp(rng.normal(0, 20, (len(windows) - 1, C, 1))).astype(np.float32)
    windows[rng.random(windows.shape) < 0.3] = np.nan
    windows[3] = np.nan
    windows[4] = 1e30
    for told in tell(memory, windows):
        assert np.isfinite(told).all()
        assert np.abs(told).max() < 100 < HALF.max


def test_a_machine_that_stood_still_is_told_in_finite_numbers() -> None:
    still = learn(np.full((400, 2), 3.0, np.float32))
    moving = np.full((1, 2, T), 3.0, np.float32)
    moving[0, 1, -5:] = 4.0
    for told in tell(still, moving):
        assert np.isfinite(told).all()
        assert np.abs(told).max() < 100


def test_a_channel_that_was_not_observed_in_a_window_is_absent(memory: Arrays) -> None:
    windows = windows_of(rows(150, seed=9), step=10)
    windows[1, 2] = np.nan
    windows[2, 0, :-1] = np.nan
    expected = np.ones((len(windows), C), np.bool_)
    expected[1, 2] = False
    expected[:, 3] = False  # it never moved, and is not scored
    np.testing.assert_array_equal(TOLD.hear(memory, windows).present, expected)


def test_windows_of_other_lengths_are_not_remembered() -> None:
    how: dict = {"encode": None, "budget_per_week": 1.0, "windows_per_week": 6e5, "seed": 0}
    arrays = commission(rows(400, seed=1), window_rows=64, ensemble=ENSEMBLE, **how)
    assert not MEMORY.present(arrays)
    assert not any(name.startswith("in_context") for name in arrays)


def test_the_memory_is_a_named_tuple_of_plain_arrays(memory: Arrays) -> None:
    found = MEMORY.read(memory)
    assert isinstance(found, Context)
    assert found.components.dtype == np.float16
    assert all(memory[name].dtype != object for name in memory)
