"""Today's agent takes over what five earlier commits left on disk, and leaves there what each of them reads again."""

import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_agent.model import profile as profiles
from edge_agent.model.arrays import encode_arrays
from edge_agent.store import fault_library
from tests.golden.drive import live
from tests.golden.stage import Moment, Sent
from tests.golden.versions.record import COMMITS, FIXTURES
from tests.golden.versions.story import (
    ACKNOWLEDGED,
    BY,
    COMMENT,
    FAULT,
    LABELLED,
    LEARN_ROWS,
    MACHINES,
    SHELVED,
)

_CONFIG = f"""
[agent]
name = "hall"
state_dir = "state"
[broker]
longest_wait_s = 0
[metrics]
port = 0
[commission]
rows = {LEARN_ROWS}
"""
SECOND = 1_000_000_000


@pytest.fixture(params=COMMITS)
def commit(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def facts(commit: str) -> dict[str, Any]:
    return dict(json.loads((FIXTURES / f"{commit}.json").read_text()))


@pytest.fixture
def written(commit: str, tmp_path: Path) -> Path:
    """The state directory as that agent left it; a copy that nothing touches lies beside it."""
    with tarfile.open(FIXTURES / f"{commit}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    shutil.copytree(tmp_path / "state", tmp_path / "as written")
    return tmp_path / "state"


def today(
    state: Path, facts: dict[str, Any], *, later_s: int, commands: tuple[Sent, ...] = ()
) -> list[dict[str, Any]]:
    """Three seconds of today's agent, so long after the earlier one ended: all that it said."""
    config = state.parent / "agent.toml"
    config.write_text(_CONFIG)
    begin_ns = (facts["ended_s"] + later_s) * SECOND
    moments = [Moment(begin_ns), Moment(begin_ns + SECOND, commands), Moment(begin_ns + 3 * SECOND)]
    return [json.loads(line) for line in live(config, moments).told]


def check(told: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    """All machines are watched, and both alarms are open under their ids, with what people said of them."""
    said = [one["payload"] for one in told if one["topic"] == "agents/hall/status"]
    machines = [status["machines"] for status in said if status["state"] == "online"][-1]
    assert {name: machine["state"] for name, machine in machines.items()} == dict.fromkeys(MACHINES, "ready")
    alerts = alarms_told(told)
    assert closed_of(alerts, facts) == []
    latest = {one["machine"]: one for one in alerts if one["state"] == "open"}
    assert {name: one["id"] for name, one in latest.items()} == facts["open"]
    seen = latest[ACKNOWLEDGED]["lifecycle"]["acknowledged"]
    assert (seen["by"], seen["comment"]) == (BY, COMMENT)
    assert latest[SHELVED]["lifecycle"]["shelved"]["by"] == BY


def alarms_told(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Alerts about machines, not about what watches them; those of earlier agents have no kind."""
    alerts = [one["payload"] for one in told if one["topic"].startswith("alerts/") and one["payload"]]
    return [one for one in alerts if one.get("kind", "machine") == "machine"]


def closed_of(alerts: list[dict[str, Any]], facts: dict[str, Any]) -> list[str]:
    """Which of the alarms that were open were told closed: of no machine was calm seen."""
    return [one["id"] for one in alerts if one["state"] == "closed" and one["id"] in facts["open"].values()]


def labelled(state: Path) -> list[tuple[str, str]]:
    """(machine, fault) of every named alarm."""
    libraries, aside = fault_library.load(state)
    assert aside == ()
    return [(library.machine, case.fault) for library in libraries for case in library.cases]


def bytes_of(folder: Path, *patterns: str) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for one in patterns for path in folder.glob(one)}


def test_all_is_taken_over(written: Path, facts: dict[str, Any]) -> None:
    check(today(written, facts, later_s=10), facts)
    assert labelled(written) == [(LABELLED, FAULT)]


def test_the_earlier_agent_finds_its_files_to_the_byte(written: Path, facts: dict[str, Any]) -> None:
    before = bytes_of(written, "profiles/*.npz", "faults/*.npz")
    assert len(before) == len(MACHINES) + 1
    today(written, facts, later_s=10)
    after = bytes_of(written, "profiles/*.npz", "faults/*.npz")
    assert {name: after.get(name) for name in before} == before
    added = {name: profiles.version_of(raw) for name, raw in after.items() if name not in before}
    assert set(added.values()) <= {profiles.SCHEMA_VERSION}
    assert list(written.rglob("*aside*")) == []


def test_what_is_named_today_is_written_as_the_earlier_agent_reads_it(written: Path) -> None:
    """Its header knew three words of a case and refused all others."""
    (file,) = (written / "faults").glob("*.npz")
    (library,), _ = fault_library.load(written)
    fault_library.save(written, library)
    with np.load(file) as arrays:
        header = json.loads(arrays["__header__"].tobytes())
        assert [set(case) for case in header["cases"]] == [{"alarm", "fault", "channels"}]
        assert arrays["0"].shape == library.cases[0].windows.shape
    ((again,), _) = fault_library.load(written)
    assert [(case.start_ns, case.end_ns) for case in again.cases] == [
        (case.start_ns, case.end_ns) for case in library.cases
    ]


def test_after_the_earlier_agent_in_between_all_is_there_again(written: Path, facts: dict[str, Any]) -> None:
    """It renames what it cannot read. That is played here; the fault suite lets it run."""
    today(written, facts, later_s=10)
    own = bytes_of(written.parent / "as written", "profiles/*.npz", "faults/*.npz")
    for name in bytes_of(written, "profiles/*.npz", "faults/*.npz").keys() - own.keys():
        (written / name).rename(written / f"{name}.aside-1")
    check(today(written, facts, later_s=600), facts)
    assert labelled(written) == [(LABELLED, FAULT)]


def test_what_an_earlier_agent_set_aside_of_named_alarms_is_found(written: Path) -> None:
    (file,) = (written / "faults").glob("*.npz")
    file.rename(file.with_name(f"{file.name}.aside-1"))
    assert labelled(written) == [(LABELLED, FAULT)]
    ((library,), _) = fault_library.load(written)
    fault_library.save(written, library)
    assert labelled(written) == [(LABELLED, FAULT)], "once, though it is in two files now"


@pytest.mark.parametrize("what", ["profiles", "faults"])
def test_files_of_a_newer_form_are_left_alone_and_found_again(
    written: Path, facts: dict[str, Any], what: str
) -> None:
    """The same files, their schema version one higher than today's."""
    files = sorted((written / what).glob("*.npz"))
    old = {path: path.read_bytes() for path in files}
    for path, raw in old.items():
        path.write_bytes(of_version(raw, profiles.SCHEMA_VERSION + 1))
    newer = {path: path.read_bytes() for path in files}
    told = today(written, facts, later_s=10)
    assert closed_of(alarms_told(told), facts) == []
    assert {path: path.read_bytes() for path in files} == newer
    for path, raw in old.items():  # whoever wrote them reads them again
        path.write_bytes(raw)
    check(today(written, facts, later_s=600), facts)
    assert labelled(written) == [(LABELLED, FAULT)]


def of_version(raw: bytes, version: int) -> bytes:
    """The same npz with another schema version in its header."""
    with np.load(io.BytesIO(raw)) as found:
        arrays = {name: found[name] for name in found.files}
    header = msgspec.json.decode(arrays["__header__"].tobytes())
    header["schema_version"] = version
    arrays["__header__"] = np.frombuffer(msgspec.json.encode(header), np.uint8)
    return encode_arrays(arrays)
