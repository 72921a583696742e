"""What a row buffer remembers over a restart: a noun without behaviour."""

from dataclasses import dataclass

from edge_agent.signals.alignment import AlignState


@dataclass(frozen=True, slots=True)
class RingState:
    """All that a row buffer remembers; arrays as their bytes, so that it can be written down as it is.

    Attributes:
        rows: [R, C] float32, the kept rows. times, starts: [R] int64.
        seen: [R, C] bool, the cells that were observed and not held.
        age: [C] int64. last: [C] float32. pending: [C] float32, the row being gathered.
    """

    channels: tuple[str, ...]
    row_count: int
    last_time_ns: int | None
    rows: bytes
    times: bytes
    starts: bytes
    age: bytes
    last: bytes
    pending: bytes | None
    pending_ns: int
    segment_row: int
    scored_row: int
    span_ns: int
    hop_rows: int
    seen: bytes = b""
    align: AlignState | None = None
    opened_ns: int = 0
