"""A machine of five channels that runs, is stopped and started again, for tests of what it was never learnt doing."""

import numpy as np

PERIOD_S = 10
CHANNELS = ("speed", "current", "temperature", "pressure", "vibration")


def shift_rows(run: np.ndarray, *, seed: int) -> np.ndarray:
    """Rows [R, C] of a machine whose drive is on where `run` [R] is 1 and off where it is 0."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(len(run), 5))
    drive, heat = _lagged(run, 4.0), _lagged(run, 40.0)
    on = run > 0
    return np.column_stack(
        [
            1500 * drive + 4 * noise[:, 0] * on,
            10 * drive + (0.15 * on + 0.01) * noise[:, 1],
            22 + 38 * heat + 0.05 * noise[:, 2],
            5.5 * drive + (0.06 * on + 0.005) * noise[:, 3],
            (0.1 + 1.5 * drive) * np.exp(0.08 * noise[:, 4]),
        ]
    )


def _lagged(signal: np.ndarray, rows: float) -> np.ndarray:
    """A first-order lag that begins where the signal does."""
    found, state = np.empty(len(signal)), float(signal[0])
    for at, value in enumerate(signal):
        state += (value - state) / rows
        found[at] = state
    return found
