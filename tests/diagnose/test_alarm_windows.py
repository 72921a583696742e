"""Windows kept of an alarm, as the rows that they are of."""

import numpy as np

from edge_agent.diagnose.alarm_windows import AlarmWindows


def test_windows_that_overlap_are_one_piece_of_rows() -> None:
    rows = np.arange(300, dtype=np.float32).reshape(100, 3)
    kept = AlarmWindows(("a", "b", "c"))
    for end in (20, 30, 42, 90):
        kept.add(rows[end - 20 : end].T, end)
    first, second = kept.pieces()
    assert np.array_equal(first, rows[:42])
    assert np.array_equal(second, rows[70:90])
    stacked = kept.stacked()
    kept.rest(lambda: stacked)
    assert [len(piece) for piece in kept.pieces()] == [42, 20]
