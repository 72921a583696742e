"""Gaps: what is hidden, and that earlier spans hold none of it."""

import numpy as np
import pytest
from edge_trainer.hidden_cells.gaps import GAPS, WINDOW_ROWS, Gap, earlier_spans


@pytest.mark.parametrize("gap", GAPS)
def test_earlier_spans_hold_no_hidden_cell(gap: Gap) -> None:
    windows = np.zeros((2, 3, WINDOW_ROWS), np.float32)
    span = windows[..., -gap.span_rows :]
    span[:, 0, gap.hidden] = np.nan
    spans = earlier_spans(windows, gap)
    assert spans.shape[0] >= 2
    assert spans.shape[1:] == (2, 3, gap.span_rows)
    assert np.isfinite(spans).all()


@pytest.mark.parametrize("gap", GAPS)
def test_only_the_newest_rows_have_nothing_after_them(gap: Gap) -> None:
    beside = gap.span_rows - gap.hidden.stop
    assert (beside == 0) == gap.newest
    assert gap.hidden.stop - gap.hidden.start == gap.rows
