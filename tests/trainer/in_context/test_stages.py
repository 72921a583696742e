"""From machines to a bundle with a judge: each stage takes up what the one before left, none does its work twice."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from edge_trainer import config
from edge_trainer.in_context import bundled, corpus, fresh, stages
from edge_trainer.in_context.export import ask, session_of
from edge_trainer.in_context.machines import families

import edge_agent
from edge_agent.errors import TrainingError
from edge_agent.model import bundle
from tests.trainer.in_context.corpora import PoolInThisProcess, toy_family
from tests.trainer.in_context.corpora import corpus as toy_corpus

SHIPPED = Path(edge_agent.__file__).parent / "models" / "pretrained-small"


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Config:
    """A run of a minute's worth of machines."""
    monkeypatch.setattr(families, "_simulated", lambda: (toy_family(),))
    for module in (corpus, fresh):
        monkeypatch.setattr(module, "ProcessPoolExecutor", PoolInThisProcess)
    return config.load(
        None,
        [
            ("run.out", tmp_path / "run"),
            ("judge.corpus", tmp_path / "corpus"),
            ("judge.episodes", 8),
            ("judge.held_out_episodes", 4),
            ("judge.shard_episodes", 4),
            ("judge.windows", 48),
            ("judge.batch_windows", 16),
            ("judge.hidden", 8),
            ("judge.seeds", 2),
            ("judge.fresh_machines", 2),
            ("judge.quiet", 0.0),
            ("judge.calm_share", 1.0),
        ],
    )


def test_all_stages(given: config.Config, tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    shutil.copytree(SHIPPED, target)
    lines: list[str] = []
    assert stages.fit(given, lines.append, to=target) == target
    known = bundle.read(target)
    assert known.judge is not None
    assert known.judge.entry.familiar > 0
    session = session_of(known.judge.model)
    golden = known.judge.golden
    logit, _ = ask(session, golden.channels, golden.machine, golden.present)
    np.testing.assert_allclose(logit, golden.logit, rtol=1e-3, atol=1e-3)
    assert "## The judge" in known.card
    assert known.model == bundle.read(SHIPPED).model

    folder = given.run.out / stages.FOLDER
    told = json.loads((folder / "evaluation.json").read_text())
    columns = told["held-out machines"]
    assert {"statistics alone", "mean of seeds", "seed 1", "seed 2", "random weights"} < columns.keys()
    assert json.loads((folder / "threshold.json").read_text())["machines"] == 2

    lines.clear()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("s*-*.*")}
    assert len(before) >= 5
    stages.make_corpus(given, lines.append)
    stages.train(given, lines.append)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert lines[0] == "3 of 3 shards are there"


def test_a_judge_takes_the_place_of_the_one_before(given: config.Config, tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    shutil.copytree(SHIPPED, target)
    stages.fit(given, lambda _: None, to=target)
    first = bundle.read(target)
    stages.export(given, lambda _: None, to=target)
    again = bundle.read(target)
    assert again.card.count("## The judge") == 1
    assert again.judge is not None
    assert first.judge is not None
    assert again.judge.model == first.judge.model
    assert again.manifest.files[bundle.GOLDEN] == first.manifest.files[bundle.GOLDEN]


def test_a_stage_says_which_one_is_missing(given: config.Config) -> None:
    with pytest.raises(TrainingError, match="holds no shards"):
        stages.train(given, lambda _: None)
    with pytest.raises(TrainingError, match="holds no judge"):
        stages.evaluate(given, lambda _: None)
    with pytest.raises(TrainingError, match="holds no judge"):
        stages.export(given, lambda _: None)


def test_unlike_machines_are_told_by_their_descriptors() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundled, "DESCRIPTORS", slice(0, None))
        known = bundled.familiar_machines(toy_corpus(machines=200))
    assert len(known["descriptors"]) == len(known["descriptor_spread"]) == 3
    assert 0.5 < known["familiar"] < 3.0
