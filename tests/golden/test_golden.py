"""Nothing changed: recordings through the whole agent give the very scores, alarms, names and metrics that are kept.

On the computer whose libraries and processor are those of the recording (`corpus/environment.json`) bit for bit; on
others within a small tolerance, and alarms by what they say. Where behaviour is changed on purpose: `make golden`.
"""

import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from edge_agent.store.history.database import HISTORY
from edge_agent.store.history.reader import HistoryReader
from tests.golden import scripts
from tests.golden.cases import (
    CASES,
    CASES_OF_SHARED_RECORDINGS,
    CORPUS,
    STATE,
    STATE_SETTINGS,
    Case,
    configured,
    members,
    script,
)
from tests.golden.drive import REASONS, live
from tests.golden.environment import environment
from tests.golden.outcome import Outcome, differences, far_apart

EXPECTED = CORPUS / "expected"
DIGESTS = json.loads((CORPUS / "digests.json").read_text())
SAME = environment() == json.loads((CORPUS / "environment.json").read_text())
"""Whether the last bits are those of the recording."""
MET_ELSEWHERE = {"bad_quality", "retained", "unknown_channel", "unknown_machine"}
"""Reasons younger than the corpus, and one of channels that are gathered now; tests of the rooms meet them."""
ONLY_BY_A_BUG = {"internal_error"}
OUTCOMES = {"late", "duplicate"}
"""Reasons that count as outcomes of their own."""


def check(name: str, case: Case, folder: Path, data: Path) -> None:
    expected = Outcome.load(EXPECTED, name)
    assert expected.digests() == DIGESTS[name], "files of the corpus were altered: record it anew"
    found = case(folder, data)
    apart = differences(found, expected) if SAME else far_apart(found, expected)
    if apart:
        pytest.fail("\n".join(apart))
    assert not SAME or found.digests() == DIGESTS[name]


@pytest.mark.parametrize("name", CASES)
def test_nothing_changed(name: str, tmp_path: Path) -> None:
    check(name, CASES[name], tmp_path, tmp_path)


@pytest.mark.data
@pytest.mark.parametrize("name", CASES_OF_SHARED_RECORDINGS)
def test_nothing_changed_on_shared_recordings(name: str, tmp_path: Path, recordings: Path) -> None:
    check(name, CASES_OF_SHARED_RECORDINGS[name], tmp_path, recordings)


def test_the_corpus_is_not_thinner_than_it_claims() -> None:
    """Every wire format is scored, every reason to turn a message away is met, every kind of finding is said."""
    found = {name: Outcome.load(EXPECTED, name) for name in CASES}
    lines = [line for outcome in found.values() for line in outcome.metrics]
    met = {line.split('"')[1] for line in lines if re.search("rejects_total|values_rejected_total", line)}
    assert set(REASONS) - met == ONLY_BY_A_BUG | OUTCOMES | MET_ELSEWHERE
    scored = {name.split("/")[0] for name in found["formats"].scores}
    assert scored >= {f"m-{name}" for name in scripts.FORMATS}
    alerts = [json.loads(line).get("payload") for outcome in found.values() for line in outcome.told]
    said = {alert["fault"]["name"] for alert in alerts if isinstance(alert, dict) and "fault" in alert}
    assert said >= {
        "frozen",
        "missing",
        "out of range",
        "unit changed",
        "noise gone",
        "silent",
        "valve closed",
    }


# -- the state directory of dc23620 ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As it was written; not to be touched."""
    folder = tmp_path_factory.mktemp("written")
    with tarfile.open(STATE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "state"


@pytest.fixture
def taken_over(state: Path, tmp_path: Path) -> tuple[Path, list[dict[str, Any]]]:
    """The state directory after one second with the present agent, and all that the agent said in that time."""
    shutil.copytree(state, tmp_path / "state")
    again = scripts.before_the_copy_orders()[scripts.ACKNOWLEDGED_AT]
    moments = [*script("after_the_copy")[:1], scripts.at(scripts.TAKEN_AT + 1, *again)]
    outcome = live(configured(tmp_path, STATE_SETTINGS, "[history]\nincident_days = 36500\n"), moments)
    return tmp_path / "state", [json.loads(line) for line in outcome.told]


def test_what_was_remembered_of_closed_alarms_is_in_the_history(
    taken_over: tuple[Path, list[dict[str, Any]]],
) -> None:
    found = HistoryReader(taken_over[0] / HISTORY).incidents(limit=9)
    assert [one.id for one in found if one.partial] == [
        "press-4-20231114T221904Z-1",
        "press-1-20231114T221735Z-1",
    ]
    assert found[-1].fault


def test_every_profile_and_label_is_taken_over(
    state: Path, taken_over: tuple[Path, list[dict[str, Any]]]
) -> None:
    after, told = taken_over
    machines = next(one["payload"]["machines"] for one in told if one["topic"] == "agents/hall/status")
    assert [(name, machine["state"]) for name, machine in machines.items()] == [
        ("press-1", "ready"),
        ("press-2", "ready"),
        ("press-3", "ready"),
        ("press-4", "ready"),
        ("late-one", "commissioning"),
    ]
    assert machines["late-one"]["rows"] in (70, 71)
    files = {path.relative_to(state) for path in members(state) if path.suffix == ".npz"}
    assert len(files) == 5
    kept = {path.relative_to(after) for path in members(after) if path.suffix == ".npz"}
    second = {name for name in kept if "second" in name.parts}
    assert kept - second == files
    assert {name.name for name in second} == {name.name for name in files if name.parent.name == "profiles"}
    assert [n for n in files if (state / n).read_bytes() != (after / n).read_bytes()] == []
    assert list(after.rglob("*aside*")) == []


def test_every_alarm_acknowledgement_shelf_and_suppression_is_taken_over(
    taken_over: tuple[Path, list[dict[str, Any]]],
) -> None:
    _, told = taken_over
    retained = {
        one["topic"].split("/")[1]: one["payload"]
        for one in told
        if one["topic"].startswith("alerts/") and one["retain"] and one["payload"]
    }
    assert {(name, one["kind"], one["state"]) for name, one in retained.items()} == {
        ("press-1", "sensor", "open"),
        ("press-2", "machine", "open"),
        ("press-3", "machine", "open"),
        ("press-4", "machine", "open"),
    }
    seen = retained["press-2"]["lifecycle"]["acknowledged"]
    assert (seen["by"], seen["comment"]) == ("ben", "on my way")
    shelf = retained["press-3"]["lifecycle"]["shelved"]
    assert (shelf["by"], shelf["until"], shelf["comment"]) == ("ben", "2023-11-14T23:20:42.200Z", "known")
    machines = next(one["payload"]["machines"] for one in told if one["topic"] == "agents/hall/status")
    assert machines["late-one"]["suppressed"]["by"] == "anna"


def test_what_was_not_sent_is_sent_and_who_asked_for_what_is_known(
    taken_over: tuple[Path, list[dict[str, Any]]],
) -> None:
    _, told = taken_over
    first = next(one for one in told if one["topic"].startswith("alerts/"))
    assert (first["topic"], first["payload"]["revision"], first["retain"]) == ("alerts/press-4", 1, False)
    closed = [one["payload"] for one in told if one["topic"] == "alerts/press-1" and not one["retain"]]
    assert "valve closed" in [one["fault"]["name"] for one in closed]
    (reply,) = [one["payload"] for one in told if one["topic"] == "agents/hall/reply/a1"]
    assert (reply["result"], reply["time"]) == ("done", "2023-11-14T22:20:40.200Z")  # of then, not of now
