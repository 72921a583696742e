"""What commands reach of the agent's machines: names are kept before they count, and a machine is forgotten whole."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from edge_agent.alarms.command_handler import AcceptOutcome
from edge_agent.alarms.machines import PipelineMachines
from edge_agent.alarms.management.notes import MachineNotes
from edge_agent.diagnose.fault_library import Case, FaultLibrary
from edge_agent.diagnose.fault_naming import Refused
from edge_agent.pipeline.acceptance import Accepted, NotAccepted
from edge_agent.pipeline.cameras.answers import PictureAnswer
from edge_agent.pipeline.cameras.camera import Camera
from edge_agent.pipeline.results import Labelled
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.signals.machine_rules import MachineFacts
from edge_agent.store import fault_library
from edge_agent.store.beside_profiles import ROLES, BesideProfiles
from edge_agent.store.state_dir import StateDir
from tests.support.profiles import small_profile

BOOK = FaultLibrary("pump-1", (Case("a-1", "leak", ("flow",), np.ones((1, 1, 64), np.float32)),))


class Machines:
    """Stands for the pipeline: knows one alarm."""

    def __init__(self) -> None:
        self.restored: list[FaultLibrary] = []
        self.forgotten: list[str] = []
        self.notes = MachineNotes()

    def install_faults(self, library: FaultLibrary) -> None:
        self.restored.append(library)

    def label(self, machine: str, *, alarm: str, fault: str, by: str) -> Labelled | Refused:
        assert by == "anna"
        if (machine, alarm) != ("pump-1", "a-1"):
            return Refused("unknown_alarm", "no such alarm")
        return Labelled(fault, BOOK, None)

    @property
    def machines(self) -> "Machines":
        return self

    @property
    def settings(self) -> PipelineSettings:
        return PipelineSettings(machine_rules=self.notes.rules())

    def __iter__(self) -> Iterator[str]:
        return iter(("pump-1", "pump-2"))

    def accept(self, machine: str, *, alarm: str, by: str, time_ns: int) -> Accepted | NotAccepted:
        assert (by, time_ns) == ("Anna", 3)
        known = Accepted(machine, small_profile(machine, memory={}), "known")
        return known if alarm == "n-1" else NotAccepted("not_acceptable", "no notice")

    def take_back(self, alarm: str) -> Accepted:
        assert alarm == "n-1"
        return Accepted("pump-1", small_profile("pump-1", memory={}), "again")

    def forget(self, machine: str) -> None:
        self.forgotten.append(machine)


class Pictures:
    """A camera's answers: one picture is known."""

    def machine_of(self, picture: str) -> str | None:
        return "press-4" if picture == "picture-1" else None

    def name(self, picture: str, fault: str, *, by: str) -> PictureAnswer:
        assert (picture, by) == ("picture-1", "anna")
        return PictureAnswer(reason="malformed" if not fault else None, detail=fault)

    def accept(self, picture: str) -> PictureAnswer:
        assert picture == "picture-1"
        return PictureAnswer(Camera("press-4", "cam1"), detail="usual")

    def take_back(self, picture: str) -> PictureAnswer:
        known = picture == "picture-1"
        return PictureAnswer(Camera("press-4", "cam1") if known else None, detail="unusual")


@pytest.fixture
def machines() -> Machines:
    return Machines()


def port(machines: Machines, folder: Path, told: list[str]) -> PipelineMachines:
    return PipelineMachines(
        machines,
        StateDir(folder),
        state_dir=folder,
        next_profiles=Mock(),
        notes=machines.notes,
        on_said=lambda: told.append("said"),
        on_rows=lambda request: told.append(f"learns {request.machine}"),
        on_changed=lambda profile: told.append(f"changed {profile.machine}"),
        on_forgotten=lambda machine: told.append(f"forgot {machine}"),
        pictures=Pictures(),
    )  # type: ignore[arg-type]


def test_a_name_outlives_the_agent(machines: Machines, tmp_path: Path) -> None:
    named = port(machines, tmp_path, []).label("pump-1", alarm="a-1", fault="leak", by="anna")
    assert (named.reason, named.detail) == ("", "")
    later = Machines()
    port(later, tmp_path, []).restore()
    assert [book.machine for book in later.restored] == ["pump-1"]
    assert [case.fault for case in later.restored[0].cases] == ["leak"]


