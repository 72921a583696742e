"""The cameras of a machine as the page shows them."""

from edge_agent.detect.pictures import regions
from edge_agent.pipeline.cameras.camera import Camera
from edge_agent.pipeline.cameras.desk import CameraDesk
from edge_agent.pipeline.cameras.evidence import map_bytes
from edge_agent.pipeline.cameras.inspection import Suspect
from edge_agent.pipeline.cameras.learning import LAST_PARTS
from edge_agent.web.view import CameraView, SuspectView


def camera_views(desk: CameraDesk, machine: str) -> tuple[CameraView, ...]:
    """Those of which a picture came since the start."""
    return tuple(_view(camera, wanted=desk.frames) for camera in desk.of(machine) if camera.sight is not None)


def _view(camera: Camera, *, wanted: int) -> CameraView:
    sight = camera.sight
    assert sight is not None  # noqa: S101 - asked by who called
    picture, unusual = sight.picture, sight.unusual
    return CameraView(
        name=camera.name,
        learnt=camera.memory is not None,
        gathered=len(camera.gathered),
        wanted=wanted,
        time_ns=sight.time_ns,
        score=sight.score,
        why=sight.why or camera.reason,
        map=b"" if unusual is None else map_bytes(unusual),
        boxes=() if unusual is None else regions.boxes(unusual),
        width=picture.width,
        height=picture.height,
        crop=picture.crop,
        file=picture.file,
        kind=picture.kind,
        parts=LAST_PARTS if picture.subject == "part" else None,
        loud=camera.state.loud.bit_count(),
        alarm_at=0 if camera.memory is None else camera.memory.suspects,
        suspects=tuple(_suspect(one) for one in reversed(camera.suspects.values())),
        kinds=camera.kinds.names,
    )


def _suspect(one: Suspect) -> SuspectView:
    return SuspectView(
        id=one.id,
        time_ns=one.time_ns,
        part=one.part,
        score=one.score,
        kind=one.kind,
        probability=one.probability,
        good=one.good,
        jpeg=one.jpeg,
    )
