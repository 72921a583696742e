"""Clocks that step, begin in 1970 or lie: no storm of alarms, and true faults are still found.

The gateway's clock is set by libfaketime through a file, while the agent runs; monotonic time is left alone.
"""

import glob
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.harness.fault_ledger import record
from benchmarks.harness.patience import wait_until
from tests.faults.parts import floor
from tests.faults.parts.floor import Row
from tests.faults.parts.hall import Hall
from tests.faults.parts.verdict import Verdict

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
SEED = 26
ROWS_PER_S = 40
HOUR_S = 3600
Enter = Callable[..., Hall]


class GatewayClock:
    """The clock that the agent reads."""

    def __init__(self, folder: Path, library: str) -> None:
        self._file = folder / "clock"
        self.env = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        self.shift(0)

    def shift(self, seconds: int) -> None:
        """So far from the true time, from now on."""
        self._file.write_text(f"{seconds:+d}s\n")


@pytest.fixture
def clock(tmp_path: Path) -> GatewayClock:
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")  # noqa: PTH207 - not below our folder
    if not found:
        pytest.skip("libfaketime is missing: apt install faketime")
    return GatewayClock(tmp_path, found[0])


def unstamped(rows: Iterator[Row]) -> Iterator[Row]:
    """The same rows without times of their own: the gateway's clock is all there is."""
    for row in rows:
        yield Row(row.machine, row.number, b'{"values"' + row.payload.partition(b'"values"')[2])


def normal(hall: Hall, rows: int, *, per_s: float = ROWS_PER_S * len(floor.MACHINES)) -> None:
    hall.publisher.send(floor.rows(hall.row, hall.row + rows), per_s=per_s)
    hall.row += rows


def heard_of(hall: Hall, messages: int) -> None:
    """Wait until the agent has taken in all that was published."""
    wait_until(
        lambda: hall.agent.series().get("edge_agent_messages_received_total", 0) >= messages, what="the agent"
    )
    time.sleep(1.0)


def finish(
    hall: Hall, key: str, told: str, *, count: int, storm: int, verdict: Verdict, **figures: object
) -> None:
    record(
        key,
        fault=told,
        count=count,
        verdict=verdict,
        test=f"tests/faults/test_clocks.py -k {key}",
        alarms_by_the_clock=storm,
        ledger=hall.agent.ledger(),
        **figures,
    )
    assert storm == 0
    assert verdict.clean, verdict
    # Where the line breaks at the very moment of a step, libfaketime lets paho sleep for a negative time: its thread
    # dies of the tool, not of the clock, and is replaced.
    replaced = len(hall.agent.log("network_thread_replaced"))
    assert len(hall.agent.crashes()) == replaced
    assert hall.agent.starts == 1


def test_clock_steps(open_hall: Enter, clock: GatewayClock) -> None:
    """The gateway's clock jumps an hour ahead and back, and two days, while sources stamp their rows."""
    hall = open_hall(env=clock.env)
    steps = (HOUR_S, -HOUR_S, 0, 48 * HOUR_S, -HOUR_S, 0)
    for shift_s in steps:
        clock.shift(shift_s)
        normal(hall, 100)
    heard_of(hall, hall.publisher.acknowledged)
    storm = len(hall.reader.alerts())
    finish(
        hall,
        "clock_steps",
        "gateway clock steps by +-1 h and 2 days, rows carry times",
        count=len(steps),
        storm=storm,
        verdict=hall.some_faults(16, seed=SEED),
        connections=hall.agent.series()['edge_agent_broker_connects_total{client="ingest"}'],
    )


