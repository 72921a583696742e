"""A table of what was wrong when is read whole, or refused with its line."""

from pathlib import Path

import pytest

from edge_agent.errors import RecordingError
from edge_agent.recordings.failure_records import FailureRecord, read


def table(folder: Path, *lines: str, header: str = "machine,start,end,fault") -> Path:
    path = folder / "failures.csv"
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return path


def test_times_are_seconds_or_rfc_3339_and_the_order_is_that_of_the_ends(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "pump-1,2026-01-01T01:00:00+01:00,2026-01-01T00:00:10.5Z,leak",
        "pump-2,0,12.25, worn bearing ,",
    )
    assert read(path) == (
        FailureRecord("pump-2", 0, 12_250_000_000, "worn bearing"),
        FailureRecord("pump-1", 1_767_225_600_000_000_000, 1_767_225_610_500_000_000, "leak"),
    )


def test_further_columns_do_no_harm_and_missing_ones_are_named(tmp_path: Path) -> None:
    assert len(read(table(tmp_path, "x,a,0,1,f", header="by,machine,start,end,fault"))) == 1
    with pytest.raises(RecordingError, match="no column end, fault"):
        read(table(tmp_path, "a,0", header="machine,start"))
    with pytest.raises(RecordingError):
        read(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    "line",
    [
        "a,1,1,f",
        "a,2,1,f",
        ",0,1,f",
        "a,0,1,",
        "a,0",
        "a,x,1,f",
        "a,nan,1,f",
        "a,0,inf,f",
        "a,0,2026-01-01T00:00:00,f",
    ],
)
def test_a_line_that_makes_no_sense_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(RecordingError, match="line 3"):
        read(table(tmp_path, "a,0,1,f", line))
