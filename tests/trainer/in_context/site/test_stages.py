"""Fine-tuning from recordings to a bundle: measured on what was left out, resumed, and exported only for a gain."""

import json
from pathlib import Path

import pytest
from edge_trainer import config
from edge_trainer.in_context import corpus, fresh
from edge_trainer.in_context.machines import families
from edge_trainer.in_context.site import run as runs
from edge_trainer.in_context.site import stages

from edge_agent.errors import TrainingError
from edge_agent.model import bundle
from tests.trainer.in_context.corpora import PoolInThisProcess, toy_family
from tests.trainer.in_context.site.factory import bundle_with_judge, factory, networks, recording


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Config:
    """A run of seconds."""
    monkeypatch.setattr(families, "_simulated", lambda: (toy_family(),))
    for module in (corpus, fresh):
        monkeypatch.setattr(module, "ProcessPoolExecutor", PoolInThisProcess)
    factory(tmp_path / "plant")
    return config.load(
        None,
        [
            ("run.out", tmp_path / "run"),
            ("judge.corpus", tmp_path / "corpus"),
            ("judge.shard_episodes", 3),
            ("judge.windows", 48),
            ("judge.batch_windows", 16),
            ("judge.quiet", 0.0),
            ("judge.calm_share", 1.0),
            ("site.recordings", [tmp_path / "plant"]),
            ("site.episodes", 3),
            ("site.left_out_episodes", 3),
            ("site.general_episodes", 3),
            ("site.general_share", 2),
            ("site.fresh_machines", 2),
            ("site.epochs", 1),
        ],
    )


@pytest.fixture
def start(tmp_path: Path) -> Path:
    return bundle_with_judge(tmp_path / "shipped", networks())


def kept(folder: Path) -> dict[Path, int]:
    """What a run is not to make again, with its time."""
    made = (
        path for path in folder.rglob("*.*") if path.suffix in {".npz", ".pt"} or path.stem == "thresholds"
    )
    return {path: path.stat().st_mtime_ns for path in made if stages.BUNDLE not in path.parts}


def test_a_gain_is_exported(
    given: config.Config, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "_refusal", lambda *_, **__: None)
    lines: list[str] = []
    target = tmp_path / "ours"
    assert stages.fine_tune(given, lines.append, start=start, to=target) == target
    before, after = bundle.read(start), bundle.read(target)
    assert before.judge is not None
    assert after.judge is not None
    assert after.judge.identity != before.judge.identity
    assert after.model == before.model
    assert "fine-tuned" in after.card

    folder = given.run.out / runs.FOLDER
    told = json.loads((folder / "report.json").read_text())
    assert told["made of"]["episodes"] == 3
    assert told["made of"]["general episodes"] == 6
    assert len(told["made of"]["machines"]) == 2
    assert len(told["made of"]["left out"]) == 1
    assert told["gain"][runs.LEFT_OUT]["groups"] == 1
    assert after.judge.entry.threshold == pytest.approx(told["thresholds"]["threshold"])
    assert (
        f"Left out to measure with: {told['made of']['left out'][0]}." in (folder / "report.md").read_text()
    )

    made = kept(tmp_path)
    assert len(made) >= 5 + 2 + 1
    stages.fine_tune(given, lines.append, start=start)
    assert kept(tmp_path) == made


def test_no_gain_leaves_the_bundle_alone(
    given: config.Config, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "_refusal", lambda *_, **__: "nothing was gained")
    with pytest.raises(TrainingError, match="is not written: nothing was gained"):
        stages.fine_tune(given, lambda _: None, start=start, to=tmp_path / "ours")
    assert not (tmp_path / "ours").exists()
    path = stages.fine_tune(given, lambda _: None, start=start)
    assert "**Not exported: nothing was gained.**" in path.read_text()


def test_a_folder_holds_one_run(given: config.Config, start: Path, tmp_path: Path) -> None:
    runs.begin(given, lambda _: None, start)
    runs.begin(given, lambda _: None, start)
    recording(tmp_path / "plant" / "press-9.csv", seed=9)
    with pytest.raises(TrainingError, match="holds a run with another recordings"):
        runs.begin(given, lambda _: None, start)


@pytest.mark.parametrize(
    ("left_out", "general", "found", "refused"),
    [
        (0.01, -0.01, None, None),
        (-0.01, 0.0, None, "no gain is shown"),
        (float("nan"), 0.0, None, "no gain is shown"),
        (0.05, -0.05, None, "may have lost more than 0.02"),
        (0.05, 0.0, -0.01, "fewer faults are found"),
        (0.05, 0.0, 0.2, None),
    ],
)
def test_what_is_refused(left_out: float, general: float, found: float | None, refused: str | None) -> None:
    told = {
        "gain": {runs.LEFT_OUT: {"low": left_out}, runs.GENERAL: {"low": general}},
        "thresholds": {} if found is None else {"found": {"high": found}},
    }
    said = stages._refusal(told, most_harm=0.02)
    assert said is refused is None or (refused is not None and refused in str(said))
