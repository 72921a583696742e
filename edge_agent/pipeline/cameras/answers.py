"""What people answer to an unusual picture: what it shows, or that it is good. Pure.

A picture is named by its own id, as verdicts on parts and the page tell it, or by the id of the alarm that showed it.
Named ones give later pictures that look alike their name; good ones join what is usual, and can be taken back.
"""

from dataclasses import dataclass, replace

from edge_agent.diagnose.fault_naming import RefusalReason
from edge_agent.pipeline.acceptance import NotAcceptedReason
from edge_agent.pipeline.cameras import accepted
from edge_agent.pipeline.cameras.camera import Camera
from edge_agent.pipeline.cameras.desk import CameraDesk
from edge_agent.pipeline.cameras.inspection import look_of
from edge_agent.records import Alarm

_GONE = "the picture is kept no more: the latest twenty unusual ones of a camera can be answered"


@dataclass(frozen=True, slots=True)
class PictureAnswer:
    """What became of an answer.

    Attributes:
        camera: what is known of it has changed, and is to be kept; None where nothing has.
        reason: why it was not taken, with `detail` for people; empty where it was, or where it was so already.
        alarm: the open alarm's revision that says the name.
    """

    camera: Camera | None = None
    reason: RefusalReason | NotAcceptedReason | None = None
    detail: str = ""
    alarm: Alarm | None = None


def machine_of(desk: CameraDesk, named: str) -> str | None:
    """The machine whose unusual picture has that id; None where there is none."""
    found = desk.find(named)
    return None if found is None else found[0].machine


def name(desk: CameraDesk, named: str, fault: str, *, by: str) -> PictureAnswer:
    """Call a picture so; what looks alike is called so from now on."""
    found = desk.find(named)
    if found is None:
        return PictureAnswer(reason="unknown_alarm", detail=_GONE)
    camera, suspect = found
    if camera.memory is None:
        return PictureAnswer(reason="not_available", detail="the camera has not been learnt yet")
    called = camera.kinds.name(suspect.id, fault, look_of(suspect.patches), desk.settings.naming)
    if not isinstance(called, str):
        return PictureAnswer(reason=called.reason, detail=called.detail)
    _learn(camera)
    camera.suspects[suspect.id] = replace(suspect, kind=called, probability=1.0)
    alarm = camera.state.alarm
    if alarm is not None and alarm.id == named:
        alarm = replace(alarm, revision=alarm.revision + 1, fault=called, fault_probability=1.0, fault_by=by)
        camera.state.alarm, camera.changed = alarm, True
        return PictureAnswer(camera, alarm=alarm)
    return PictureAnswer(camera)


def accept(desk: CameraDesk, named: str) -> PictureAnswer:
    """A picture is good: what it shows is usual from now on."""
    found = desk.find(named)
    if found is None:
        return PictureAnswer(reason="unknown_alarm", detail=_GONE)
    camera, suspect = found
    if camera.memory is None or camera.asked:
        return PictureAnswer(reason="not_ready", detail="the camera has not been learnt yet")
    if suspect.id in accepted.accepted(camera.memory):
        return PictureAnswer(detail="it was taken for good already")
    memory = accepted.accept(camera.memory, suspect)
    if memory is None:
        told = f"{accepted.LIMIT} pictures of {camera.name} were taken for good: learn the camera afresh"
        return PictureAnswer(reason="too_many", detail=told)
    camera.memory = memory
    camera.kinds.forget(suspect.id)
    _learn(camera)
    camera.suspects[suspect.id] = replace(suspect, good=True, kind="", probability=0.0)
    alarm = camera.state.alarm
    if alarm is not None and alarm.id == named:
        camera.state.alarm, camera.state.told, camera.state.loud = None, 0.0, 0
        camera.changed = True
    return PictureAnswer(camera, detail=f"what {camera.name} shows there is usual from now on")


def take_back(desk: CameraDesk, named: str) -> PictureAnswer:
    """A picture was not good after all."""
    found = desk.find(named)
    picture = named if found is None else found[1].id
    camera = desk.camera_of(picture)
    memory = None if camera is None or camera.memory is None else accepted.take_back(camera.memory, picture)
    if camera is None or memory is None:
        return PictureAnswer(detail="nothing of it was taken for good")
    camera.memory = memory
    if (suspect := camera.suspects.get(picture)) is not None:
        camera.suspects[picture] = replace(suspect, good=False)
    return PictureAnswer(camera, detail="it is unusual again")


def _learn(camera: Camera) -> None:
    """Learn what the camera's kinds look like, and call the unusual pictures that are kept by them."""
    assert camera.memory is not None  # noqa: S101 - seen by who asks
    camera.kinds.arrange(camera.memory.arrays)
    given = {case.id: case.name for case in camera.kinds.cases}
    for picture, suspect in camera.suspects.items():
        kind, sure = (given[picture], 1.0) if picture in given else camera.kinds.of(look_of(suspect.patches))
        if not suspect.good:
            camera.suspects[picture] = replace(suspect, kind=kind, probability=sure)