def test_unstamped_clock_steps(open_hall: Enter, clock: GatewayClock) -> None:
    """The same where rows carry no time: theirs is that of arrival."""
    hall = open_hall(env=clock.env)
    steps = (HOUR_S, -HOUR_S, 0)
    for shift_s in steps:
        clock.shift(shift_s)
        rows = unstamped(floor.rows(hall.row, hall.row + 150))
        hall.publisher.send(rows, per_s=ROWS_PER_S * len(floor.MACHINES))
        hall.row += 150
        heard_of(hall, hall.publisher.acknowledged)
    # Learnt at a row a second and now sent 40: that is said of the sources, rightly, whatever the clock does.
    storm = len([alert for alert in hall.reader.alerts() if alert["kind"] != "sensor"])
    ledger = hall.agent.ledger()
    record(
        "unstamped_clock_steps",
        fault="gateway clock steps by +-1 h, rows carry no time",
        count=len(steps),
        test="tests/faults/test_clocks.py -k unstamped",
        alarms_by_the_clock=storm,
        ledger=ledger,
    )
    assert storm == 0
    assert ledger["received"] == ledger["accepted"] + ledger["late"] + ledger["duplicate"]
    assert ledger["late"] < ledger["received"] / 2, "a clock that was set back must not silence the machine"
    assert hall.agent.crashes() == []


def test_boot_in_1970(open_hall: Enter, clock: GatewayClock) -> None:
    """The gateway has no battery: it starts in 1970 and gets the time later."""
    clock.shift(-int(time.time()) + 60)
    hall = open_hall(env=clock.env)
    normal(hall, 100)
    heard_of(hall, hall.publisher.acknowledged)
    before = hall.agent.ledger()
    clock.shift(0)
    time.sleep(1.0)
    normal(hall, 100)
    heard_of(hall, hall.publisher.acknowledged)
    storm = len(hall.reader.alerts())
    finish(
        hall,
        "boot_in_1970",
        "gateway boots in 1970, its clock is set a minute later",
        count=1,
        storm=storm,
        verdict=hall.some_faults(16, seed=SEED),
        turned_away_in_1970=before["rejected"],
    )


def test_source_clocks(open_hall: Enter) -> None:
    """Sensors whose clocks lie: in 2040, an hour behind, 1970, standing still, a number that is no time."""
    hall = open_hall()
    lies: dict[str, Callable[[float], float]] = {
        "in 2040": lambda ts: ts + 20 * 365 * 24 * HOUR_S,
        "an hour behind": lambda ts: ts - HOUR_S,
        "1970": lambda ts: ts - floor.FIRST_TS,
        "negative": lambda ts: -ts,
        "no time": lambda ts: ts * 1e12,
        "standing still": lambda _: floor.FIRST_TS + 1.0,
    }
    told = {}
    for name, lie in lies.items():
        before = hall.agent.ledger()
        rows = [
            Row(
                machine, number, floor.payload(floor.signal(machine, number), ts=lie(floor.FIRST_TS + number))
            )
            for number in range(hall.row, hall.row + 60)
            for machine in floor.MACHINES
        ]
        hall.publisher.send(rows, per_s=400)
        heard_of(hall, hall.publisher.acknowledged)
        after = hall.agent.ledger()
        told[name] = {key: after[key] - before[key] for key in after if after[key] > before[key]}
        assert "accepted" not in told[name], (name, told[name])
        normal(hall, 40)
        heard_of(hall, hall.publisher.acknowledged)
    storm = len(hall.reader.alerts())
    finish(
        hall,
        "source_clocks",
        "source clocks lie: " + ", ".join(lies),
        count=len(lies),
        storm=storm,
        verdict=hall.some_faults(16, seed=SEED),
        outcomes=told,
    )


def test_source_clock_an_hour_ahead(open_hall: Enter, clock: GatewayClock) -> None:
    """Within what the gateway tolerates nobody can tell a lie from a gap: rows after it are late, never alarms."""
    hall = open_hall(env=clock.env)
    jumped = [
        Row(
            machine, number, floor.payload(floor.signal(machine, number), ts=floor.FIRST_TS + number + HOUR_S)
        )
        for number in range(hall.row, hall.row + 60)
        for machine in floor.MACHINES
    ]
    hall.publisher.send(jumped, per_s=400)
    hall.row += 60
    normal(hall, 60)
    heard_of(hall, hall.publisher.acknowledged)
    ledger, storm = hall.agent.ledger(), len(hall.reader.alerts())
    hall.row += HOUR_S + 100
    finish(
        hall,
        "source_clock_an_hour_ahead",
        "source clocks an hour ahead, then right again",
        count=1,
        storm=storm,
        verdict=hall.some_faults(16, seed=SEED),
        late=ledger["late"],
    )
