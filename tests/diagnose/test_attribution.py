"""Each symptom is said of a signal that has it and nothing else."""

import numpy as np
import pytest

from edge_agent.commissioning.baseline import commission
from edge_agent.detect.operating_modes import row_modes
from edge_agent.diagnose.attribution import SYMPTOMS, explain, mode_of, reference

RNG = np.random.default_rng(1)
NORMAL = RNG.normal(50.0, 2.0, (1000, 1)).astype(np.float32)
MEMORY = {"location": np.array([50.0], np.float32), "scale": np.array([2.0], np.float32), **reference(NORMAL)}
NOISE = RNG.normal(0.0, 2.0, 128).astype(np.float32)


def symptom(window: np.ndarray) -> str:
    found = explain(
        MEMORY,
        channels=["a"],
        window=window[np.newaxis].astype(np.float32),
        contributions=np.ones(1, np.float32),
        most=5,
    )
    assert len(found) == 1
    return found[0].symptom


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (50 + NOISE + 20, "high"),
        (50 + NOISE - 20, "low"),
        (50 + np.repeat([-3.0, 3.0], [112, 16]) + 0.2 * NOISE, "rising"),
        (50 + np.repeat([3.0, -3.0], [112, 16]) + 0.2 * NOISE, "falling"),
        (50 + NOISE * 3 - np.mean(NOISE[-32:]) * 3, "noisier"),
        (50 + NOISE * 0.1, "quieter"),
        (np.full(128, 51.0), "frozen"),
        (np.full(128, np.nan), "missing"),
        (50 + np.tile([2.0, -2.0, 1.0, -1.0], 32), "unusual pattern"),
    ],
)
def test_symptom(window: np.ndarray, expected: str) -> None:
    assert expected in SYMPTOMS
    assert symptom(window) == expected


def test_the_usual_range_holds_98_percent_of_normal_rows() -> None:
    low, high = MEMORY["evidence/low"], MEMORY["evidence/high"]
    inside = (low <= NORMAL) & (high >= NORMAL)
    assert 0.975 <= inside.mean() <= 0.985


def test_evidence_is_of_the_mode_that_the_machine_is_in() -> None:
    running = np.repeat(np.tile([0.0, 1.0], 10), 300)
    noise = np.random.default_rng(3).normal(0.0, 1.0, (2, len(running)))
    rows = np.stack([1500 * running, 10 * running], axis=1) + (noise * np.array([[4.0], [0.1]])).T
    rows = rows.astype(np.float32)
    how: dict = {
        "window_rows": 128,
        "encode": None,
        "budget_per_week": 1.0,
        "windows_per_week": 6e4,
        "seed": 0,
    }
    memory = dict(commission(rows, **how))
    memory |= reference(rows, row_modes(memory, rows))
    window = rows[300:428].T.copy()
    window[1, -40:] += 1.5
    shares = np.array([0.1, 0.9], np.float32)
    modes = row_modes(memory, window.T)
    assert modes is not None
    running_mode = int(modes[-1])
    (guilty, *_) = explain(
        memory,
        channels=["speed", "current"],
        window=window,
        contributions=shares,
        most=2,
        mode=running_mode,
    )
    assert (guilty.name, guilty.symptom) == ("current", "high")
    assert 9.5 < guilty.normal_low < guilty.normal_high < 10.5
    assert guilty.deviation > 5.0
    mode = mode_of(memory, channels=["speed", "current"], mode=running_mode)
    assert mode.split(" ")[1] == "above"
    leaving = row_modes(memory, rows[174:302])
    assert leaving is not None
    assert mode_of(memory, channels=["speed", "current"], mode=int(leaving[-1])) == ""


def test_channels_without_a_share_are_not_named() -> None:
    found = explain(
        {**MEMORY, "location": np.zeros(2), "scale": np.ones(2)} | reference(np.tile(NORMAL, (1, 2))),
        channels=["a", "b"],
        window=np.ones((2, 128), np.float32),
        contributions=np.array([0.0, 1.0], np.float32),
        most=5,
    )
    assert [channel.name for channel in found] == ["b"]
