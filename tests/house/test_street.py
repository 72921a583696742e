"""A frame walks down the street: the pipeline hands it from room to room, and it comes back to none over and over."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import edge_agent
from benchmarks.harness.user import FAULT_SHIFT, START_TS, rows
from edge_agent.config.file import defaults
from edge_agent.detect.scorer import Scorer
from edge_agent.formats.routing import delivery_decoder
from edge_agent.model import bundle
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import StepResults
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Delivery

RETURNS_LIMIT = 2
SETTINGS = PipelineSettings(commission_rows=300)
CONDUCTOR = "pipeline"
"""The room that hands the frame on: it is not left before the step ends."""
_HOME = f"{Path(edge_agent.__file__).parent}/"


class Walk:
    """The visits to rooms during a call: (room, file:function that was entered by), in order.

    A room is visited when its code is called while none of it is running, and left when another room is visited: what
    the conductor asks of one room in a row is one visit.
    """

    def __init__(self) -> None:
        self.doors: list[tuple[str, str]] = []
        """Every time that a room's code was called from another's."""
        self._running: list[str] = []

    def through(self, call: Callable[[], StepResults]) -> StepResults:
        sys.setprofile(self._note)
        try:
            return call()
        finally:
            sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _argument: Any) -> None:
        path = frame.f_code.co_filename
        if not path.startswith(_HOME) or event not in ("call", "return"):
            return
        room, _, file = path.removeprefix(_HOME).partition("/")
        if event == "return":
            if self._running:
                self._running.pop()
            return
        if room not in (*self._running, CONDUCTOR):
            self.doors.append((room, f"{file}:{frame.f_code.co_qualname}"))
        self._running.append(room)

    @property
    def visits(self) -> list[str]:
        rooms = [room for room, _ in self.doors]
        return [room for at, room in enumerate(rooms) if at == 0 or room != rooms[at - 1]]

    @property
    def returns(self) -> dict[str, int]:
        """To each room that was visited, how often."""
        return {room: count - 1 for room, count in Counter(self.visits).items()}


@pytest.fixture
def pipeline(tiny_bundle: Path) -> Pipeline:
    """Has learnt one machine, whose messages come as JSON."""
    scorer = Scorer.load(bundle.read(tiny_bundle), provider="cpu")
    decode = delivery_decoder(
        [source.route for source in defaults().source], payload_limit_bytes=65_536, future_tolerance_s=300.0
    )
    pipeline = Pipeline(decode=decode, scorer=scorer, settings=SETTINGS)
    for row in range(300):
        for request in pipeline.step([delivery(row)]).commissions:
            pipeline.install(learn(request, scorer=scorer, settings=SETTINGS))
    assert pipeline.profiles()
    return pipeline


def delivery(row: int, *, shift: float = 0.0) -> Delivery:
    ((_, values),) = rows("pump-1", row, row + 1, shift=shift)
    payload = json.dumps({"ts": START_TS + row, "values": values})
    return Delivery("sensors/pump-1", payload.encode(), (START_TS + row) * 1_000_000_000)


def walked(pipeline: Pipeline, row: int, *, shift: float = 0.0) -> tuple[Walk, StepResults]:
    walk = Walk()
    return walk, walk.through(lambda: pipeline.step([delivery(row, shift=shift)]))


def test_a_scored_frame_comes_back_to_no_room_more_than_twice(pipeline: Pipeline) -> None:
    for row in range(300, 370):
        walk, step = walked(pipeline, row)
    assert step.scores
    assert walk.visits[:4] == ["formats", "signals", "sensors", "detect"]
    assert max(walk.returns.values()) <= RETURNS_LIMIT, walk.doors


def test_a_frame_that_raises_an_alarm_comes_back_to_no_room_more_than_twice(pipeline: Pipeline) -> None:
    for row in range(300, 370):
        pipeline.step([delivery(row)])
    for row in range(370, 450):
        walk, step = walked(pipeline, row, shift=FAULT_SHIFT)
        if step.alarms:
            break
    assert [alarm.state for alarm in step.alarms] == ["open"]
    assert "diagnose" in walk.visits
    assert max(walk.returns.values()) <= RETURNS_LIMIT, walk.doors


def test_a_frame_goes_into_its_machines_rows_once_and_comes_out_once(pipeline: Pipeline) -> None:
    for row in range(300, 370):
        walk, _ = walked(pipeline, row)
    doors = [door for room, door in walk.doors if room == "signals" and door.startswith("row_")]
    assert doors == ["row_buffer.py:RowBuffer.accept", "row_buffer.py:RowBuffer.take_due"]
