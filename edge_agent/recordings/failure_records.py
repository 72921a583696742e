"""A table of what was wrong when: machine, start, end, fault. Read and checked whole; joins nothing."""

import csv
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.errors import RecordingError

_COLUMNS = ("machine", "start", "end", "fault")


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """One machine had one fault in `[start_ns, end_ns)`."""

    machine: str
    start_ns: int
    end_ns: int
    fault: str


def read(path: Path) -> tuple[FailureRecord, ...]:
    """The records of a CSV file, in the order of their ends.

    Times are RFC 3339 with an offset, or seconds: since 1970, or since the first row for recordings without times.

    Raises:
        RecordingError: no such file, a column is missing, or a line makes no sense (it is named).
    """
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            reader = csv.DictReader(lines)
            if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
                raise RecordingError(path, f"has no column {', '.join(missing)}")
            found = [_record(path, number, row) for number, row in enumerate(reader, start=2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(path, getattr(error, "strerror", None) or str(error)) from error
    return tuple(sorted(found, key=lambda record: record.end_ns))


def _record(path: Path, line: int, row: dict[str, str | None]) -> FailureRecord:
    machine, start, end, fault = ((row[name] or "").strip() for name in _COLUMNS)
    try:
        start_ns, end_ns = _time_ns(start), _time_ns(end)
    except ValueError as error:
        raise RecordingError(path, f"line {line}: {error}") from error
    if not machine or not fault or end_ns <= start_ns:
        raise RecordingError(path, f"line {line}: needs a machine, a fault, and an end after its start")
    return FailureRecord(machine, start_ns, end_ns, fault)


def _time_ns(text: str) -> int:
    try:
        seconds = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError(f"{text!r} has no offset from UTC") from None
        since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
    if not math.isfinite(seconds):
        raise ValueError(f"{text!r} is no time")
    return round(seconds * 1e9)
