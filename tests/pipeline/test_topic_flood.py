"""A flood of topics, machines and channel names is turned away, counted, and costs no lasting memory."""

import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from edge_agent.config.sources import SourceSection
from edge_agent.formats.routing import delivery_decoder
from edge_agent.metrics.collectors import MACHINES_LIMIT
from edge_agent.metrics.exporter import Exporter
from edge_agent.metrics.snapshot import MachineSeries, Snapshot, frozen
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Delivery
from edge_agent.service.wiring import with_rejects_logged
from tests.support import tiny

TOPICS = 100_000
NOW_NS = 1_700_000_000_000_000_000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


def new_pipeline(bundle: Path, **limits: int) -> Pipeline:
    sources = [
        SourceSection(topic="s/{machine}", format="json").route,
        SourceSection(topic="n/{machine}/{channel}", format="number").route,
    ]
    decode = delivery_decoder(sources, payload_limit_bytes=1000, future_tolerance_s=300)
    return Pipeline(
        decode=with_rejects_logged(decode, monotonic=lambda: 0.0),
        scorer=tiny.scorer(bundle),
        settings=PipelineSettings(commission_rows=100, **limits),
    )


def resident_mib() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def flood(first: int, last: int) -> Iterator[list[Delivery]]:
    """Machines that nobody knows, channels that nobody knows, topics of no source, garbage; all distinct."""
    for start in range(first, last, 1000):
        batch = []
        for number in range(start, min(start + 1000, last)):
            name = f"{number:x}-{'y' * (number % 60)}"
            batch += [
                Delivery(f"s/{name}", b'{"values": {"a": 1}}', NOW_NS),
                Delivery(f"n/known/{name}", b"1", NOW_NS),
                Delivery(f"else/{name}/{name}", b"1", NOW_NS),
                Delivery("s/known", json.dumps({"values": {name: 1}}).encode(), NOW_NS + number),
                Delivery(f"s/{name}\udcff", b"1", NOW_NS),
            ]
        yield batch


def test_a_hundred_thousand_topics_leave_memory_as_it_was(
    tiny_bundle: Path, record_property: Callable[[str, object], None]
) -> None:
    pipeline = new_pipeline(tiny_bundle, machines_limit=50, channels_limit=20)
    for batch in flood(0, TOPICS // 10):
        pipeline.step(batch)
    before_mib = resident_mib()
    for batch in flood(TOPICS // 10, TOPICS):
        pipeline.step(batch)
    growth_mib = resident_mib() - before_mib
    assert growth_mib < 20
    ledger = pipeline.ledger
    assert ledger.received == 5 * TOPICS
    assert ledger.balance() == 0
    assert len(pipeline.statuses()) == 50
    assert set(ledger.rejected) <= {"too_many_machines", "too_many_channels", "no_source", "bad_topic"}
    assert len(pipeline.statuses()["known"].channels) <= 20
    record_property("faults", sum(ledger.rejected.values()))
    record_property("growth_mib", round(growth_mib, 1))


def test_a_flood_of_machines_does_not_fill_prometheus(tiny_bundle: Path) -> None:
    pipeline = new_pipeline(tiny_bundle, machines_limit=2000)
    for batch in flood(0, 3000):
        pipeline.step(batch)
    exporter = Exporter()
    exporter.snapshot = Snapshot(
        ledger=frozen(pipeline.ledger),
        machines={
            name: MachineSeries(status.state, status.rows_heard, 1.0, 1.0, alarm_open=True)
            for name, status in pipeline.statuses().items()
        },
    )
    page = exporter.page().decode()
    assert page.count("\nedge_agent_alarms_open{") == MACHINES_LIMIT + 1
    assert 'edge_agent_alarms_open{machine="other"} 1500' in page
    assert page.count("\nedge_agent_") < 12 * MACHINES_LIMIT
