"""Evaluation: figures agree with a plain count of what the agent said, and the report stands alone."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from edge_trainer.bundle import export
from edge_trainer.config import Config
from edge_trainer.evaluation import evaluate
from edge_trainer.evaluation.summary import Judged, measure

from edge_agent.detect.scorer import Scorer
from edge_agent.errors import TrainingError
from edge_agent.model import bundle, profile
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.recordings import tables
from edge_agent.recordings.replay import replay


def test_evaluation_finds_the_faults_names_them_and_writes_a_report(trained: Config) -> None:
    report = evaluate.run(trained)
    figures = json.loads((report.parent / evaluate.MEASURES).read_text(encoding="utf-8"))
    assert figures["detection"]["events"] == 2
    assert figures["detection"]["event_recall"] == 1.0
    assert figures["classification"]["macro_f1"] > 0.8
    assert figures["classification"]["labels"] == ["normal", "slipping", "hot"]
    assert np.sum(figures["classification"]["confusion"]) == figures["classification"]["windows"]
    page = report.read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") >= 6
    assert not re.search(r"(src|href)=\"(?!data:)", page)  # nothing is loaded from elsewhere
    for text in ("onset_1", "Naming of faults", "slipping", "Windows restored worst", "Curves: finetune"):
        assert text in page


def test_figures_of_a_run_agree_with_a_plain_count(trained: Config) -> None:
    shipped = bundle.read(export.find_bundle(trained.run.out))
    scorer = Scorer.load(shipped, provider="cpu")
    assert shipped.profile is not None
    learnt = profile.decode(shipped.path, shipped.profile)
    item = tables.read(trained.run.data / "onset_2.csv")
    played = replay(item, scorer=scorer, settings=PipelineSettings(), profile=learnt)
    alarm = np.zeros(800, np.bool_)
    alarm[[100, 101, 300, 410, 411]] = True  # two false alarms; the fault is found after 10 rows
    judged = Judged(
        recording=item,
        replay=replace(played, alarm=alarm),
        true=np.array([0, 1, 1], np.int64),
        probability=np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]], np.float32),
    )
    figures = measure([judged], labels=("normal", "hot"), window_rows=32)
    run = figures["runs"][0]
    assert (run["events"], run["events_found"], run["delay_rows"], run["false_alarms"]) == (1, 1, [10.0], 2)
    assert run["calm_rows_in_alarm"] == pytest.approx(3 / 400)
    weeks = 400 / (7 * 24 * 3600)  # one row a second
    assert figures["detection"]["false_alarms_per_week"] == pytest.approx(2 / weeks)
    assert figures["classification"]["accuracy"] == pytest.approx(2 / 3)
    assert figures["classification"]["confusion"] == [[1, 0], [1, 1]]


def test_labels_that_the_model_does_not_know_are_not_judged(trained: Config) -> None:
    named = {1: "slipping", 2: "hot", 3: "loud"}
    section = trained.finetune.model_copy(update={"names": named})
    classes = evaluate.class_names(
        trained.model_copy(update={"finetune": section}), ("normal", "slipping", "hot")
    )
    assert classes == {0: 0, 1: 1, 2: 2}


def test_without_labels_only_alarms_are_reported(trained: Config) -> None:
    text = (trained.run.data / "calm.csv").read_text(encoding="utf-8").splitlines()
    bare = "\n".join(line.rpartition(",")[0] for line in text) + "\n"
    (trained.run.data / "bare.csv").write_text(bare, encoding="utf-8")
    section = trained.evaluate.model_copy(update={"recordings": ("bare.csv",)})
    report = evaluate.run(trained.model_copy(update={"evaluate": section}))
    figures = json.loads((report.parent / evaluate.MEASURES).read_text(encoding="utf-8"))
    assert figures["classification"] is None
    assert figures["detection"]["events"] == 0
    assert figures["detection"]["event_recall"] is None
    assert "Naming of faults" not in report.read_text(encoding="utf-8")


def test_nothing_to_evaluate_on_is_refused(trained: Config) -> None:
    section = trained.evaluate.model_copy(update={"recordings": ()})
    with pytest.raises(TrainingError, match="no recordings were named"):
        evaluate.run(trained.model_copy(update={"evaluate": section}))
