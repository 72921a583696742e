"""Windows of many machines looked at together: nothing of one leaks into another, and nothing changes."""

import numpy as np

from edge_agent.commissioning.baseline import commission
from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.signals.views import describe_together, describe_views


def _machine(seed: int, *, channels: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(1600) / (5.0 + seed))[:, None] * rng.uniform(0.5, 20.0, channels)
    rows = (wave + rng.normal(0, 0.1, wave.shape) + 10 * seed).astype(np.float32)
    memory = commission(
        rows[:1500], window_rows=64, encode=None, budget_per_week=1.0, windows_per_week=6e5, seed=0
    )
    return dict(memory), np.ascontiguousarray(rows[-64:].T[None])


def test_machines_looked_at_together_are_seen_to_the_bit_as_each_alone_and_scored_the_same() -> None:
    machines = [_machine(seed, channels=3 + seed % 2) for seed in range(4)]
    machines[2] = machines[2][0], np.repeat(machines[2][1], 3, axis=0)  # three windows of one machine
    machines[1][1][0, 0, 10:14] = np.nan  # a gap of one machine
    together = describe_together([memory for memory, _ in machines], [windows for _, windows in machines])
    said = ENSEMBLE.score_together(
        [memory for memory, _ in machines], [seen for seen in together if seen is not None]
    )
    for (memory, windows), seen, joined in zip(machines, together, said, strict=True):
        alone = describe_views(memory, windows)
        assert seen is not None
        np.testing.assert_array_equal(seen.z, alone.z)
        np.testing.assert_array_equal(seen.views, alone.views)
        single = ENSEMBLE.score(memory, windows, None)
        for part in ("value", "parts", "recent", "contributions", "calibrated"):
            np.testing.assert_allclose(getattr(joined, part), getattr(single, part), rtol=1e-4, atol=1e-5)


def test_a_long_block_is_left_to_be_looked_at_alone() -> None:
    memory, window = _machine(0, channels=3)
    short, long = describe_together([memory, memory], [window, np.repeat(window, 100, axis=0)])
    assert short is not None
    assert long is None
