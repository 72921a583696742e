"""A machine of which every message is turned away says so at once, once, and until one is accepted."""

from dataclasses import replace
from pathlib import Path

from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Frame, Reject
from edge_agent.service.health import machine_series
from tests.support import tiny

SECOND_NS = 10**9


def frame(channels: int, *, at: int) -> Frame:
    names = tuple(f"tag_{number}" for number in range(channels))
    return Frame("wide", names, [1_700_000_000 * SECOND_NS + at * SECOND_NS], [[float(at)] * channels])


def test_too_many_channels_are_told_with_the_setting(tiny_bundle: Path) -> None:
    pipeline = Pipeline(
        decode=lambda _: Reject("no_source"),
        scorer=tiny.scorer(tiny_bundle),
        settings=replace(PipelineSettings(), channels_limit=4),
    )
    steps = [pipeline.feed([frame(6, at=at)]) for at in range(3)]
    assert [step.turned_away for step in steps] == [("wide",), (), ()]
    status = pipeline.statuses()["wide"]
    assert "6 channels, limits.channels allows 4" in status.reason
    assert machine_series(pipeline.statuses(), ())["wide"].turned_away
    assert pipeline.ledger.rejected == {"too_many_channels": 3}
    pipeline.feed([frame(3, at=9)])
    assert pipeline.statuses()["wide"].reason == ""
    assert not machine_series(pipeline.statuses(), ())["wide"].turned_away


def test_a_machine_that_reports_changes_only_is_told_as_one(tiny_bundle: Path) -> None:
    pipeline = Pipeline(
        decode=lambda _: Reject("no_source"), scorer=tiny.scorer(tiny_bundle), settings=PipelineSettings()
    )
    pipeline.feed([replace(frame(2, at=0), machine="door", by_exception=True), frame(2, at=0)])
    series = machine_series(pipeline.statuses(), ())
    assert (series["door"].by_exception, series["wide"].by_exception) == (True, False)
