"""The recorder acknowledges nothing that is not on disk, and counts what it could not use."""

import json
import os
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from edge_agent.config.file import Config
from edge_agent.errors import RecordingError, StateError
from edge_agent.mqtt.inbox import Arrival, Batch, Receipt
from edge_agent.recordings import tables as recording
from edge_agent.records import Delivery
from edge_agent.service.recorder import Recorder

pytestmark = pytest.mark.usefixtures("quiet_logs")

NOW_NS = 1_700_000_000_000_000_000


def recorder(folder: Path, **limits: int) -> Recorder:
    found = Recorder(Config.model_validate({"limits": limits}), folder=folder)
    found.open()
    return found


def batch(*rows: int | bytes, machine: str = "pump-1", again: bool = False) -> Batch:
    """A message a row, numbered from 1; bytes are sent as they are, without a time where they have none."""
    payloads = [
        row
        if isinstance(row, bytes)
        else json.dumps({"ts": 1_600_000_000 + row, "values": {"flow": row}}).encode()
        for row in rows
    ]
    receipts = tuple(Receipt(mid, 1, again=again) for mid in range(1, len(rows) + 1))
    arrivals = tuple(
        Arrival(Delivery(f"sensors/{machine}", payload, NOW_NS + receipt.mid), receipt)
        for payload, receipt in zip(payloads, receipts, strict=True)
    )
    return Batch(arrivals, receipts, shed=0)


def flows(folder: Path) -> list[float]:
    tables = [recording.read(path) for path in recording.find(folder)]
    return sorted(float(value) for table in tables for value in table.values[:, 0])


def test_a_recorder_that_dies_leaves_every_acknowledged_row_to_the_next_one(tmp_path: Path) -> None:
    first = recorder(tmp_path)
    assert len(first.keep_batch(batch(*range(20)))) == 20
    first._spool.close()  # no farewell: its tables were never written
    recorder(tmp_path).close()
    assert flows(tmp_path) == list(range(20))


def test_nothing_is_acknowledged_while_the_disk_fails_and_nothing_is_lost_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = recorder(tmp_path)

    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(StateError, match="No space"):
            ours.keep_batch(batch(*range(10)))
    assert ours.figures.received == 0
    ours.keep_batch(batch(*range(10)))
    ours.close()
    assert flows(tmp_path) == list(range(10))
    assert ours.figures.accepted == 10


def test_a_message_that_the_broker_sends_again_is_recorded_once(tmp_path: Path) -> None:
    ours = recorder(tmp_path)
    unstamped = b'{"values": {"flow": 4}}'
    ours.keep_batch(batch(unstamped))
    ours.keep_batch(batch(unstamped, again=True))
    ours.close()
    assert (ours.figures.accepted, ours.figures.duplicate) == (1, 1)
    assert flows(tmp_path) == [4.0]


def test_every_message_is_accounted_for(tmp_path: Path) -> None:
    ours = recorder(tmp_path, machines=2, channels=2)
    ours.keep_batch(batch(1, b"{", b"\xff", 2))
    ours.keep_batch(
        batch(b'{"values": {"a": 1, "b": 2, "c": 3}}', b'{"values": {"flow": 1, "heat": "x"}}', machine="m2")
    )
    ours.keep_batch(batch(3, machine="m3"))
    ours.close()
    figures = ours.figures
    assert figures.rejected == {"not_json": 1, "not_utf8": 1, "too_many_channels": 1, "too_many_machines": 1}
    assert figures.values_rejected == {"wrong_type": 1}
    assert figures.received == figures.accepted + figures.duplicate + figures.shed + sum(
        figures.rejected.values()
    )
    told = json.loads((tmp_path / "figures.json").read_text())
    assert told["rows"] == figures.rows == 3


def test_figures_go_on_after_a_restart(tmp_path: Path) -> None:
    first = recorder(tmp_path)
    first.keep_batch(batch(1, 2))
    first.close()
    second = recorder(tmp_path)
    second.keep_batch(batch(3))
    second.close()
    assert second.figures.received == 3
    assert flows(tmp_path) == [1.0, 2.0, 3.0]


def test_a_missing_library_is_named_before_anything_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RecordingError, match=r"install edge-agent\[recordings\]"):
        recorder(tmp_path)


def test_rows_that_make_no_table_are_set_aside_and_counted_and_all_others_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = recorder(tmp_path)
    whole = recording.encode_columns

    def refusing(path: Path, columns: object, **told: object) -> bytes:
        if "odd" in str(path):
            raise ValueError("no table")
        return whole(path, columns, **told)  # type: ignore[arg-type]

    monkeypatch.setattr(recording, "encode_columns", refusing)
    ours.keep_batch(batch(*range(4), machine="odd"))
    ours.keep_batch(batch(*range(10)))
    ours.close()
    assert flows(tmp_path) == list(range(10))
    assert (ours.figures.rows, ours.figures.rows_set_aside) == (10, 4)
    assert len([*(tmp_path / "spool").glob("*.aside")]) == 1
    recorder(tmp_path).close()  # and the next one begins


def test_what_waits_for_tables_is_bounded_and_what_is_given_up_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = recorder(tmp_path)
    ours._config = ours._config.model_copy(
        update={"record": ours._config.record.model_copy(update={"disk_bytes": 4000})}
    )
    monkeypatch.setattr(
        ours.archive, "take_frames", Mock(side_effect=StateError(tmp_path, "No space left on device"))
    )
    for first in range(0, 200, 10):
        ours.keep_batch(batch(*range(first, first + 10)))
        ours.rotate()
    assert sum(path.stat().st_size for path in (tmp_path / "spool").iterdir()) < 4000
    assert 0 < ours.figures.rows_lost_waiting < 200
    monkeypatch.undo()
    ours.close()
    assert len(flows(tmp_path)) == 200 - ours.figures.rows_lost_waiting
