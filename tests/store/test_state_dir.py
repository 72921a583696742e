"""State survives restarts whole or is set aside; nothing half-written is ever read."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.errors import StateError
from edge_agent.model import profile as profiles
from edge_agent.records import Profile
from edge_agent.store.state_dir import StateDir
from tests.support.profiles import small_profile


def banked(machine: str = "pump-1", encoder: str = "e1") -> Profile:
    bank = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    return small_profile(
        machine, memory={"threshold": np.asarray(np.float32(1.5)), "bank": bank}, encoder=encoder
    )


def second_of(path: Path) -> Path:
    """The second generation of a profile's file."""
    return path.parent / "second" / path.name


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateDir]:
    store = StateDir(tmp_path / "state")
    store.open()
    yield store
    store.close()


def test_what_was_saved_comes_back(store: StateDir) -> None:
    names = ["pump-1", "Pumpe 1/ä", "..", "x" * 120]
    for name in names:
        store.save_profile(banked(name))
    store.save_profile(replace(banked("pump-1"), rows=200))  # learnt again
    loaded = store.load(encoder="e1")
    assert sorted(found.machine for found in loaded.profiles) == sorted(names)
    assert next(found for found in loaded.profiles if found.machine == "pump-1").rows == 200
    for found in loaded.profiles:
        np.testing.assert_array_equal(found.memory["bank"], banked().memory["bank"])
        assert found.threshold == 1.5
    assert loaded.set_aside == ()


def test_rows_that_an_older_agent_kept_to_learn_again_from_are_forgotten(store: StateDir) -> None:
    before = banked("pump-1")
    rows = np.ones((400, 2), np.float32)
    store.save_profile(
        replace(before, memory={**before.memory, "settle_base": rows, "settle_stage": np.array(2)})
    )
    (found,) = store.load(encoder="e1").profiles
    assert set(found.memory) == set(before.memory)


def test_files_stay_inside_the_state_directory(store: StateDir, tmp_path: Path) -> None:
    path = store.save_profile(banked("../../escape"))
    assert path.parent == tmp_path / "state" / "profiles"


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_a_damaged_profile_is_set_aside_and_the_others_are_used(store: StateDir, damage: str) -> None:
    path = store.save_profile(banked("pump-1"))
    store.save_profile(banked("pump-2"))
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2
    path.write_bytes(
        {
            "truncated": bytes(raw[:middle]),
            "empty": b"",
            "text": b"hello",
        }[damage]
    )
    second_of(path).unlink()
    loaded = store.load(encoder="e1")
    assert [found.machine for found in loaded.profiles] == ["pump-2"]
    assert len(loaded.set_aside) == 1
    assert loaded.set_aside[0].path.exists()
    assert not path.exists()
    assert store.load(encoder="e1").set_aside == ()  # reported once


def test_a_flipped_byte_never_changes_what_is_read(store: StateDir) -> None:
    path = store.save_profile(banked())
    raw = path.read_bytes()
    for at in range(0, len(raw), 7):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 0xFF]) + raw[at + 1 :])
        for found in store.load(encoder="e1").profiles:  # a byte that zip does not use may pass
            assert found.machine == "pump-1"
            np.testing.assert_array_equal(found.memory["bank"], banked().memory["bank"])


def test_a_second_damaged_file_does_not_overwrite_the_first(store: StateDir) -> None:
    for content in (b"one", b"two"):
        store.save_profile(banked()).write_bytes(content)
        second_of(next((store.path("profiles")).glob("*.npz"))).unlink()
        aside = store.load(encoder="e1").set_aside[0]
        assert aside.path.read_bytes() == content


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "gone"])
def test_what_one_generation_has_lost_is_read_from_the_other_and_written_again(
    store: StateDir, damage: str
) -> None:
    path = store.save_profile(banked("pump-1"))
    raw = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"truncated": raw[:200], "empty": b"", "text": b"hello"}[damage])
    loaded = store.load(encoder="e1")
    assert [found.machine for found in loaded.profiles] == ["pump-1"]
    assert len(loaded.set_aside) == (damage != "gone")
    assert store.is_whole(loaded.profiles[0]), "what was lost is there again with the start"
    store.save_profile(loaded.profiles[0])
    assert path.read_bytes() == raw == second_of(path).read_bytes()
    assert store.is_whole(loaded.profiles[0])


