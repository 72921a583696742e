"""A bundle is trusted whole or not at all: no altered byte, no path out of it, nothing unpickled."""

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.errors import BundleError
from edge_agent.model import arrays as arrays_file
from edge_agent.model import bundle
from edge_agent.model.bundle import CARD, GOLDEN, MANIFEST, MODEL


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_bundle, tmp_path / "copy")


def manifest(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / MANIFEST).read_text())
    return content


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = manifest(path)
    change(content)
    (path / MANIFEST).write_text(json.dumps(content))


def replace_file(path: Path, name: str, raw: bytes) -> None:
    """Another content with a manifest that vouches for it."""
    (path / name).write_bytes(raw)
    entry = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    rewrite(path, lambda content: content["files"].update({name: entry}))


def test_what_was_written_is_read_and_named_by_its_digest(tiny_bundle: Path) -> None:
    read = bundle.read(tiny_bundle)
    assert read.digest == hashlib.sha256((tiny_bundle / MANIFEST).read_bytes()).hexdigest()
    assert tiny_bundle.name == f"tiny-{read.digest[:12]}"
    assert read.model == (tiny_bundle / MODEL).read_bytes()
    assert read.golden.window.shape == (3, 2, read.manifest.window_rows)
    assert read.golden.window.dtype == np.float32
    assert (read.profile, read.golden.logits, read.card) == (None, None, "# tiny\n")


def test_the_same_content_gives_the_same_bytes(tiny_bundle: Path, tmp_path: Path) -> None:
    read = bundle.read(tiny_bundle)
    contents = {name: (tiny_bundle / name).read_bytes() for name in (MODEL, GOLDEN, CARD)}
    again = bundle.write(tmp_path, read.manifest, contents)
    assert again.name == tiny_bundle.name
    assert bundle.write(tmp_path, read.manifest, contents) == again  # in place of itself
    assert [entry.name for entry in tmp_path.iterdir()] == [again.name]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_no_altered_byte_is_accepted(copy: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([MODEL, GOLDEN, CARD]))
    path = copy / name
    raw = path.read_bytes()
    at = data.draw(st.integers(0, len(raw) - 1))
    path.write_bytes(raw[:at] + bytes([raw[at] ^ data.draw(st.integers(1, 255))]) + raw[at + 1 :])
    try:
        with pytest.raises(BundleError, match="altered") as caught:
            bundle.read(copy)
        assert caught.value.path == path
    finally:
        path.write_bytes(raw)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.data())
def test_an_altered_manifest_is_refused_or_is_another_bundle(
    copy: Path, tiny_bundle: Path, data: st.DataObject
) -> None:
    path = copy / MANIFEST
    raw = (tiny_bundle / MANIFEST).read_bytes()
    at = data.draw(st.integers(0, len(raw) - 1))
    path.write_bytes(raw[:at] + bytes([data.draw(st.integers(0, 255))]) + raw[at + 1 :])
    try:
        read = bundle.read(copy)
    except BundleError:
        return
    assert (read.digest == bundle.read(tiny_bundle).digest) == (path.read_bytes() == raw)


@pytest.mark.parametrize("name", [MODEL, GOLDEN, CARD, MANIFEST])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match="No such file") as caught:
        bundle.read(copy)
    assert caught.value.path == copy / name
    assert caught.value.exit_code == 3


def test_truncation_growth_and_links_are_refused(copy: Path, tmp_path: Path) -> None:
    model = copy / MODEL
    raw = model.read_bytes()
    model.write_bytes(raw[:-1])
    with pytest.raises(BundleError, match="truncated"):
        bundle.read(copy)
    model.write_bytes(raw + b"x")
    with pytest.raises(BundleError, match="larger"):
        bundle.read(copy)
    model.unlink()
    (tmp_path / "elsewhere").write_bytes(raw)
    model.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="symbolic link"):
        bundle.read(copy)


@pytest.mark.parametrize(("version", "word"), [(2, "newer"), (0, "older")])
def test_other_schema_versions_are_named_before_anything_else_is_read(
    copy: Path, version: int, word: str
) -> None:
    (copy / MANIFEST).write_text(json.dumps({"schema_version": version, "shape": "unheard of"}))
    with pytest.raises(BundleError, match=word):
        bundle.read(copy)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda content: content["files"].update({"../evil": {"bytes": 1, "sha256": ""}}), "unknown files"),
        (
            lambda content: content["files"].update({"/etc/passwd": {"bytes": 1, "sha256": ""}}),
            "unknown files",
        ),
        (lambda content: content["files"].pop(GOLDEN), "lists no golden"),
        (lambda content: content["files"][MODEL].update(bytes=2**40), "claims"),
        (lambda content: content["files"][MODEL].update(bytes="many"), "int"),
        (lambda content: content.update(extra=1), "unknown field"),
        (lambda content: content.pop("window_rows"), "window_rows"),
    ],
)
def test_manifests_that_claim_nonsense_are_refused(
    copy: Path, change: Callable[[dict[str, Any]], None], complaint: str
) -> None:
    rewrite(copy, change)
    with pytest.raises(BundleError, match=complaint):
        bundle.read(copy)


def test_pickles_are_never_loaded(copy: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return Path.touch, (tmp_path / "executed",)

    buffer = io.BytesIO()
    np.savez(buffer, window=np.array([Evil()], dtype=object))
    replace_file(copy, GOLDEN, buffer.getvalue())
    with pytest.raises(BundleError, match="array archive"):
        bundle.read(copy)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("arrays", [{}, {"window": np.zeros(1)}, {"surprise": np.zeros(1)}])
def test_golden_arrays_must_be_the_ones_that_are_needed(copy: Path, arrays: dict[str, Any]) -> None:
    replace_file(copy, GOLDEN, arrays_file.encode_arrays(arrays))
    with pytest.raises(BundleError, match="golden arrays"):
        bundle.read(copy)


def test_a_directory_that_cannot_be_written_is_an_error(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    read = bundle.read(tiny_bundle)
    with pytest.raises(BundleError, match="cannot be written"):
        bundle.write(tmp_path / "file", read.manifest, {MODEL: b"", GOLDEN: b"", CARD: b""})


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_archive(raw: bytes) -> None:
    with pytest.raises(BundleError):
        arrays_file.decode_arrays(Path("x"), raw)
