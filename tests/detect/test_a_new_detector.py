"""A detector is one class and one line of a table: this toy goes all the way from normal rows to an alarm's shares."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from edge_agent.commissioning.baseline import commission
from edge_agent.detect.detector import ByChannel, Detector, DueWindows, NormalWindows, RawScore
from edge_agent.detect.detectors import COLUMNS, DETECTORS, ENSEMBLE
from edge_agent.detect.ensemble import Ensemble, Listed, Weight
from edge_agent.detect.scorer import Scorer
from edge_agent.model import profile as profiles
from edge_agent.model.bundle import read
from edge_agent.model.session import ModelSession
from edge_agent.records import Float32, Profile, WindowBlock

T, N_CHANNELS = 64, 3
FAULTY = 1


class Range(NamedTuple):
    """Least and largest normal value of each channel, [C]; the second is dropped where room is short."""

    low: ByChannel
    high: ByChannel
    note: Float32 | None = None


class OutOfRange(Detector[Range]):
    """How far the newest row is out of the range of the normal rows; reads what another detector said before it."""

    name = "range"
    scores = ("range",)
    memory = Range
    sums_over_channels = False

    def fit(self, normal: NormalWindows) -> tuple[Range, dict[str, Float32]]:
        assert "together_16" in normal.found
        newest = normal.newest[normal.kept, :, -1]
        memory = Range(newest.min(axis=0), newest.max(axis=0), np.zeros(1000, np.float32))
        return memory, {"range": _beyond(normal.newest[..., -1], memory.low, memory.high).max(axis=1)}

    def score(self, memories: Sequence[Range], windows: DueWindows) -> dict[str, RawScore]:
        assert "together_16" in windows.found
        low, high = (windows.by_window([getattr(one, part) for one in memories]) for part in ("low", "high"))
        beyond = _beyond(windows.z[..., -1], low, high)
        return {"range": RawScore(beyond.max(axis=1), beyond)}

    def compact(self, memory: Range) -> Range:
        return memory._replace(note=None)

    def mask(self, memory: Range, channels: np.ndarray, *, n_channels: int) -> Range:
        assert n_channels == N_CHANNELS
        return Range(memory.low[channels], memory.high[channels])


def _beyond(newest: Float32, low: Float32, high: Float32) -> Float32:
    beyond: Float32 = np.maximum(np.maximum(newest - high, low - newest), np.float32(0.0))
    return beyond


TABLE = Ensemble((*DETECTORS, Listed(OutOfRange(), Weight("together", 50.0))), columns=COLUMNS)


def rows(n_rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (np.array([20.0, 5.0, -3.0]) + rng.standard_normal((n_rows, N_CHANNELS))).astype(np.float32)


def learn(ensemble: Ensemble) -> dict[str, np.ndarray]:
    how: dict = {"encode": None, "budget_per_week": 1.0, "windows_per_week": 6e5, "seed": 0}
    return dict(commission(rows(900, 0), window_rows=T, ensemble=ensemble, **how))


@pytest.fixture(scope="module")
def memory() -> dict[str, np.ndarray]:
    return learn(TABLE)


@pytest.fixture
def windows() -> np.ndarray:
    """A normal window, and one whose newest row is out of range in one channel."""
    found = np.stack([rows(T, 1).T, rows(T, 1).T])
    found[1, FAULTY, -1] += 30.0
    return found


def test_it_is_fitted_and_its_line_is_the_last_raw_score(memory: dict[str, np.ndarray]) -> None:
    assert TABLE.names == (*ENSEMBLE.names, "range")
    assert memory["range_low"].shape == memory["range_high"].shape == (N_CHANNELS,)
    assert memory["calibration"].shape == (2, len(TABLE.names))
    assert memory["weights"][0, -1] == pytest.approx(50.0 / 56.0)


def test_it_decides_with_the_others_and_lays_the_alarm_to_the_channel(
    memory: dict[str, np.ndarray], windows: np.ndarray
) -> None:
    found = TABLE.score(memory, windows, None)
    assert found.value[0] < 1.0 < found.value[1]
    assert found.calibrated[1, -1] > found.calibrated[1, :-1].max()
    assert int(found.contributions[1].argmax()) == FAULTY
    assert found.contributions[1].sum() == pytest.approx(1.0)
    without = ENSEMBLE.score(learn(ENSEMBLE), windows, None)
    assert found.value[1] > 2 * without.value[1]


def test_compacted_saved_and_loaded_it_alarms_the_same(
    memory: dict[str, np.ndarray], windows: np.ndarray
) -> None:
    small = TABLE.compact(memory)
    assert "range_note" in memory
    assert "range_note" not in small
    profile = Profile("press", ("a", "b", "c"), small, 900, 10**9, 1, "encoder", 0)
    loaded = profiles.decode(Path("press.npz"), profiles.encode(profile)).memory
    before, after = (TABLE.score(known, windows, None) for known in (memory, loaded))
    np.testing.assert_allclose(after.value, before.value, rtol=0.005)
    np.testing.assert_array_equal(after.calibrated[:, -1], before.calibrated[:, -1])


def test_a_channel_that_is_masked_says_nothing(memory: dict[str, np.ndarray], windows: np.ndarray) -> None:
    others = [at for at in range(N_CHANNELS) if at != FAULTY]
    found = TABLE.score(TABLE.mask(memory, others), np.ascontiguousarray(windows[:, others]), None)
    np.testing.assert_allclose(found.value[1], found.value[0], rtol=1e-5)


def test_through_the_scorer_machines_that_are_due_together_say_what_each_says_alone(
    memory: dict[str, np.ndarray], windows: np.ndarray, tiny_bundle: Path
) -> None:
    session = ModelSession.open(read(tiny_bundle), provider="cpu")
    scorer = Scorer(session, ensemble=TABLE, expecting=False)
    small = TABLE.compact(memory)
    learnt = [
        Profile(name, ("a", "b", "c"), small, 900, 10**9, 1, scorer.bundle.encoder, 0) for name in ("x", "y")
    ]
    blocks = [
        WindowBlock(profile.machine, windows[at : at + 1], np.array([T]), np.array([10**9]))
        for at, profile in enumerate(learnt)
    ]
    together = scorer.score(blocks, learnt)
    assert together[0].value[0] < 1.0 < together[1].value[0]
    assert int(together[1].contributions[0].argmax()) == FAULTY
    for block, profile, joint in zip(blocks, learnt, together, strict=True):
        (alone,) = scorer.score([block], [profile])
        np.testing.assert_array_equal(joint.value, alone.value)
        np.testing.assert_array_equal(joint.contributions, alone.contributions)


def test_a_machine_learnt_before_the_line_was_added_goes_on_without_it(windows: np.ndarray) -> None:
    learnt = learn(ENSEMBLE)
    before, after = ENSEMBLE.score(learnt, windows, None), TABLE.score(learnt, windows, None)
    np.testing.assert_array_equal(after.value, before.value)
    np.testing.assert_array_equal(
        TABLE.compact(learnt)["together_codes"], ENSEMBLE.compact(learnt)["together_codes"]
    )
