"""Calibration: the agent's own learning goes into the bundle, and what cannot be learnt from is refused."""

from pathlib import Path

import numpy as np
import pytest
from edge_trainer.bundle import export
from edge_trainer.config import Config
from edge_trainer.training import calibrate

from edge_agent.errors import CommissionError, RecordingError, TrainingError
from edge_agent.model import bundle, profile


def changed(base: Config, **settings: object) -> Config:
    return base.model_copy(update={"calibrate": base.calibrate.model_copy(update=settings)})


def test_the_bundle_carries_the_machine_s_profile(trained: Config) -> None:
    before = bundle.read(export.find_bundle(trained.run.out))
    after = bundle.read(calibrate.run(changed(trained, machine="press", hop_rows=2, period_s=0.5)))
    assert after.profile is not None
    learnt = profile.decode(after.path, after.profile)
    assert (learnt.machine, learnt.channels) == ("press", ("speed", "pressure", "heat"))
    assert (learnt.rows, learnt.hop_rows, learnt.period_ns) == (600, 2, 500_000_000)
    assert learnt.encoder == before.encoder == after.encoder
    assert learnt.memory["location"][2] == pytest.approx(20.0, abs=0.3)
    assert learnt.memory["scale"][2] == pytest.approx(1.0, rel=0.2)
    assert after.manifest.measures["calibrate_threshold"] == pytest.approx(learnt.threshold)
    assert after.model == before.model
    assert export.find_bundle(trained.run.out) == after.path  # the bundle before is gone


def test_a_smaller_budget_never_lowers_the_threshold(trained: Config) -> None:
    thresholds = []
    for budget in (20_000.0, 1.0, 0.1):
        read = bundle.read(calibrate.run(changed(trained, budget_per_week=budget)))
        assert read.profile is not None
        thresholds.append(profile.decode(read.path, read.profile).threshold)
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[-1]


def test_faulty_rows_are_left_out(trained: Config) -> None:
    recordings = trained.run.data
    text = (recordings / "calm.csv").read_text(encoding="utf-8").splitlines()
    spoilt = [text[0], *text[1:301], *(f"{row.rpartition(',')[0]},2" for row in text[301:])]
    (recordings / "half.csv").write_text("\n".join(spoilt) + "\n", encoding="utf-8")
    read = bundle.read(calibrate.run(changed(trained, recordings=("half.csv",))))
    assert read.profile is not None
    assert profile.decode(read.path, read.profile).rows == 300


def test_what_cannot_be_learnt_from_is_refused(trained: Config) -> None:
    recordings = trained.run.data
    with pytest.raises(TrainingError, match="no calm row"):
        calibrate.run(changed(trained, recordings=("fault1_0.csv",)))
    normal = (recordings / "calm.csv").read_text(encoding="utf-8").splitlines()
    (recordings / "short.csv").write_text("\n".join(normal[:60]) + "\n", encoding="utf-8")
    with pytest.raises(CommissionError):
        calibrate.run(changed(trained, recordings=("short.csv",)))
    (recordings / "other.csv").write_text("speed\n1\n", encoding="utf-8")
    with pytest.raises(RecordingError, match="has no column pressure, heat"):
        calibrate.run(changed(trained, recordings=("other.csv",)))


def test_calibrating_twice_gives_the_same_profile(trained: Config) -> None:
    first = bundle.read(calibrate.run(trained)).profile
    second = bundle.read(calibrate.run(trained)).profile
    assert first is not None
    assert second is not None
    one, two = (profile.decode(Path("x"), raw).memory for raw in (first, second))
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])
