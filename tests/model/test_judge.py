"""The judge of a bundle: optional, vouched for like the rest, refused with a reason, and answering as was trained."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_agent.errors import BundleError
from edge_agent.model import bundle as bundles
from edge_agent.model import judge as judges
from edge_agent.model.arrays import encode_arrays
from edge_agent.model.bundle import MANIFEST
from edge_agent.model.session import ModelSession
from tests.support import tiny
from tests.support.tiny_judge import TinyJudge

JUDGE = TinyJudge(of_machine={"spe": 1.0})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tiny.bundle(tmp_path, judge=JUDGE)


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads((path / MANIFEST).read_bytes())
    change(content)
    (path / MANIFEST).write_bytes(json.dumps(content).encode())


def replace_golden(path: Path, **changes: np.ndarray) -> None:
    read = bundles.read(path)
    assert read.judge is not None
    raw = encode_arrays({**read.judge.golden._asdict(), **changes})
    contents = {name: (path / name).read_bytes() for name in read.manifest.files}
    contents[judges.GOLDEN] = raw
    (path / judges.GOLDEN).write_bytes(raw)
    (path / MANIFEST).write_bytes(bundles.with_files(read.manifest, contents))


def asked(n_windows: int, n_channels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    of_channel, of_machine = judges.WIDTHS
    present = rng.random((n_windows, n_channels)) < 0.7
    channels = rng.normal(size=(n_windows, n_channels, of_channel)).astype(np.float32)
    return channels, rng.normal(size=(n_windows, of_machine)).astype(np.float32), present


def test_a_bundle_without_a_judge_says_nothing_of_one(tiny_bundle: Path) -> None:
    assert bundles.read(tiny_bundle).judge is None
    assert "judge" not in json.loads((tiny_bundle / MANIFEST).read_bytes())


def test_the_judge_is_read_and_answers_any_number_of_windows_and_channels(path: Path) -> None:
    bundle = bundles.read(path)
    assert bundle.judge is not None
    assert bundle.judge.entry == JUDGE.entry()
    session = ModelSession.open(bundle, provider="cpu")
    for sizes in ((1, 1), (1, 8), (300, 5)):
        given = asked(*sizes)
        for answer, expected in zip(session.judge(*given), JUDGE.answer(*given), strict=True):
            np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-4)


def test_a_judge_that_starts_when_it_is_asked_says_the_same_and_starts_no_encoder(path: Path) -> None:
    bundle = bundles.read(path)
    early, late = (
        opened(bundle, provider="cpu") for opened in (ModelSession.open, ModelSession.open_when_asked)
    )
    for one, other in zip(early.judge(*asked(3, 2)), late.judge(*asked(3, 2)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert early.started
    assert not late.started


def test_who_asks_the_judge_alone_loads_no_runtime(path: Path) -> None:
    told = f"""
import sys
import numpy as np
from pathlib import Path
from edge_agent.model import bundle, judge
from edge_agent.model.session import ModelSession
session = ModelSession.open_when_asked(bundle.read(Path({str(path)!r})), provider="cpu")
of_channel, of_machine = judge.WIDTHS
session.judge(np.zeros((2, 3, of_channel), np.float32), np.zeros((2, of_machine), np.float32), np.ones((2, 3), bool))
sys.exit("onnxruntime" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", told], check=False).returncode == 0


def test_two_judges_are_told_apart_and_the_encoder_is_what_profiles_belong_to(tmp_path: Path) -> None:
    one, other = (
        bundles.read(tiny.bundle(tmp_path / str(bias), judge=TinyJudge(bias=bias))) for bias in (1.0, 2.0)
    )
    assert one.judge is not None
    assert other.judge is not None
    assert one.judge.identity != other.judge.identity
    assert one.encoder == other.encoder
    assert one.digest != other.digest


@pytest.mark.parametrize("name", sorted(judges.FILES))
def test_an_altered_or_missing_file_of_the_judge_is_refused(path: Path, name: str) -> None:
    raw = bytearray((path / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (path / name).write_bytes(raw)
    with pytest.raises(BundleError, match="altered"):
        bundles.read(path)
    (path / name).unlink()
    with pytest.raises(BundleError):
        bundles.read(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: content["judge"].update(features="2"), "features '2', this agent tells '1'"),
        (lambda content: content["judge"].update(descriptors=[0.0]), "10 descriptors"),
        (lambda content: content["judge"].update(descriptor_spread=[0.0] * 10), "> 0"),
        (lambda content: content["judge"].update(threshold="high"), "threshold"),
        (lambda content: content["judge"].update(more=1), "unknown field"),
        (lambda content: content.pop("judge"), "says nothing of it"),
        (lambda content: content["files"].pop(judges.MODEL), "lists no judge.onnx"),
        (lambda content: content["files"][judges.MODEL].update(bytes=2**30), "the limit"),
    ],
)
def test_a_manifest_that_does_not_fit_its_judge_is_refused(
    path: Path, change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    rewrite(path, change)
    with pytest.raises(BundleError, match=reason):
        bundles.read(path)


def test_golden_windows_must_fit_the_features(path: Path) -> None:
    replace_golden(path, machine=np.zeros((4, 3), np.float32))
    with pytest.raises(BundleError, match="do not fit 87 and 17 features"):
        bundles.read(path)


def test_a_judge_that_answers_otherwise_than_its_trainer_s_is_not_trusted(path: Path) -> None:
    read = bundles.read(path)
    assert read.judge is not None
    replace_golden(path, logit=read.judge.golden.logit + 1)
    for opened in (ModelSession.open, ModelSession.open_when_asked):
        with pytest.raises(BundleError, match="golden logit differs"):
            opened(bundles.read(path), provider="cpu")


def test_an_encoder_in_the_place_of_the_judge_is_refused(path: Path) -> None:
    bundle = bundles.read(path)
    assert bundle.judge is not None
    wrong = replace(bundle, judge=replace(bundle.judge, model=bundle.model))
    with pytest.raises(BundleError, match="has inputs"):
        ModelSession.open(wrong, provider="cpu")


def test_what_is_signed_holds_the_judge(path: Path) -> None:
    manifest = msgspec.json.decode((path / MANIFEST).read_bytes(), type=bundles.Manifest)
    assert manifest.files.keys() >= judges.FILES
    assert (
        bundles.with_files(manifest, {n: (path / n).read_bytes() for n in manifest.files})
        == (path / MANIFEST).read_bytes()
    )
