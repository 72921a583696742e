"""Upgrades and roll-backs with the very agents of earlier commits, over a real mosquitto: nothing of what people and
machines have taught is lost. The small fixtures that the same agents left are in tests/golden/versions.
"""

import re
import shutil
from pathlib import Path

import pytest

from benchmarks import ROOT
from benchmarks.harness.fault_ledger import LONG, record
from tests.golden.versions import story
from tests.golden.versions.record import COMMITS, checkout
from tests.golden.versions.story import ACKNOWLEDGED, BY, COMMENT, FAULT, MACHINES, SHELVED, Known, Stage
from tests.support.missing import missing

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
FIRST = 1200
"""The row after the story's last one; each life after it that plays anything takes a thousand."""
SHORT = COMMITS if LONG else (COMMITS[0], COMMITS[-1])
"""The oldest, whose profiles have another schema version, and the youngest."""


def earlier(commit: str, folder: Path) -> Path:
    """The agent of a commit, where git's history has it."""
    try:
        return checkout(commit, folder)
    except LookupError as error:
        missing(str(error))


def check(found: Known, before: Known) -> None:
    """All is as it was."""
    assert found.ready == MACHINES
    assert found.open == before.open
    assert found.open.keys() == {ACKNOWLEDGED, SHELVED}
    assert (found.acknowledged, found.shelved) == (f"{BY}: {COMMENT}", BY)


def note(what: str, fault: str, *, count: int) -> None:
    record(
        what,
        fault=fault,
        count=count,
        verdict=None,
        test=f"tests/faults/test_versions.py -k {what.partition('_')[2]}",
        lost=0,
    )


def test_upgraded_rolled_back_and_upgraded_again(tmp_path: Path) -> None:
    for commit in SHORT:
        older = earlier(commit, tmp_path / commit / "tree")
        with Stage(tmp_path / commit) as stage:
            before = story.live(stage, older)
            check(before, before)
            for life, tree in enumerate((ROOT, older, ROOT)):
                found, told = story.look(stage, tree, first=FIRST + 1000 * life)
                check(found, before)
                names = [name for _, name in story.named(stage.state)]
                assert names == [FAULT] * (2 + life), f"{commit}, life {life + 1}"
                assert _closed(told, before) == []
    note(
        "versions_upgraded",
        f"upgraded from {', '.join(SHORT)}, rolled back and upgraded again, a fault named on the way",
        count=3 * len(SHORT),
    )


def test_learnt_today_and_rolled_back_to_an_agent_that_cannot_read_it(tmp_path: Path) -> None:
    """It tells the open alarms closed, which nothing here can prevent; profiles and names are there afterwards."""
    commits = COMMITS[:-1] if LONG else COMMITS[:1]
    for commit in commits:
        older = earlier(commit, tmp_path / commit / "tree")
        with Stage(tmp_path / commit) as stage:
            check(before := story.live(stage, ROOT), before)
            story.look(stage, older)
            assert [name for _, name in story.named(stage.state)] == [FAULT], "readable in between, too"
            found, _ = story.look(stage, ROOT, first=FIRST)
            assert found.ready == MACHINES
            assert [name for _, name in story.named(stage.state)] == [FAULT, FAULT]
    note(
        "versions_learnt_today",
        f"learnt today, rolled back to {', '.join(commits)}, upgraded again",
        count=2 * len(commits),
    )


def test_a_newer_release_rolled_back_and_installed_again(tmp_path: Path) -> None:
    tree = tomorrow(tmp_path / "tree")
    with Stage(tmp_path / "stage") as stage:
        before = story.live(stage, tree)
        check(before, before)
        names = story.named(stage.state)
        found, told = story.look(stage, ROOT)
        assert found.ready == (), "nothing of it can be read, so it says that it watches nothing"
        assert found.open == before.open
        assert _closed(told, before) == []
        assert story.named(stage.state) == names
        found, told = story.look(stage, tree, first=FIRST)
        check(found, before)
        assert story.named(stage.state)[:1] == names
        assert [name for _, name in story.named(stage.state)] == [FAULT, FAULT]
        assert _closed(told, before) == []
    note("versions_newer", "rolled back from a release with newer forms of profiles and names", count=2)


def tomorrow(folder: Path) -> Path:
    """Today's agent as a later release would be: its profiles and named alarms have a schema version more."""
    shutil.copytree(ROOT / "edge_agent", folder / "edge_agent", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("model/profile.py", "diagnose/fault_library.py"):
        file = folder / "edge_agent" / name
        text, count = re.subn(r"^_SCHEMA_VERSION = (\d)$", _raised, file.read_text(), flags=re.MULTILINE)
        assert count == 1
        file.write_text(text.replace("_READABLE = (2, 3)", "_READABLE = (2, 3, 4)"))
    return folder


def _raised(found: re.Match[str]) -> str:
    return f"_SCHEMA_VERSION = {int(found[1]) + 1}"


def _closed(told: list[dict[str, object]], before: Known) -> list[object]:
    """Alarms that were open and are told closed, though no calm was seen."""
    return [one["id"] for one in told if one["state"] == "closed" and one["id"] in before.open.values()]
