"""Pre-training: it learns, it repeats, it leaves what the next stages need."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from edge_trainer import config
from edge_trainer.config import Config
from edge_trainer.training import pretrain
from edge_trainer.training.loop import CHECKPOINT, load_network
from edge_trainer.training.objectives import NearTriplet

from edge_agent.errors import ConfigError, TrainingError


def changed(base: Config, **pretrain_settings: object) -> Config:
    section = base.pretrain.model_copy(update=pretrain_settings)
    return base.model_copy(update={"pretrain": section})


def test_two_runs_with_one_seed_give_the_same_weights(tiny: Config, tmp_path: Path) -> None:
    first, _ = load_network(pretrain.run(tiny))
    elsewhere = tiny.model_copy(update={"run": tiny.run.model_copy(update={"out": tmp_path / "again"})})
    second, _ = load_network(pretrain.run(elsewhere))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])


def test_training_lowers_the_held_out_loss(tiny: Config) -> None:
    longer = changed(tiny, steps=400, learning_rate=5e-3)
    pretrain.run(longer)
    state = torch.load(longer.run.out / "pretrain" / CHECKPOINT, weights_only=True)
    measures = [measure for _, measure in state["validations"]]
    assert measures[-1] < 0.8 * state["losses"][0]["total"]


def test_it_leaves_pictures_and_facts(tiny: Config) -> None:
    path = pretrain.run(tiny)
    for name in ("curves.png", "reconstructions.png", "embedding.png"):
        assert (path.parent / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    _, facts = load_network(path)
    assert facts["settings"]["pretrain"]["steps"] == 30
    assert facts["measures"]["steps"] == 30
    # 30 steps teach little, and a straight line over the gap is hard to beat: but both are errors, not zeros.
    assert 0.1 < facts["measures"]["held_out_hidden_rows_error_of_interpolation"] < 2
    assert 0.1 < facts["measures"]["held_out_hidden_rows_error"] < 2
    assert any("synthetic" in line for line in facts["data"])


def test_the_simulated_plant_can_be_the_only_source(tiny: Config) -> None:
    only = changed(
        tiny, recordings=(), synthetic_share=0.0, plant_share=1.0, plant_runs=2, plant_rows=400, steps=3
    )
    _, facts = load_network(pretrain.run(only))
    assert "pump" in facts["data"][0]


def test_nothing_to_train_on_is_said_at_once(tiny: Config) -> None:
    with pytest.raises(TrainingError, match="nothing to train on"):
        pretrain.run(changed(tiny, recordings=(), synthetic_share=0.0, plant_share=0.0))


def test_weights_of_the_objectives_come_from_the_settings(tiny: Config) -> None:
    parts = pretrain.weighted(changed(tiny, triplet_weight=0.7, triplet_margin=0.2).pretrain).parts
    assert parts["triplet"] == (0.7, NearTriplet(0.2))


def test_flags_win_over_the_file_and_faults_are_listed_together(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('[run]\nseed = 1\nname = "a"\n[pretrain]\nsteps = 10\n', encoding="utf-8")
    found = config.load(file, [("run.seed", 2)])
    assert (found.run.seed, found.run.name, found.pretrain.steps) == (2, "a", 10)
    with pytest.raises(ConfigError) as caught:
        config.load(file, [("pretrain.stepz", 1), ("run.seed", "x"), ("pretrain.architecture", "resnet")])
    assert {where for where, _ in caught.value.findings} == {
        "pretrain.stepz",
        "run.seed",
        "pretrain.architecture",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a.b=3", 3), ("a.b=[1, 2]", [1, 2]), ("a.b=plain text", "plain text"), ('a.b="x=y"', "x=y")],
)
def test_overrides_are_read_as_toml_or_text(text: str, expected: object) -> None:
    assert config.parse_override(text) == ("a.b", expected)


def test_override_without_value_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        config.parse_override("pretrain.steps")


def test_spectral_frames_of_vibration_are_learnt_by_the_same_encoder(tiny: Config) -> None:
    only = changed(
        tiny,
        recordings=(),
        synthetic_share=0.0,
        plant_share=0.0,
        vibration_share=1.0,
        vibration_runs=4,
        steps=2,
    )
    network, facts = load_network(pretrain.run(only))
    assert "vibration" in facts["data"][0]
    assert network.architecture == tiny.pretrain.architecture


def test_one_recording_more_is_another_run(tiny: Config, recordings: Path) -> None:
    pretrain.run(tiny)
    pretrain.run(tiny)  # nothing new: nothing to do
    told = json.loads((tiny.run.out / "pretrain" / "data_manifest.json").read_text())
    assert sorted(told["files"]) == ["normal_0.csv", "normal_1.csv", "normal_2.csv"]
    _, facts = load_network(tiny.run.out / "pretrain" / "network.pt")
    assert any(told["digest"] in line and "3 files" in line for line in facts["data"])
    shutil.copy(recordings / "calm.csv", recordings / "normal_3.csv")
    with pytest.raises(TrainingError, match="other recordings"):
        pretrain.run(tiny)


def test_a_recording_with_other_rows_is_another_recording(tiny: Config, recordings: Path) -> None:
    pretrain.run(tiny)
    before = (recordings / "normal_1.csv").read_text()
    (recordings / "normal_1.csv").write_text(before.replace("1", "2", 1))
    with pytest.raises(TrainingError, match="other recordings"):
        pretrain.run(tiny)
    (recordings / "normal_1.csv").write_text(before)
    pretrain.run(tiny)
