"""The `label` command: from its bytes to the pipeline and the disk, and nothing else is taken for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from edge_agent import casefiles, label_command
from edge_agent.contract.casebook import Case, Casebook
from edge_agent.contract.records import Delivery
from edge_agent.errors import StateError
from edge_agent.naming import Refused
from edge_agent.naming_desk import NamingDesk
from edge_agent.pipeline import Labelled

TOPIC = "agents/line-1/cmd/label"
BOOK = Casebook("pump-1", (Case("a-1", "leak", ("flow",), np.ones((1, 1, 64), np.float32)),))


class Plant:
    """Stands for the pipeline: knows one alarm."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str]] = []
        self.restored: list[Casebook] = []

    def install_faults(self, casebook: Casebook) -> None:
        self.restored.append(casebook)

    def machine_of(self, alarm: str) -> str:
        return "pump-1" if alarm == "a-1" else ""

    def label(self, machine: str, *, alarm: str, fault: str) -> Labelled | Refused:
        self.heard.append((machine, alarm, fault))
        return Labelled(fault, BOOK, None) if machine else Refused("unknown_machine", "")


class Watch:
    """Keeps what the disk did not take."""

    def __init__(self) -> None:
        self.faults: list[StateError] = []

    @contextmanager
    def __call__(self) -> Iterator[None]:
        try:
            yield
        except StateError as error:
            self.faults.append(error)


def desk(folder: Path) -> tuple[NamingDesk, Plant, Watch]:
    plant, watch = Plant(), Watch()
    made = NamingDesk(plant, state_dir=folder, agent="line-1", watched=watch)  # type: ignore[arg-type]
    return made, plant, watch


def test_a_command_is_carried_out_and_kept_and_sensor_data_passes(tmp_path: Path) -> None:
    names, plant, _ = desk(tmp_path)
    row = Delivery("sensors/pump-1", b'{"values": {"flow": 1}}', 0)
    command = Delivery(TOPIC, b'{"id": "1", "by": "me", "alarm": "a-1", "fault": "leak"}', 0)
    assert names.obey([row, command]) == ([row], [])
    assert plant.heard == [("pump-1", "a-1", "leak")]
    again, later, _ = desk(tmp_path)
    again.restore()
    assert [(book.machine, book.faults) for book in later.restored] == [("pump-1", ("leak",))]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"alarm": "a-1"}',
        b'{"alarm": 1, "fault": "x"}',
        b'{"alarm": "b", "fault": "x"}',
    ],
)
def test_what_is_no_command_or_meets_no_alarm_changes_nothing(tmp_path: Path, payload: bytes) -> None:
    names, _, _ = desk(tmp_path)
    assert names.obey([Delivery(TOPIC, payload, 0)]) == ([], [])
    assert casefiles.load(tmp_path) == ((), ())


def test_a_disk_that_takes_nothing_is_reported_and_the_name_is_known_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "faults").write_text("in the way")
    names, plant, watch = desk(tmp_path)
    names.obey([Delivery(TOPIC, b'{"alarm": "a-1", "fault": "leak"}', 0)])
    assert plant.heard
    assert len(watch.faults) == 1


def test_a_payload_beyond_its_limit_is_not_read() -> None:
    padding = " " * label_command.PAYLOAD_LIMIT_BYTES
    assert label_command.decode(b'{"alarm": "a", "fault": "f"}') is not None
    assert label_command.decode(('{"alarm": "a", "fault": "f"}' + padding).encode()) is None