def test_a_file_that_was_only_touched_is_whole_and_an_altered_one_is_not(store: StateDir) -> None:
    path = store.save_profile(banked())
    for other in (path, second_of(path)):
        os.utime(other)
        assert store.is_whole(banked())
        other.write_bytes(raw := other.read_bytes())  # rewritten as it was
        assert store.is_whole(banked())
        other.write_bytes(raw[:-1])
        assert not store.is_whole(banked())
        store.save_profile(banked())
        other.unlink()
        assert not store.is_whole(banked())
        store.save_profile(banked())


def test_a_profile_of_another_network_stays_where_it_is_and_is_found_again(store: StateDir) -> None:
    path = store.save_profile(banked(encoder="old"))
    raw = path.read_bytes()
    loaded = store.load(encoder="new")
    assert loaded.profiles == ()
    assert loaded.set_aside == ()
    refused = loaded.why_not("pump-1")
    assert refused is not None
    assert (refused.why, path.read_bytes()) == ("other network", raw)
    own = store.save_profile(replace(banked(encoder="new"), rows=200))
    assert own != path
    assert path.read_bytes() == raw
    assert [found.rows for found in store.load(encoder="new").profiles] == [200]
    assert [found.rows for found in store.load(encoder="old").profiles] == [100]


def test_a_profile_that_no_alarm_needs_the_network_for_is_used_with_any(store: StateDir) -> None:
    weights = np.zeros((4, len(ENSEMBLE.names)), np.float32)
    weights[0, ENSEMBLE.names.index("jump")] = 1.0
    deaf = banked("deaf")
    store.save_profile(replace(deaf, memory={**deaf.memory, "weights": weights}))
    hearing = weights.copy()
    hearing[0, ENSEMBLE.names.index("reconstruction")] = 1.0
    store.save_profile(replace(banked("hearing"), memory={**deaf.memory, "weights": hearing}))
    assert store.load(encoder="e2").profiles == ()
    loaded = store.load(encoder="e2", any_network=True)
    assert [found.machine for found in loaded.profiles] == ["deaf"]
    assert loaded.why_not("deaf") is None
    assert loaded.why_not("hearing") is not None


def test_a_profile_of_a_newer_version_stays_where_it_is(
    store: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as later:
        later.setattr(profiles, "_SCHEMA_VERSION", 99)
        path = store.save_profile(banked())
    raw = path.read_bytes()
    loaded = store.load(encoder="e1")
    refused = loaded.why_not("pump-1")
    assert refused is not None
    assert (loaded.profiles, loaded.set_aside, refused.why) == ((), (), "newer")
    store.save_profile(replace(banked(), rows=200))
    store.forget_profile("pump-1")  # ours alone
    assert path.read_bytes() == raw
    assert store.load(encoder="e1").profiles == ()


def test_what_was_forgotten_on_purpose_does_not_come_back(store: StateDir) -> None:
    path = store.save_profile(banked())
    store.forget_profile("pump-1")
    assert store.load(encoder="e1").profiles == ()
    assert path.with_name(f"{path.name}.forgotten-1").exists()
    assert store.find_aside("pump-1", wanted=lambda _: True) is None


def test_what_was_set_aside_is_found_where_it_is_wanted(store: StateDir) -> None:
    path = store.save_profile(banked())
    path.rename(f"{path}.aside-1")  # as agents before did with what was of another version
    found = store.find_aside("pump-1", wanted=lambda profile: profile.rows == 100)
    assert found is not None
    assert found.rows == 100
    assert store.find_aside("pump-1", wanted=lambda profile: profile.rows == 7) is None


def test_an_interrupted_write_leaves_the_old_file(store: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store.save_profile(banked())
    before = path.read_bytes()

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StateError, match="No space left"):
        store.save_profile(replace(banked(), rows=999))
    assert path.read_bytes() == before
    assert [found.rows for found in store.load(encoder="e1").profiles] == [100]


def test_one_directory_has_one_agent(store: StateDir, tmp_path: Path) -> None:
    second = StateDir(tmp_path / "state")
    with pytest.raises(StateError, match="another agent"):
        second.open()
    store.close()
    second.open()
    second.close()


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError):
        StateDir(tmp_path / "file" / "state").open()


def test_what_is_learnt_of_a_plant_is_nobody_elses_business(tmp_path: Path) -> None:
    store = StateDir(tmp_path / "deep" / "state")
    store.open()
    store.close()
    found = [tmp_path / "deep" / "state", tmp_path / "deep" / "state" / "profiles"]
    assert [path.stat().st_mode & 0o777 for path in found] == [0o700, 0o700]
