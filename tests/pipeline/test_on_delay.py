"""An alarm opens after a time that is the same for every machine, not after the same number of windows."""

from dataclasses import replace

import numpy as np
import pytest

from edge_agent.detect.trigger import OnDelaySettings
from edge_agent.diagnose import attribution
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Frame, Profile
from tests.support.frames import SECOND, undecoded
from tests.support.ramp_machine import Ramp, ramp_profile


def machine_profile(period_s: int) -> Profile:
    evidence = attribution.reference(np.linspace(0, 1, 200, dtype=np.float32)[:, np.newaxis])
    return replace(ramp_profile(**evidence), period_ns=period_s * SECOND)


def pipeline(profile: Profile, *, on_s: float) -> Pipeline:
    return Pipeline(
        decode=undecoded,
        scorer=Ramp(),  # type: ignore[arg-type]
        settings=PipelineSettings(on_delay=OnDelaySettings(on_s=on_s)),
        profiles=[profile],
    )


def opened_at(line: Pipeline, *, period_s: int, first: int = 0) -> int | None:
    """The row, of ten above the threshold after as many calm ones, with which an alarm opens."""
    values = np.concatenate([np.full(10, 0.1), np.full(10, 1.2)]).astype(np.float32)
    for at, value in enumerate(values):
        frame = Frame("press", ("a",), [(first + at) * period_s * SECOND], [[float(value)]])
        if line.feed([frame]).alarms:
            return at - 10
    return None


@pytest.mark.parametrize(("period_s", "row"), [(1, 5), (10, 5), (20, 2), (60, 1), (300, 1)])
def test_the_pace_of_the_machine_says_how_many_windows_a_minute_is(period_s: int, row: int) -> None:
    profile = machine_profile(period_s)
    assert opened_at(pipeline(profile, on_s=60.0), period_s=period_s) == row


def test_another_setting_counts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    line = pipeline(machine_profile(10), on_s=60.0)
    monkeypatch.setattr(Ramp.bundle, "encoder", "0" * 64, raising=False)
    line.adopt(
        decode=undecoded,
        scorer=Ramp(),  # type: ignore[arg-type]
        settings=PipelineSettings(on_delay=OnDelaySettings(on_s=20.0)),
        template=None,
    )
    assert opened_at(line, period_s=10) == 1
