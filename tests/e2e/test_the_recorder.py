"""`edge-agent record` between a real broker and a disk: killed in the middle, it loses no message of QoS 1."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from benchmarks import ROOT
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from benchmarks.harness.user import User
from edge_agent.recordings import tables

pytestmark = pytest.mark.broker
ROWS = 6000


def start(folder: Path, broker: Broker) -> subprocess.Popen[bytes]:
    config, log = folder / "record.toml", folder / "record.log"
    config.write_text(
        f'[broker]\nhost = "127.0.0.1"\nport = {broker.port}\nretry_max_s = 1\n[log]\nformat = "json"\n'
        "[record]\nsegment_s = 0.5\n"
    )
    heard = log.read_text().count('"recording"') if log.exists() else 0
    with log.open("ab") as file:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "edge_agent",
                "record",
                "-c",
                str(config),
                "--to",
                str(folder / "recordings"),
            ],
            cwd=ROOT,
            stderr=file,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
    wait_until(lambda: log.read_text().count('"recording"') > heard, what="the recorder")
    wait_until(
        lambda: '"connected"' in log.read_text() or "broker_connected" in log.read_text(), what="its broker"
    )
    return process


def test_a_killed_recorder_loses_no_acknowledged_row_and_counts_none_twice(
    tmp_path: Path, broker: Broker
) -> None:
    first = start(tmp_path, broker)
    user = User(broker.port)
    publish = threading.Thread(target=user.publish_rows, args=["pump-1", 0, ROWS])
    wait_until(lambda: first.poll() is None, what="the recorder to stay")
    publish.start()
    wait_until(lambda: list((tmp_path / "recordings").rglob("*.parquet")), what="the first table")
    first.kill()
    first.wait()
    publish.join()
    second = start(tmp_path, broker)
    wait_until(lambda: rows(tmp_path) == ROWS, what="every row")
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 0
    assert rows(tmp_path) == ROWS
    assert not list((tmp_path / "recordings" / "spool").iterdir())
    user.close()


def rows(folder: Path) -> int:
    """Rows in all tables; tables may be merged while they are read."""
    try:
        return sum(len(tables.read(path).values) for path in tables.find(folder / "recordings"))
    except tables.RecordingError:
        return 0
