"""Export: onnxruntime answers as torch does, for any number of windows and channels; the bundle is whole."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from edge_trainer.bundle import export, placing
from edge_trainer.bundle.export import Identity
from edge_trainer.config import Config
from edge_trainer.network.network import ARCHITECTURES, Head, Network
from edge_trainer.training import finetune, pretrain

from edge_agent.detect.scorer import Scorer
from edge_agent.errors import TrainingError
from edge_agent.model import bundle

IDENTITY = Identity(name="m", version="1", created="2026-01-02", training={}, measures={}, card="# m\n")


@cache  # exporting takes seconds
def exported(architecture: str) -> bytes:
    return export.to_onnx(network(architecture))


def network(architecture: str, *, classes: int = 0) -> Network:
    torch.manual_seed(3)
    head = Head(channels=4, embedding_dim=32, classes=classes) if classes else None
    return Network(architecture=architecture, window_rows=128, embedding_dim=32, head=head).eval()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_onnx_answers_as_torch_for_other_numbers_of_windows_and_channels(architecture: str) -> None:
    model = network(architecture)
    session = ort.InferenceSession(exported(architecture), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for windows, channels in ((1, 1), (3, 64), (17, 2)):
        given = {
            "window": rng.normal(0, 3, (windows, channels, 128)).astype(np.float32),
            "observed": (rng.random((windows, channels, 128)) > 0.2).astype(np.float32),
            "location": rng.normal(0, 1, (windows, channels)).astype(np.float32),
            "scale": rng.uniform(0.1, 2, (windows, channels)).astype(np.float32),
        }
        embedding, reconstruction = session.run(["embedding", "reconstruction"], given)
        with torch.no_grad():
            expected = model(*(torch.from_numpy(array) for array in given.values()))
        np.testing.assert_allclose(embedding, expected.embedding.numpy(), atol=1e-4)
        np.testing.assert_allclose(reconstruction, expected.reconstruction.numpy(), atol=1e-4)


def test_a_head_adds_logits_and_fixes_the_channels(tmp_path: Path) -> None:
    path = export.write_bundle(
        tmp_path,
        network("conv", classes=3),
        replace(
            IDENTITY,
            channels=tuple(bundle.Channel(name) for name in "abcd"),
            labels=("normal", "x", "y"),
        ),
        seed=0,
    )
    read = bundle.read(path)
    assert read.golden.logits is not None
    assert read.golden.logits.shape == (6, 3)
    session = ort.InferenceSession(read.model, providers=["CPUExecutionProvider"])
    assert {node.name: node.shape[1:] for node in session.get_outputs()} == {
        "embedding": [4, 32],
        "reconstruction": [4, 128],
        "logits": [3],
    }


def test_the_agent_accepts_the_bundle_and_encodes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = exported("dense")
    monkeypatch.setattr(export, "to_onnx", lambda _: model)
    read = bundle.read(export.write_bundle(tmp_path, network("dense"), IDENTITY, seed=0))
    scorer = Scorer.load(read, provider="cpu")
    encoded = scorer.encode(
        np.zeros((2, 5, 128), np.float32), np.zeros(5, np.float32), np.ones(5, np.float32)
    )
    assert encoded.embedding.shape == (2, 5, 32)
    assert sum(entry.bytes for entry in read.manifest.files.values()) < export.LARGEST_BYTES


def test_golden_windows_hold_gaps_rests_and_outliers() -> None:
    golden = export.golden_answers(network("dense"), seed=0)
    deviation = (golden.window - golden.location[..., None]) / golden.scale[..., None]
    assert (golden.observed == 0).any()
    assert (golden.observed[2, 0] == 0).all()
    assert (np.abs(deviation[3]) < 1e-3).all()
    assert deviation[4].min() > 50


def test_a_graph_that_answers_otherwise_is_not_written() -> None:
    model = network("dense")
    golden = export.golden_answers(model, seed=0)
    raw = exported("dense")
    assert export.check_parity(raw, golden, tolerance=1e-4) <= 1e-4
    off = replace(golden, embedding=golden.embedding + np.float32(0.05))
    with pytest.raises(TrainingError, match="embedding is"):
        export.check_parity(raw, off, tolerance=1e-4)


def test_too_large_a_bundle_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = exported("dense")
    monkeypatch.setattr(export, "to_onnx", lambda _: raw)
    monkeypatch.setattr(export, "LARGEST_BYTES", 1000)
    with pytest.raises(TrainingError, match="the limit is 1000"):
        export.write_bundle(tmp_path, network("dense"), IDENTITY, seed=0)
    assert not list(tmp_path.iterdir())


def test_same_run_exports_the_same_bytes_with_a_card_that_tells_how(tiny: Config) -> None:
    pretrain.run(tiny)
    first = export.run(tiny)
    digest = bundle.read(first).digest
    first = export.run(tiny)
    assert bundle.read(first).digest == digest
    assert len(list((tiny.run.out / "bundle").iterdir())) == 1
    card = bundle.read(first).card
    for part in ("synthetic", "held_out_loss", "## Limits", "edge-trainer fit", "Seed 0", "Licence"):
        assert part in card


def test_the_fine_tuned_network_is_taken_where_there_is_one(tiny: Config) -> None:
    pretrain.run(tiny)
    finetune.run(tiny)
    manifest = bundle.read(export.run(tiny)).manifest
    assert manifest.labels == ("normal", "slipping", "hot")
    assert [channel.name for channel in manifest.channels] == ["speed", "pressure", "heat"]
    assert manifest.training["finetune"]["alpha"] == 1.0


def test_placing_replaces_a_bundle_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = exported("dense")  # before `to_onnx` is another: it may not have been exported yet
    monkeypatch.setattr(export, "to_onnx", lambda _: model)
    written = export.write_bundle(tmp_path, network("dense"), IDENTITY, seed=0)
    target = tmp_path / "shipped"
    for _ in range(2):
        assert bundle.read(placing.place(written, target)).digest == bundle.read(written).digest
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    with pytest.raises(TrainingError, match="holds no bundle"):
        placing.place(written, tmp_path / "other")
    assert (tmp_path / "other" / "thesis.txt").exists()


def test_export_before_training_says_what_to_do(tiny: Config) -> None:
    with pytest.raises(TrainingError, match="run the stage before first"):
        export.run(tiny)
    with pytest.raises(TrainingError, match="run the stage export first"):
        export.find_bundle(tiny.run.out)


def test_an_int8_bundle_is_smaller_near_the_full_one_and_accepted_by_the_agent(tmp_path: Path) -> None:
    model = network("conv_small")
    full = bundle.read(export.write_bundle(tmp_path / "full", model, IDENTITY, seed=0))
    small = bundle.read(export.write_bundle(tmp_path / "int8", model, IDENTITY, seed=0, int8=True))
    again = bundle.read(export.write_bundle(tmp_path / "again", model, IDENTITY, seed=0, int8=True))
    assert small.digest == again.digest
    assert len(small.model) < len(full.model)
    assert small.manifest.golden_tolerance > full.manifest.golden_tolerance
    rng = np.random.default_rng(0)
    windows = np.cumsum(rng.standard_normal((40, 3, 128)), axis=-1).astype(np.float32)
    place = np.zeros(3, np.float32), np.full(3, 10, np.float32)
    exact, rough = (Scorer.load(item, provider="cpu").encode(windows, *place) for item in (full, small))
    a, b = exact.embedding[..., :24].reshape(-1, 24), rough.embedding[..., :24].reshape(-1, 24)
    assert (a * b).sum(axis=1).min() > 0.98  # directions of length 1
    assert np.abs(exact.embedding[..., 24:] - rough.embedding[..., 24:]).max() < 1e-5  # the level stays exact
