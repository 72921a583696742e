"""Fine-tuning: what cannot work is said before training, what can learns, nothing held out is trained on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from edge_trainer.config import Config
from edge_trainer.data import labelled_windows
from edge_trainer.training import finetune, pretrain
from edge_trainer.training.loop import CHECKPOINT, load_network

from edge_agent.errors import TrainingError
from edge_agent.recordings.tables import Recording

NAMES = {1: "slipping", 2: "hot"}


def run_of(
    fault: int, *, rows: int = 100, name: str = "r", channels: tuple[str, ...] = ("a", "b")
) -> Recording:
    """Row r of the run holds r in channel a: a value tells its row."""
    values = np.stack([np.arange(rows), np.random.default_rng(abs(fault)).normal(size=rows)], axis=1)
    label = np.full(rows, fault, np.int16)
    return Recording(f"{name}{fault}", channels, None, values.astype(np.float32), label)


def prepare(runs: list[Recording], names: dict[int, str] | None = None) -> labelled_windows.Labelled:
    return labelled_windows.prepare(
        runs, NAMES if names is None else names, window_rows=32, held_out_share=0.34, seed=0
    )


def changed(base: Config, **settings: object) -> Config:
    return base.model_copy(update={"finetune": base.finetune.model_copy(update=settings)})


@pytest.mark.parametrize(
    ("runs", "names", "reason"),
    [
        ([], NAMES, "no recording"),
        ([replace(run_of(0), label=None), run_of(1)], NAMES, "no column label in r0"),
        ([run_of(1), run_of(1)], NAMES, "one class only: label 1"),
        ([run_of(1), run_of(2)], NAMES, "no normal operation"),
        ([run_of(0), run_of(1), run_of(2)], {1: "slipping"}, "labels without a name: 2"),
        ([run_of(0), run_of(-1)], NAMES, r"labels below 0: \[-1\]"),
        ([run_of(0), run_of(1, channels=("a", "c"))], NAMES, "differ in channels: b, c"),
        ([run_of(0), run_of(1, channels=("b", "a"))], NAMES, "their order"),
        ([run_of(0), run_of(1, rows=20)], NAMES, "no window of 32 rows to train on for: slipping"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(
    runs: list[Recording], names: dict[int, str], reason: str
) -> None:
    with pytest.raises(TrainingError, match=reason):
        prepare(runs, names)


def test_the_stage_refuses_before_it_trains(tiny: Config) -> None:
    pretrain.run(tiny)
    with pytest.raises(TrainingError, match="labels without a name: 2"):
        finetune.run(changed(tiny, names={1: "slipping"}))
    assert not (tiny.run.out / "finetune").exists()


def test_runs_of_a_fault_are_held_out_whole() -> None:
    runs = [run_of(fault, name=f"{fault}{number}") for fault in (0, 1, 2) for number in range(3)]
    found = prepare(runs)
    assert not set(found.training.run) & set(found.held_out.run)
    assert set(found.held_out.target) == {0, 1, 2}
    assert found.split_in_time == ()


def test_a_single_run_is_split_in_time_and_no_row_is_shared() -> None:
    found = prepare([run_of(0, rows=300), run_of(1, rows=300)])
    assert found.split_in_time == ("r0", "r1")
    for run in (0, 1):
        last_trained = found.training.end[found.training.run == run].max()
        first_held_out = found.held_out.end[found.held_out.run == run].min() - 32
        assert first_held_out >= last_trained


def test_a_window_has_the_class_of_its_last_row() -> None:
    label = np.zeros(200, np.int16)
    label[120:] = 2
    run = replace(run_of(0, rows=200), label=label)
    found = prepare([run, run_of(0, rows=200, name="x")])
    both = np.concatenate([found.training.target, found.held_out.target])
    ends = np.concatenate([found.training.end, found.held_out.end])
    runs = np.concatenate([found.training.run, found.held_out.run])
    assert found.names == ("normal", "hot")
    np.testing.assert_array_equal(both[runs == 0], (ends[runs == 0] - 1 >= 120).astype(int))


def test_drawn_windows_of_a_fresh_fault_begin_with_normal_rows() -> None:
    faulty = run_of(1, rows=300)
    faulty = replace(faulty, values=faulty.values + np.float32(5000))
    found = prepare([run_of(0, rows=300), faulty])
    batch = labelled_windows.draw(
        found, count=200, window_rows=32, onset_share=1.0, rng=np.random.default_rng(0)
    )
    is_faulty = batch.label.numpy() == 1
    rows = batch.window[:, 0].numpy()
    assert (rows[is_faulty, 0] < 5000).all()
    assert (rows[is_faulty, -4:] >= 5000).all()
    assert (rows[~is_faulty] < 5000).all()
    never = labelled_windows.draw(
        found, count=200, window_rows=32, onset_share=0.0, rng=np.random.default_rng(0)
    )
    assert (never.window[never.label == 1, 0] >= 5000).all()


def test_location_and_scale_come_from_normal_rows() -> None:
    found = prepare(
        [run_of(0, rows=301), replace(run_of(1, rows=300), values=run_of(1, rows=300).values + 1e6)]
    )
    assert found.location[0] == 150


def test_class_weights_make_every_class_count_alike() -> None:
    target = np.array([0] * 90 + [1] * 9 + [2])
    weights = finetune.class_weights(target, classes=4).numpy()
    totals = weights[:3] * np.bincount(target)
    np.testing.assert_allclose(totals, totals[0], rtol=1e-6)
    assert weights[target].mean() == pytest.approx(1.0)


def test_the_head_learns_to_tell_the_faults(tiny: Config) -> None:
    pretrain.run(tiny)
    network, facts = load_network(finetune.run(tiny))
    assert facts["labels"] == ["normal", "slipping", "hot"]
    assert facts["channels"] == ["speed", "pressure", "heat"]
    assert facts["measures"]["finetune_held_out_accuracy"] > 0.9
    assert network.head is not None


def test_a_frozen_encoder_keeps_every_number(tiny: Config) -> None:
    convolutional = tiny.model_copy(
        update={"pretrain": tiny.pretrain.model_copy(update={"architecture": "conv", "steps": 3})}
    )
    before, _ = load_network(pretrain.run(convolutional))
    after, _ = load_network(
        finetune.run(changed(convolutional, freeze_encoder=True, steps=6, validate_steps=3))
    )
    for name, value in before.encoder.state_dict().items():  # batch statistics included
        assert torch.equal(value, after.encoder.state_dict()[name]), name


def test_without_freezing_the_encoder_moves_and_alpha_matters(tiny: Config) -> None:
    before, _ = load_network(pretrain.run(tiny))
    moved = []
    for alpha in (0.0, 5.0):
        (tiny.run.out / "finetune" / CHECKPOINT).unlink(missing_ok=True)
        after, _ = load_network(finetune.run(changed(tiny, alpha=alpha, steps=20)))
        moved.append(after.encoder.state_dict()["hidden.weight"])
    assert not torch.equal(moved[0], before.encoder.state_dict()["hidden.weight"])
    assert not torch.equal(moved[0], moved[1])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.csv", "label,name\n1,slipping\n2,hot\n"),
        ("names.toml", '[names]\n1 = "slipping"\n2 = "hot"\n'),
    ],
)
def test_names_are_read_from_csv_and_toml(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert labelled_windows.read_names(path) == NAMES


@pytest.mark.parametrize("text", ["label,title\n1,x\n", "label,name\none,x\n"])
def test_a_broken_table_of_names_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "names.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TrainingError, match="no table of label and name"):
        labelled_windows.read_names(path)
