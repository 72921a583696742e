"""What is to be learnt of a machine from rows of a recording, as if they had come over the wire. Pure."""

from dataclasses import replace

import numpy as np

from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.results import CommissionRequest
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.pipeline.validation import aligner
from edge_agent.records import Frame
from edge_agent.signals.row_buffer import RowBuffer

_BLOCK_ROWS = 1024


def request_of(
    frame: Frame, *, scorer: Scorer, settings: PipelineSettings, beside: bool = False
) -> CommissionRequest:
    """The request to learn a machine from all rows of a frame, whose times rise.

    Args:
        frame: R rows; NaN where a channel has none.
        scorer: the model.
        settings: of windows and channels.
        beside: the machine is learnt already, and goes on being watched meanwhile.
    """
    rows = RowBuffer(
        frame.machine,
        settings.window,
        window_rows=scorer.window_rows,
        keep_rows=len(frame.rows),
        aligner=aligner(frame.machine, settings, scorer=scorer),
    )
    rows.add_channels(frame.channels)
    for start in range(0, len(frame.rows), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        rows.accept(replace(frame, times_ns=frame.times_ns[part], rows=frame.rows[part]))
    rows.flush()
    history = rows.history(len(frame.rows))
    starts = rows.store.kept.starts[-len(history.rows) :]
    return CommissionRequest(
        machine=frame.machine,
        channels=tuple(rows.store.channels),
        rows=history.rows,
        period_ns=history.period_ns,
        hop_rows=history.hop_rows,
        time_ns=rows.store.last_time_ns or 0,
        observed=history.observed,
        seams=tuple((np.flatnonzero(np.diff(starts)) + 1).tolist()),
        beside=beside,
    )
