"""An older release is not put back, and a broken memory of releases does not stop the watch."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from edge_agent.config.file import Config
from edge_agent.errors import BundleError, StateError, UsageError
from edge_agent.model import bundle
from edge_agent.model.bundle import CARD, Bundle
from edge_agent.model.rollback import FILE, Counters
from edge_agent.model.signature import load_trust
from edge_agent.service.reload import warn_of_age
from edge_agent.service.wiring import load_bundle, load_scorer, vouched
from tests.support import tampering

NOW = datetime(2026, 11, 23, tzinfo=UTC)
Release = Callable[[int], Bundle]


@pytest.fixture
def release(tiny_bundle: Path, tmp_path: Path) -> Release:
    trust = load_trust([tampering.public_key(tmp_path / "key.pub")], required=True)

    def make(counter: int) -> Bundle:
        path = shutil.copytree(tiny_bundle, tmp_path / f"release-{counter}", dirs_exist_ok=True)
        (path / CARD).write_text(str(counter))
        return bundle.read(tampering.sign(path, counter=counter), trust=trust)

    return make


def test_only_the_same_or_a_later_release_follows(tmp_path: Path, release: Release) -> None:
    counters = Counters(tmp_path)
    old, new = release(5), release(6)
    for known in (old, new):
        counters.check(known)
        counters.remember(known)
    counters.check(new)
    with pytest.raises(BundleError, match="older than what has run here: counter 5, after 6"):
        counters.check(old)
    with pytest.raises(BundleError, match="older"):
        Counters(tmp_path).check(old)  # after a restart too


def test_what_nobody_vouches_for_is_neither_checked_nor_remembered(
    tmp_path: Path, release: Release, tiny_bundle: Path
) -> None:
    counters = Counters(tmp_path)
    unsigned = bundle.read(release(2**60).path)
    counters.remember(unsigned)
    counters.remember(bundle.read(tiny_bundle))
    assert not (tmp_path / FILE).exists()
    counters.remember(release(7))
    counters.check(bundle.read(tiny_bundle))


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"schema_version": 1, "seen": 3}'])
def test_a_damaged_memory_is_reported_and_written_anew(
    tmp_path: Path, release: Release, content: bytes
) -> None:
    (tmp_path / FILE).write_bytes(content)
    counters, known = Counters(tmp_path), release(5)
    with structlog.testing.capture_logs() as said:
        counters.check(known)
    assert [entry["event"] for entry in said] == ["bundle_counters_unreadable"]
    counters.remember(known)
    with pytest.raises(BundleError):
        counters.check(release(4))


def test_a_state_directory_that_cannot_be_written_is_an_error_with_its_path(
    tmp_path: Path, release: Release
) -> None:
    with pytest.raises(StateError) as caught:
        Counters(tmp_path / "absent").remember(release(5))
    assert caught.value.path == tmp_path / "absent" / FILE


def test_an_expired_bundle_runs_with_a_warning(tiny_bundle: Path, tmp_path: Path) -> None:
    path = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    tampering.sign(path, expires=NOW)
    key = tampering.public_key(tmp_path / "key.pub")
    config = Config.model_validate({"model": {"bundle": path, "trusted_keys": [key]}})
    loaded = load_scorer(config).bundle
    for now, warnings in ((NOW - timedelta(days=1), 0), (NOW, 1)):
        with structlog.testing.capture_logs() as said:
            warn_of_age(loaded, now=now)
        assert [entry["event"] for entry in said] == ["bundle_expired"] * warnings
        assert ("EXPIRED" in vouched(loaded, now=now)) == bool(warnings)


@pytest.mark.parametrize("signed", [True, False])
def test_an_expired_bundle_is_refused_where_the_configuration_says_so(
    tiny_bundle: Path, tmp_path: Path, *, signed: bool
) -> None:
    path = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    tampering.sign(path, expires=NOW)
    keys = [tampering.public_key(tmp_path / "key.pub")] if signed else []
    model = {"bundle": path, "trusted_keys": keys, "expired": "refuse"}
    config = Config.model_validate({"model": model})
    assert load_bundle(config, now=NOW - timedelta(seconds=1)).path == path
    with pytest.raises(BundleError, match="expired 2026-11-23T00:00Z"):
        load_bundle(config, now=NOW)
    warned = Config.model_validate({"model": model | {"expired": "warn"}})
    assert load_bundle(warned, now=NOW).path == path


def test_the_bundle_that_comes_with_the_agent_needs_no_signature(tmp_path: Path) -> None:
    key = tampering.public_key(tmp_path / "key.pub")
    shipped = Config.model_validate({"model": {"trusted_keys": [key]}})
    assert load_scorer(shipped).bundle.signed_by is None
    copy = shutil.copytree(shipped.model.path, tmp_path / "copy")
    named = Config.model_validate({"model": {"trusted_keys": [key], "bundle": copy}})
    with pytest.raises(BundleError, match="not signed"):
        load_scorer(named)
    key.write_text("no key")
    with pytest.raises(UsageError):
        load_scorer(named)