def test_answers_to_pictures_go_to_their_camera(machines: Machines, tmp_path: Path) -> None:
    one, told = port(machines, tmp_path, []), ("press-4", "picture-1")
    assert one.inspected("picture-1") == "press-4"
    assert one.label(told[0], alarm=told[1], fault="crack", by="anna").detail == "crack"
    assert one.label(told[0], alarm=told[1], fault="", by="anna").reason == "malformed"
    assert one.accept(told[0], alarm=told[1], by="anna", time_ns=3).changed
    assert one.take_back("picture-1").changed
    assert one.inspected("a-1") is None


def test_a_name_that_is_refused_changes_nothing(machines: Machines, tmp_path: Path) -> None:
    assert (
        port(machines, tmp_path, []).label("pump-1", alarm="b", fault="leak", by="anna").reason
        == "unknown_alarm"
    )
    assert fault_library.load(tmp_path) == ((), ())


def test_a_disk_that_takes_nothing_is_said_and_the_name_counts_all_the_same(
    machines: Machines, tmp_path: Path
) -> None:
    (tmp_path / "faults").write_text("in the way")
    named = port(machines, tmp_path, []).label("pump-1", alarm="a-1", fault="leak", by="anna")
    assert named.reason == ""
    assert "until the agent restarts" in named.detail


def test_a_damaged_file_of_names_is_set_aside_and_the_others_are_restored(
    machines: Machines, tmp_path: Path
) -> None:
    fault_library.save(tmp_path, BOOK)
    (tmp_path / "faults" / "pump-2.npz").write_bytes(b"no npz")
    port(machines, tmp_path, []).restore()
    assert len(machines.restored) == 1
    assert [path.name for path in (tmp_path / "faults").glob("*.aside-*")] == ["pump-2.npz.aside-1"]


def test_recommissioning_forgets_the_machine_and_what_is_kept_of_it(
    machines: Machines, tmp_path: Path
) -> None:
    told: list[str] = []
    assert port(machines, tmp_path, told).recommission("pump-1") == ""
    assert machines.forgotten == ["pump-1"]
    assert told == ["forgot pump-1"]


def test_what_people_say_counts_before_the_configuration_and_is_kept(
    machines: Machines, tmp_path: Path
) -> None:
    told: list[str] = []
    found = port(machines, tmp_path, told)
    assert found.say_name("pump-1", "Feed pump").changed
    assert not found.say_name("pump-1", "Feed pump").changed
    assert "5 false alarms a week" in found.say_budget("pump-1", 5.0).detail
    assert found.facts()["pump-1"] == MachineFacts(display_name="Feed pump", budget_per_week=5.0)
    assert found.facts()["pump-2"] == MachineFacts()
    assert "1 false alarms a week" in found.say_budget("pump-1", None).detail
    assert found.say_name("pump-1", "").changed
    assert (found.facts()["pump-1"], told) == (MachineFacts(), ["said"] * 4)


def test_a_forgotten_machine_leaves_no_file(machines: Machines, tmp_path: Path) -> None:
    told: list[str] = []
    found = port(machines, tmp_path, told)
    found.say_name("pump-1", "Feed pump")
    found.label("pump-1", alarm="a-1", fault="leak", by="anna")
    store = StateDir(tmp_path)
    profile = small_profile("pump-1", memory={})
    store.save_profile(profile)
    store.forget_profile("pump-1")
    store.save_profile(profile)
    for role in ROLES:
        BesideProfiles(tmp_path).save(profile, role)
    store.save_profile(replace(profile, machine="pump-10"))
    assert len(list(tmp_path.rglob("pump-1-*"))) == 6
    assert found.forget("pump-1") == ""
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name[:8] for path in left} == {"pump-10-"}
    assert (machines.forgotten, machines.notes.names) == (["pump-1"], {})
    assert told[-1] == "forgot pump-1"


def test_a_machine_that_cannot_be_removed_stays_known(machines: Machines, tmp_path: Path) -> None:
    store = StateDir(tmp_path)
    path = store.save_profile(small_profile("pump-1", memory={}))
    path.unlink()
    path.mkdir()
    assert port(machines, tmp_path, []).forget("pump-1") != ""
    assert machines.forgotten == []


def test_what_is_accepted_is_kept_and_what_is_not_is_not(machines: Machines, tmp_path: Path) -> None:
    told: list[str] = []
    found = port(machines, tmp_path, told)
    assert found.accept("pump-1", alarm="n-1", by="Anna", time_ns=3) == AcceptOutcome(detail="known")
    assert found.accept("pump-1", alarm="n-2", by="Anna", time_ns=3) == AcceptOutcome(
        "not_acceptable", "no notice", changed=False
    )
    assert found.take_back("n-1") == AcceptOutcome(detail="again")
    assert told == ["changed pump-1", "changed pump-1"]
