"""How many rooms a label command passes, from its bytes to the fault that was learnt and the reply."""

import json
import sys
import threading
import time
import urllib.request
from collections.abc import Collection, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Self

import msgspec
import pytest
from paho.mqtt.client import MQTTMessage

import edge_agent
from benchmarks.harness.patience import free_port, wait_until
from benchmarks.harness.user import FAULT_SHIFT
from edge_agent.config.file import Config
from edge_agent.metrics.exporter import Exporter
from edge_agent.service.agent import Service
from edge_agent.service.page import PagePart
from edge_agent.service.wiring import load_scorer
from edge_agent.store.state_dir import StateDir
from tests.support.scripted_agent import FAULTY, NORMAL, arrivals

ROOMS_LIMIT = 8
TOKEN = "sixteen-characters-and-more"  # noqa: S105 - of this test alone
WORDS = ("request-1", "'leak'", "pump-1-2")
"""The order's id, its fault, and the beginning of its alarm's."""
_HOME = f"{Path(edge_agent.__file__).parent}/"


class Rooms:
    """The rooms that an order passes: where code runs that no idle turn calls and that has the order in its hands.

    In its hands: its id, its alarm or its fault is among the arguments. Who calls such code is passed, too. Arithmetic
    on the way (features of windows, arrays to bytes) sees numbers and no order; it is asked, and not passed.
    """

    def __init__(self, idle: "Rooms | None" = None, *, words: Collection[str] = ()) -> None:
        self.calls: set[CodeType] = set()
        self.passed: dict[str, None] = {}
        self._idle = frozenset() if idle is None else idle.calls
        self._words = words

    def __enter__(self) -> Self:
        sys.setprofile(self._note)
        threading.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        threading.setprofile(None)
        sys.setprofile(None)

    def _note(self, frame: FrameType | None, event: str, _argument: Any) -> None:
        if event != "call" or frame is None or not frame.f_code.co_filename.startswith(_HOME):
            return
        self.calls.add(frame.f_code)
        if frame.f_code in self._idle:
            return
        held = repr(frame.f_locals)
        if not any(word in held for word in self._words):
            return
        while frame is not None:
            if frame.f_code.co_filename.startswith(_HOME):
                room, _, file = frame.f_code.co_filename.removeprefix(_HOME).partition("/")
                self.passed.update({room: None} if file else {})
            frame = frame.f_back


@pytest.fixture
def alarmed(tmp_path: Path, tiny_bundle: Path) -> Iterator[Service]:
    """An agent without a broker that has learnt a machine and raised its alarm; turned by the test."""
    (tmp_path / "token").write_text(TOKEN)
    config = Config.model_validate(
        {
            "agent": {"name": "hall", "state_dir": tmp_path / "state"},
            "broker": {"host": "127.0.0.1", "port": free_port()},
            "model": {"bundle": tiny_bundle},
            "commission": {"rows": 300},
            "metrics": {"port": 0},
            "page": {
                "enabled": True,
                "listen": f"127.0.0.1:{free_port()}",
                "token_file": tmp_path / "token",
            },
        }
    )
    store = StateDir(config.agent.state_dir)
    store.open()
    service = Service(config, scorer=load_scorer(config), store=store, exporter=Exporter())
    service._start()
    processor = service._processor
    for arrival in arrivals([(*NORMAL, 0.0)]):
        service._inbox.put(arrival)
    wait_until(lambda: turned(service) and processor.pipeline.profiles(), what="the machine to be learnt")
    for arrival in arrivals([(*FAULTY, FAULT_SHIFT)]):
        service._inbox.put(arrival)
    wait_until(lambda: turned(service) and processor.pipeline.machines.open_alarms(), what="the alarm")
    service._status_told_s = service._snapshot_s = time.monotonic() + 1000.0  # no command's business
    yield service
    service._leave()
    store.close()


def turned(service: Service) -> bool:
    service._turn()
    return True


def idle(service: Service) -> Rooms:
    """What turns without a command do, for so long that all that is done now and then is done."""
    with Rooms() as found:
        end_s = time.monotonic() + 1.5
        while time.monotonic() < end_s:
            service._turn()
    return found


def ordered(service: Service) -> bytes:
    (alarm,) = service._processor.pipeline.machines.open_alarms()
    return json.dumps({"id": "request-1", "by": "Anna", "alarm": alarm.id, "fault": "leak"}).encode()


def learnt(service: Service) -> list[str]:
    (alarm,) = service._processor.pipeline.machines.open_alarms()
    return [service._processor.pipeline.machines.fault_of(alarm.machine, alarm.id)]


def test_a_label_passes_few_rooms_from_its_bytes_to_the_reply(alarmed: Service) -> None:
    payload = ordered(alarmed)
    message = MQTTMessage(topic=b"agents/hall/cmd/label")
    message.payload = payload
    with Rooms(idle(alarmed), words=WORDS) as rooms:
        alarmed._egress._on_message(None, None, message)  # type: ignore[arg-type]
        alarmed._turn()
    assert learnt(alarmed) == ["leak"]
    replies = [one for one in waiting(alarmed) if one.topic.startswith("agents/hall/reply/")]
    assert [msgspec.json.decode(reply.payload)["result"] for reply in replies] == ["done"]
    assert {"mqtt", "service", "alarms", "pipeline", "diagnose"} <= rooms.passed.keys()
    assert len(rooms.passed) <= ROOMS_LIMIT, list(rooms.passed)


def waiting(service: Service) -> list[Any]:
    found, outbox = [], service._processor.outbox
    while (message := outbox.next_message()) is not None:
        outbox.mark_sent(message, len(found) + 1)
        found.append(message)
    return found


def test_a_label_from_the_page_passes_few_rooms_too(alarmed: Service) -> None:
    (page,) = [part for part in alarmed._parts if isinstance(part, PagePart)]
    assert page._server is not None
    request = urllib.request.Request(
        f"http://127.0.0.1:{page._server.port}/api/command/label",
        data=ordered(alarmed),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"},
    )
    replies: list[dict[str, Any]] = []

    def ask() -> None:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - its own address
            replies.append(json.load(answer))

    with Rooms(idle(alarmed), words=WORDS) as rooms:
        asking = threading.Thread(target=ask)
        asking.start()
        while asking.is_alive():
            alarmed._turn()
    assert [reply["result"] for reply in replies] == ["done"]
    assert learnt(alarmed) == ["leak"]
    assert {"web", "service", "alarms", "pipeline", "diagnose"} <= rooms.passed.keys()
    assert len(rooms.passed) <= ROOMS_LIMIT, list(rooms.passed)
