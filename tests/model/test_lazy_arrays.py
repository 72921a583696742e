"""Large arrays of a profile are had from its file: the same numbers, whatever becomes of the file's name."""

import gc
import os
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_agent.errors import StateError
from edge_agent.model.arrays import encode_arrays, places
from edge_agent.model.lazy_arrays import LazyArrays
from edge_agent.records import Profile
from edge_agent.store.atomic_file import HeldFile, allow_open
from edge_agent.store.state_dir import StateDir
from tests.support.profiles import small_profile

LARGE, SMALL = np.arange(40_000, dtype=np.float32).reshape(200, 200), np.arange(3)
_FIRST_DESCRIPTOR = 1024


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateDir]:
    allow_open(64)
    store = StateDir(tmp_path)
    store.open()
    yield store
    store.close()


def lazy(**more: np.ndarray) -> Profile:
    memory = LazyArrays({"large": LARGE, "small": SMALL, "threshold": np.array([1.5]), **more})
    return small_profile("pump", memory=memory, channels=("a",))


def restored(store: StateDir) -> LazyArrays:
    (found,) = store.load(encoder="e1").profiles
    assert isinstance(found.memory, LazyArrays)
    return found.memory


def held_open() -> list[int]:
    gc.collect()
    return [
        number for path in Path("/proc/self/fd").iterdir() if (number := int(path.name)) >= _FIRST_DESCRIPTOR
    ]


def test_what_is_late_is_asked_for_when_it_is_read_and_not_before() -> None:
    asked = []

    def late() -> np.ndarray:
        asked.append(True)
        return LARGE

    memory = LazyArrays({"small": SMALL}).joined({"large": late})
    assert "large" in memory
    assert list(memory) == ["small", "large"]
    assert len(memory) == 2
    assert memory.held_bytes() == SMALL.nbytes
    assert LazyArrays(memory).joined({"other": SMALL}).keys() == {"small", "large", "other"}
    assert not asked
    assert memory["large"] is LARGE
    assert memory.get("large") is LARGE
    assert len(asked) == 2
    assert memory.get("none") is None


def test_a_restored_profile_holds_little_and_reads_the_same(store: StateDir) -> None:
    store.save_profile(lazy())
    memory = restored(store)
    assert memory.held_bytes() < 1000 < LARGE.nbytes
    np.testing.assert_array_equal(memory["large"], LARGE)
    assert memory["large"].dtype == LARGE.dtype
    np.testing.assert_array_equal(memory["small"], SMALL)


def test_what_was_learnt_is_let_go_once_it_is_saved(store: StateDir) -> None:
    learnt = lazy()
    assert isinstance(learnt.memory, LazyArrays)
    shared = learnt.memory
    assert shared.held_bytes() > LARGE.nbytes
    store.save_profile(learnt)
    assert shared.held_bytes() < 1000
    np.testing.assert_array_equal(shared["large"], LARGE)


@pytest.mark.parametrize("fate", ["removed", "moved aside", "written anew"])
def test_the_numbers_stay_whatever_becomes_of_the_files_name(store: StateDir, fate: str) -> None:
    path = store.save_profile(lazy())
    memory = restored(store)
    if fate == "removed":
        path.unlink()
    elif fate == "moved aside":
        store.forget_profile("pump")
    else:
        store.save_profile(lazy(large=LARGE + 1))
    np.testing.assert_array_equal(memory["large"], LARGE)
    store.save_profile(
        replace(lazy(), memory=memory.joined({"small": SMALL + 1}))
    )  # from a file that has gone
    np.testing.assert_array_equal(restored(store)["large"], LARGE)
    np.testing.assert_array_equal(restored(store)["small"], SMALL + 1)


@pytest.mark.parametrize("how", ["touched", "rewritten", "cut off", "other numbers", "old time"])
@pytest.mark.parametrize("generations", [1, 2])
def test_only_the_very_numbers_are_read_whatever_was_done_to_the_file(
    store: StateDir, how: str, generations: int
) -> None:
    path = store.save_profile(lazy())
    memory = restored(store)
    raw, before = path.read_bytes(), path.stat()
    at = raw.index(LARGE.tobytes()[:64])
    other = raw[:at] + b"abcd" + raw[at + 4 :]
    for file in (path, path.parent / "second" / path.name)[:generations]:
        if how == "touched":
            os.utime(file)
        else:
            file.write_bytes({"rewritten": raw, "cut off": raw[:1000]}.get(how, other))
        if how == "old time":
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    if how in {"touched", "rewritten"} or generations == 1:
        for _ in range(40):
            np.testing.assert_array_equal(memory["large"], LARGE)
        assert store.save_profile(replace(lazy(), memory=memory)).read_bytes() == raw
        return
    with pytest.raises(OSError, match="was altered"):
        memory["large"]
    with pytest.raises(StateError, match="was altered"):
        store.save_profile(replace(lazy(), memory=memory))


def test_numbers_that_rot_without_a_trace_are_noticed(
    store: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store.save_profile(lazy())
    memory = restored(store)
    np.testing.assert_array_equal(memory["large"], LARGE)
    raw = path.read_bytes()
    stamp = HeldFile(path).stamp()
    monkeypatch.setattr(HeldFile, "stamp", lambda _: stamp)
    at = raw.index(LARGE.tobytes()[:64])
    path.write_bytes(raw[:at] + b"abcd" + raw[at + 4 :])
    seen = [bool(np.array_equal(memory["large"], LARGE)) for _ in range(40)]
    assert all(seen[20:])  # from the second generation


def test_files_are_held_by_high_numbers_and_closed_with_the_last_who_reads(store: StateDir) -> None:
    before = held_open()
    store.save_profile(lazy())
    memory = restored(store)
    assert len(held_open()) == len(before) + 1
    joined = memory.joined({"small": SMALL})
    del memory
    np.testing.assert_array_equal(joined["large"], LARGE)
    del joined
    assert held_open() == before


@pytest.fixture
def no_high_numbers() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FIRST_DESCRIPTOR, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("no_high_numbers")
def test_where_no_file_may_be_held_open_the_arrays_are(tmp_path: Path) -> None:
    store = StateDir(tmp_path)
    store.open()
    path = store.save_profile(lazy())
    memory = restored(store)
    store.close()
    assert memory.held_bytes() > LARGE.nbytes
    path.unlink()
    np.testing.assert_array_equal(memory["large"], LARGE)


@pytest.mark.usefixtures("no_high_numbers")
def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    with pytest.raises(OSError):  # noqa: PT011 - Invalid argument or too many open files, by kernel
        HeldFile(tmp_path / "file")
    count = len(held_open()) + 3  # other tests of this process may still hold some
    allow_open(count)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == _FIRST_DESCRIPTOR + count
    assert HeldFile(tmp_path / "file").read(2, at=1) == b"bc"
    allow_open(1)  # never lowered
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == _FIRST_DESCRIPTOR + count


@pytest.mark.parametrize("make", [np.zeros, np.ones])
def test_places_are_those_of_large_arrays_in_c_order(make: Callable[..., np.ndarray]) -> None:
    arrays = {
        "text": np.array(["abc", "defg"]),
        "small": SMALL,
        "large": LARGE,
        "across": np.asfortranarray(LARGE),
        "codes": make((3, 700, 11), np.uint8),
    }
    raw = encode_arrays(arrays)
    found = places(raw, least_bytes=16_384)
    assert found.keys() == {"large", "codes"}
    for name, place in found.items():
        read = place.array(raw[place.offset_bytes : place.offset_bytes + place.size_bytes])
        np.testing.assert_array_equal(read, arrays[name])
        assert read.dtype == arrays[name].dtype
