"""More than the agent can carry: a backlog from its absence, and three times its pace for minutes."""

import time
from collections.abc import Callable
from datetime import datetime
from itertools import chain

import pytest

from benchmarks.harness.fault_ledger import LONG, bound, record, size
from tests.faults.parts import floor
from tests.faults.parts.hall import Hall

pytestmark = [pytest.mark.faults, pytest.mark.timeout(7200)]
SEED = 23
WARM_UP_S = 5
Enter = Callable[..., Hall]


def total(ledger: dict[str, int]) -> int:
    """Different messages that the agent has taken in."""
    return ledger.get("received", 0) - ledger.get("duplicate", 0)


def test_what_queued_up_while_the_agent_was_away_is_drained(open_hall: Enter) -> None:
    hall = open_hall()
    messages = 120_000
    rows = messages // len(floor.MACHINES)
    faults = floor.plan(rows // 140 * len(floor.MACHINES) // 2, seed=SEED)
    assert floor.last_row(faults) < hall.row + rows
    hall.agent.kill()
    sent = hall.publisher.send(floor.rows(hall.row, hall.row + rows, faults=faults), patience_s=600)
    assert sent == messages
    started = time.monotonic()
    hall.agent.start()
    ledger = hall.agent.wait_received(messages, patience_s=600)
    drained_s = time.monotonic() - started
    verdict = hall.settle(faults)
    ledger = hall.agent.ledger()
    record(
        "offline_burst",
        fault="agent away while messages queue at the broker, then started",
        count=messages,
        verdict=verdict,
        test="tests/faults/test_overload.py -k queued",
        messages_missing=messages - total(ledger),
        ledger=ledger,
        drained_s=round(drained_s, 1),
        messages_per_s=round(messages / drained_s),
        resident_mib=round(hall.agent.resident_kib() / 1024),
    )
    assert verdict.clean, verdict
    assert total(ledger) == ledger["accepted"] == messages
    assert ledger["shed"] == ledger["late"] == 0


def test_three_times_its_pace(open_hall: Enter) -> None:
    """Machines are heard in turn, in time; what is shed is counted, memory stays flat, afterwards all is as before."""
    hall = open_hall(longest_wait_s=None)
    pace = measured_pace(hall)
    hall.publisher.timed = True
    load_s = size(short=10, long=300)
    rows = int(3 * pace * load_s) // len(floor.MACHINES)
    faults = floor.plan(rows // 140 * len(floor.MACHINES) // 2, seed=SEED, first=hall.row)
    load = floor.rows(hall.row, hall.row + rows, faults=faults)
    if not LONG:
        load = chain(list(load))  # made beforehand: making rows is not what is measured
    before = hall.publisher.acknowledged
    hall.row += rows
    started = time.monotonic()
    hall.publisher.begin(load, per_s=3 * pace)
    memory_kib = []
    while hall.publisher.busy:
        memory_kib.append((time.monotonic() - started, hall.agent.resident_kib()))
        time.sleep(1.0)
    offered_s = time.monotonic() - started
    published = hall.publisher.acknowledged
    while total(hall.agent.ledger()) < published:
        memory_kib.append((time.monotonic() - started, hall.agent.resident_kib()))
        assert time.monotonic() - started < offered_s + 600, hall.agent.ledger()
        time.sleep(1.0)
    ledger = hall.agent.ledger()
    recovered_s = time.monotonic() - started - offered_s
    latencies = hall.latencies_s()
    full = [kib for at_s, kib in memory_kib if at_s >= WARM_UP_S]
    growth_mib = (max(full) - full[0]) / 1024
    normal = hall.settle([])  # what was open when the load ended is closed by normal rows
    after = hall.some_faults(16, seed=SEED, gap_rows=100)
    record(
        "overload",
        fault=f"three times the agent's pace for {load_s} s",
        count=published - before,
        verdict=after,
        test="tests/faults/test_overload.py -k three",
        messages_missing=published - total(ledger),
        shed=ledger["shed"],
        pace_messages_per_s=round(pace),
        offered_per_s=round((published - before) / offered_s),
        ledger=ledger,
        growth_mib=round(growth_mib, 1),
        resident_mib=round(max(full) / 1024),
        connections=hall.agent.series()['edge_agent_broker_connects_total{client="ingest"}'],
        opened_meanwhile=normal.first_revisions,
        **bound("decision_to_reader_max_s", delivery_s(hall), 2.0),
        **bound("sensor_to_alert_max_s", max(latencies, default=0.0), 2.0),
        **bound("backlog_gone_s", recovered_s, 30.0),
    )
    assert total(ledger) == ledger["accepted"] + ledger["shed"] + ledger["late"] == published
    assert growth_mib < 30
    assert after.clean, after
    assert hall.agent.crashes() == []


def measured_pace(hall: Hall) -> float:
    """Messages a second that agent, broker and sensors manage together on this machine, right now."""
    rows = list(floor.rows(hall.row, hall.row + 1500))
    hall.row += 1500
    started = time.monotonic()
    hall.publisher.send(rows)
    hall.agent.wait_received(len(rows))
    return len(rows) / (time.monotonic() - started)


def delivery_s(hall: Hall) -> float:
    """The longest time from an opening's line in the agent's log to the arrival of the alert."""
    opened = {
        line["id"]: datetime.fromisoformat(line["timestamp"]) for line in hall.agent.log("alarm_opened")
    }
    arrived = {heard.alert["id"]: heard.wall for heard in reversed(hall.reader.heard)}
    return max(
        ((arrived[name] - at).total_seconds() for name, at in opened.items() if name in arrived), default=0.0
    )
