"""Input from hell: generated payloads at every decoder, and a flood of topics at a running agent."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks import ROOT
from benchmarks.harness.fault_ledger import record, size
from benchmarks.harness.publisher import Publisher
from tests.faults.parts import floor
from tests.faults.parts.floor import Row
from tests.faults.parts.hall import Hall

pytestmark = [pytest.mark.faults, pytest.mark.timeout(7200)]
SEED = 27
Enter = Callable[..., Hall]


def test_generated_payloads(tmp_path: Path) -> None:
    count = size(short=20_000, long=1_000_000)
    report = tmp_path / "fuzz.json"
    command = [sys.executable, "-m", "benchmarks.reliability.fuzz_formats", "--count", str(count)]
    command += ["--report", str(report)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {name: part for name, part in json.loads(report.read_text()).items() if isinstance(part, dict)}
    record(
        "generated_payloads",
        fault=f"generated payloads at each of {len(found)} decoders",
        count=sum(part["payloads"] for part in found.values()),
        test="tests/faults/test_input.py -k generated",
        exceptions=sum(part["exceptions"] for part in found.values()),
        memory_flat=all(part["flat"] for part in found.values()),
        slowest_ms=max(part["slowest_ms"] for part in found.values()),
    )
    assert found
    assert all(part["payloads"] == count and part["exceptions"] == 0 for part in found.values())


def flood(first: int, last: int) -> Iterator[Row]:
    """One reading from each of these machines, of which nobody has heard."""
    reading = floor.payload({"pressure": 1.0}, ts=floor.FIRST_TS)
    return (Row(f"ghost-{number}", 0, reading) for number in range(first, last))


def test_a_flood_of_topics(open_hall: Enter) -> None:
    hall = open_hall(settings={"limits": "machines = 200"})
    topics = 100_000
    hall.publisher.send(flood(0, 1000))  # the places that are left are taken: what is bounded is full
    time.sleep(2.0)
    memory_kib = [hall.agent.resident_kib()]
    for first in range(1000, topics + 1000, topics // 4):
        hall.publisher.send(flood(first, first + topics // 4))
        hall.agent.wait_received(hall.publisher.acknowledged)
        memory_kib.append(hall.agent.resident_kib())
    ledger, series = hall.agent.ledger(), hall.agent.series()
    turned_away = sum(
        value
        for name, value in series.items()
        if 'edge_agent_rejects_total{reason="too_many_machines"' in name
    )
    verdict = hall.some_faults(16, seed=SEED)
    growth_mib = (memory_kib[-1] - memory_kib[1]) / 1024
    record(
        "flood_of_topics",
        fault="one message on each of many topics that nobody knows",
        count=topics,
        verdict=verdict,
        test="tests/faults/test_input.py -k flood",
        ledger=ledger,
        turned_away=int(turned_away),
        growth_mib=round(growth_mib, 1),
        series=len(series),
    )
    assert (
        0 < turned_away < ledger["received"] == turned_away + ledger["accepted"]
    )  # the first ones give way to others
    assert growth_mib < 10, memory_kib
    assert len(series) < 5000
    assert verdict.clean, verdict
    assert hall.agent.crashes() == []


def test_payloads_of_10_mb(open_hall: Enter) -> None:
    """A message far beyond the limit is turned away by name; of its payload the agent keeps the beginning alone."""
    hall = open_hall()
    hall.some_faults(8, seed=SEED)  # all that is filled once is filled
    count, huge = size(short=20, long=500), b'{"values":{"pressure":' + b"1" * 10_000_000 + b"}}"
    before_mib = hall.agent.peak_kib() / 1024
    boxes = Publisher(hall.broker.port, name="boxes")
    hall.leaving.callback(boxes.close)
    boxes.begin((Row("press-1", number, huge) for number in range(count)), per_s=2)
    verdict = hall.some_faults(8, seed=SEED + 1)
    boxes.finish()
    ledger = hall.agent.wait_received(boxes.acknowledged + hall.publisher.acknowledged)
    turned_away = hall.agent.series()['edge_agent_rejects_total{reason="too_large"}']
    growth_mib = hall.agent.peak_kib() / 1024 - before_mib
    record(
        "huge_payloads",
        fault="messages of 10 MB beside the machines' own",
        count=boxes.acknowledged,
        verdict=verdict,
        test="tests/faults/test_input.py -k 10_mb",
        ledger=ledger,
        turned_away=int(turned_away),
        growth_mib=round(growth_mib, 1),
    )
    assert boxes.acknowledged == count == turned_away == ledger["rejected"]
    assert ledger["accepted"] == hall.publisher.acknowledged
    assert growth_mib < 5  # of the peak: half of a single message
    assert verdict.clean, verdict
    assert hall.agent.crashes() == []
