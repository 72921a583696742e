"""Signatures are what everybody calls Ed25519 over the manifest's bytes, and one of a trusted key is enough."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_agent.errors import BundleError, UsageError
from edge_agent.model import bundle, signature
from edge_agent.model.bundle import MANIFEST
from edge_agent.model.signature import SIGNATURE, load_trust
from tests.support import tampering
from tests.support.missing import missing


@pytest.fixture
def signed(tiny_bundle: Path, tmp_path: Path) -> Path:
    return tampering.sign(shutil.copytree(tiny_bundle, tmp_path / "signed"))


def test_openssl_agrees(signed: Path, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        missing("openssl is missing: apt install openssl")
    tampering.public_key(tmp_path / "key.pub")
    entry = json.loads((signed / SIGNATURE).read_bytes())["signatures"][0]
    (tmp_path / "raw").write_bytes(base64.b64decode(entry["signature"]))
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pub", "-rawin", "-sigfile", "raw"]
    good = subprocess.run([*verify, "-in", signed / MANIFEST], cwd=tmp_path, check=False, capture_output=True)
    assert b"Signature Verified Successfully" in good.stdout
    bad = subprocess.run([*verify, "-in", signed / SIGNATURE], cwd=tmp_path, check=False, capture_output=True)
    assert bad.returncode != 0


def test_while_keys_are_exchanged_both_sides_may_go_first(signed: Path, tmp_path: Path) -> None:
    """Old and new gateways take a bundle with both signatures; a gateway with both keys takes either bundle."""
    raw = (signed / MANIFEST).read_bytes()
    old, new = (tampering.public_key(tmp_path / f"{n}.pub", n) for n in (1, 2))
    one_key = {number: load_trust([file], required=True) for number, file in ((1, old), (2, new))}
    both_keys = load_trust([old, new], required=True)
    (signed / SIGNATURE).write_bytes(signature.sign(raw, [tampering.key(1), tampering.key(2)]))
    assert bundle.read(signed, trust=one_key[1]).signed_by != bundle.read(signed, trust=one_key[2]).signed_by
    for number, other in ((1, 2), (2, 1)):
        (signed / SIGNATURE).write_bytes(signature.sign(raw, [tampering.key(number)]))
        assert bundle.read(signed, trust=both_keys).signed_by
        with pytest.raises(BundleError, match="no trusted key"):
            bundle.read(signed, trust=one_key[other])


def test_where_no_signature_is_required_a_wrong_one_is_refused_all_the_same(
    signed: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    trust = load_trust([tampering.public_key(tmp_path / "key.pub")], required=False)
    assert bundle.read(signed, trust=trust).signed_by
    assert bundle.read(tiny_bundle, trust=trust).signed_by is None
    (signed / MANIFEST).write_bytes((signed / MANIFEST).read_bytes() + b" ")
    with pytest.raises(BundleError, match="does not fit"):
        bundle.read(signed, trust=trust)


def test_without_keys_a_signature_is_read_and_not_checked(signed: Path) -> None:
    raw = (signed / SIGNATURE).read_bytes()
    (signed / SIGNATURE).write_bytes(signature.sign(b"something else", [tampering.key(9)]))
    assert bundle.read(signed).signed_by is None
    (signed / SIGNATURE).write_bytes(raw[:-5])
    with pytest.raises(BundleError, match="not a signature file"):
        bundle.read(signed)


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n"])
def test_files_that_hold_no_key_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key.pub").write_bytes(content)
    with pytest.raises(UsageError, match=r"key\.pub"):
        load_trust([tmp_path / "key.pub"], required=True)


def test_keys_of_another_kind_are_refused(tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "X25519", "-out", "private"], cwd=tmp_path, check=True
    )
    subprocess.run(["openssl", "pkey", "-in", "private", "-pubout", "-out", "pub"], cwd=tmp_path, check=True)
    with pytest.raises(UsageError, match="not an Ed25519 key"):
        load_trust([tmp_path / "pub"], required=True)
