"""Signing adds who, when and until when; the network's bytes and thus what machines have learnt stay."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from edge_trainer.bundle import sign

from edge_agent.errors import BundleError, UsageError
from edge_agent.model import bundle
from edge_agent.model.bundle import MODEL
from edge_agent.model.signature import load_trust

ROOT = Path(__file__).parents[3]


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return sign.keygen(tmp_path / "keys" / "release.pem")


def test_a_signed_bundle_is_another_directory_with_the_same_network(
    tiny_bundle: Path, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    before = bundle.read(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    expires = datetime(2030, 1, 1, tzinfo=UTC)
    written = sign.run(before.path, keys=[keys[0]], counter=7, expires=expires)
    after = bundle.read(written, trust=load_trust([keys[1]], required=True))
    assert written.parent == before.path.parent
    assert written.name == f"tiny-{after.digest[:12]}"
    assert (after.model, after.encoder) == (before.model, before.encoder)
    assert after.digest != before.digest
    assert after.release == bundle.Release(counter=7, expires=expires)
    assert bundle.read(before.path).digest == before.digest
    again = sign.run(written, keys=[keys[0]], counter=8, to=tmp_path / "placed")
    assert again == tmp_path / "placed"
    assert bundle.read(again).release == bundle.Release(counter=8)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "keys", "placed", written.name]


def test_private_keys_are_for_their_owner_and_never_overwritten(keys: tuple[Path, Path]) -> None:
    private, public = keys
    assert private.stat().st_mode & 0o777 == 0o600
    content = private.read_bytes(), public.read_bytes()
    with pytest.raises(UsageError, match="never overwritten"):
        sign.keygen(private)
    assert (private.read_bytes(), public.read_bytes()) == content
    private.unlink()
    with pytest.raises(UsageError, match="never overwritten"):
        sign.keygen(private)
    assert not private.exists()


def test_a_passphrase_is_asked_of_the_key(tiny_bundle: Path, tmp_path: Path) -> None:
    path = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    private, _ = sign.keygen(tmp_path / "key.pem", passphrase=b"one two")
    assert b"ENCRYPTED" in private.read_bytes()
    for wrong in (None, b"three"):
        with pytest.raises(UsageError, match="passphrase"):
            sign.run(path, keys=[private], counter=1, passphrase=wrong)
    assert sign.run(path, keys=[private], counter=1, passphrase=b"one two").exists()


def test_a_damaged_bundle_is_not_signed(tiny_bundle: Path, tmp_path: Path, keys: tuple[Path, Path]) -> None:
    path = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (path / MODEL).write_bytes(b"x")
    with pytest.raises(BundleError):
        sign.run(path, keys=[keys[0]], counter=1)


def test_the_commands_lead_from_a_key_to_a_bundle_that_the_agent_takes(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    def run(*command: str | Path) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONPATH": f"{ROOT}:{ROOT}/trainer", "COLUMNS": "200"},
        )
        return done.stdout.strip()

    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    public = run("edge_trainer", "keygen", "release.pem")
    assert public == "release.pub"
    written = run("edge_trainer", "sign", "bundle", "--key", "release.pem", "--days", "30", "--to", "signed")
    assert written == "signed"
    (tmp_path / "agent.toml").write_text(
        f'[agent]\nstate_dir = "state"\n[model]\nbundle = "{written}"\ntrusted_keys = ["{public}"]\n'
    )
    said = run("edge_agent", "check", "-c", "agent.toml")
    assert "signed  by key " in said
    assert "good until" in said
