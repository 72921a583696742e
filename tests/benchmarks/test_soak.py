"""What the soak says of its samples: growth is judged where it can be told, and findings are not called alarms."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from benchmarks.harness.subscriber import Heard
from benchmarks.reliability import soak

WHOLE = {"ledger_agrees": True, "faults_lost": 0, "faults_doubled": 0, "crashes": []}


def samples(
    *, minutes: float, mb_per_h: float, noise_mb: float = 0.2, threads: int = 20
) -> list[soak.Sample]:
    rng = np.random.default_rng(1)
    return [
        soak.Sample(
            at_s=at_s,
            resident_mb=100 + mb_per_h * at_s / 3600 + noise_mb * rng.normal(),
            descriptors=30,
            threads=threads + (at_s > 45 * minutes and threads > 20),
            cpu_s=at_s,
            queued=1,
            received=1,
            disk_mb=1,
        )
        for at_s in np.arange(0, 60 * minutes, 5.0)
    ]


def judged(**made: Any) -> dict[str, Any]:
    minutes = made["minutes"]
    found = soak.growth(samples(**made), warm_up_s=min(soak.WARM_UP_S, 30 * minutes))
    return WHOLE | found


def test_an_hour_that_grows_fails_and_one_that_does_not_passes() -> None:
    flat, leak = judged(minutes=60, mb_per_h=0.0), judged(minutes=60, mb_per_h=3.0)
    assert flat["slope_judged"]
    assert leak["slope_judged"]
    assert abs(flat["resident_slope_mb_per_h"]) < 0.25
    assert abs(leak["resident_slope_mb_per_h"] - 3) < 0.25
    assert soak.passed(flat)
    assert not soak.passed(leak)


def test_a_run_too_short_to_tell_judges_no_slope_but_everything_else() -> None:
    for minutes in (0.05, 1, 5, 15):
        short = judged(minutes=minutes, mb_per_h=30.0)
        assert not short["slope_judged"], minutes
        assert soak.passed(short)
        assert not soak.passed(short | {"faults_lost": 1})
    assert not soak.passed(judged(minutes=5, mb_per_h=0.0, threads=21))


def test_the_error_of_the_slope_is_that_of_many_drawn_lines() -> None:
    rng, hours = np.random.default_rng(2), np.linspace(0, 1, 100)
    drawn = [soak.line(list(hours), list(5 * hours + 0.3 * rng.normal(size=100))) for _ in range(500)]
    slopes = [slope for slope, _ in drawn]
    assert abs(np.mean(slopes) - 5) < 0.02
    assert abs(np.std(slopes) / np.mean([error for _, error in drawn if error]) - 1) < 0.1


def test_alarms_are_those_of_machines_and_findings_are_named() -> None:
    heard = [
        Heard(
            at_s, datetime.now(UTC), {"id": name, "machine": machine, "kind": kind, "fault": {"name": fault}}
        )
        for at_s, name, machine, kind, fault in (
            (12.0, "a", "m1", "machine", ""),
            (13.0, "a", "m1", "machine", ""),
            (14.0, "b", "m2", "machine", ""),
            (15.0, "c", "m1", "sensor", "silent"),
        )
    ]
    told = soak.alerts(
        cast("soak.Reader", SimpleNamespace(heard=heard)), [("m1", 10.0, 20.0), ("m3", 10.0, 20.0)]
    )
    assert (told["faults"], told["faults_lost"], told["faults_doubled"], told["other_alarms"]) == (2, 1, 0, 1)
    assert told["sensor_findings"] == ["m1: silent"]
    assert told["fault_to_alert_max_s"] == 2.0
