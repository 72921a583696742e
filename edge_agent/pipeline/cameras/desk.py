"""All cameras, between decoder and pipeline: a frame with a picture goes on as its gauges, and is looked at. Pure.

Beside what the pipeline makes of the row, a picture is one of these: gathered to learn from, judged, not judged because
the camera cannot be believed, older than one seen before, passed over because it came too fast, or turned away. Of a
part there is a verdict in each of these cases but the two before the last: a part that nobody could see is told, too.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.pictures import regions
from edge_agent.diagnose.fault_naming import NamingSettings
from edge_agent.pipeline.cameras import faults
from edge_agent.pipeline.cameras.accepted import accepted
from edge_agent.pipeline.cameras.camera import Camera, CameraState, Gathered, Sight
from edge_agent.pipeline.cameras.inspection import Inspection, Suspect, Verdict, picture_id
from edge_agent.pipeline.cameras.kinds import Kinds
from edge_agent.pipeline.cameras.learning import CameraMemory, CameraRequest
from edge_agent.records import Alarm, Decoded, Delivery, Float32, Frame, FrameSet, Picture, Reject

Look = Callable[[NDArray[np.uint8]], Float32]
"""The network: pixels [B, S, S, 3] to patches [B, G, G, D]."""
_PREFIX = "camera/"
_CELL_PIXELS = 8
_GREY = 127
_TOO_FAST = 0.9
"""Of the wanted distance: a camera's clock jitters."""
_GATHERING_BYTES = 120_000_000
"""Of the patches of all cameras that wait to be learnt."""


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """What the configuration says of all cameras.

    Attributes:
        frames: N, pictures that a camera is learnt from.
        budget_per_week: false alarms of a machine.
        limit: cameras at most, against floods of topics.
        naming: how much is kept of what people call a camera's pictures.
    """

    frames: int = 50
    budget_per_week: float = 1.0
    limit: int = 64
    naming: NamingSettings = field(default_factory=NamingSettings)


class CameraDesk:
    """Belongs to the pipeline's thread."""

    def __init__(self, look: Look, *, network: str, settings: CameraSettings) -> None:
        """`look` is asked for the first time with the first picture; it may raise whatever it likes to."""
        self._look = look
        self.network = network
        """Digest of the network that it looks with."""
        self._settings = settings
        self._cameras: dict[tuple[str, str], Camera] = {}
        self._alarms: list[Alarm] = []
        self._requests: list[CameraRequest] = []
        self._gathered: list[tuple[str, str, Gathered]] = []
        self._gone: list[str] = []
        self._inspections: list[Inspection] = []
        self._suspects: list[tuple[str, str, Suspect]] = []
        self.looked = 0
        """Pictures that the network was shown."""
        self.trouble = ""
        """Why pictures are not looked at just now."""

    def adopt(self, settings: CameraSettings) -> None:
        """Go on by other settings."""
        self._settings = settings

    def reading(self, decode: Callable[[Delivery], Decoded]) -> Callable[[Delivery], Decoded]:
        """The decoder whose frames go by here."""

        def read(delivery: Delivery) -> Decoded:
            decoded = decode(delivery)
            if isinstance(decoded, Reject | FrameSet) or decoded.picture is None:
                return decoded
            return self.take(decoded, decoded.picture)

        return read

    def take(self, frame: Frame, picture: Picture) -> Frame | Reject:
        """Look at a frame's picture; the frame as it goes on, or why it does not."""
        key = (frame.machine, picture.camera)
        camera = self._cameras.get(key)
        if camera is None:
            if len(self._cameras) >= self._settings.limit:
                return Reject("too_many_channels", f"{self._settings.limit} cameras are the most")
            camera = self._cameras[key] = Camera(*key)
        time_ns, state = frame.times_ns[0], camera.state
        if (why_not := camera.misfit(picture)) or (why_not := _other_size(camera, picture)):
            if time_ns > state.last_ns:
                state.last_ns, camera.changed = time_ns, True
                state.pictures += 1
                self._tell_part(camera, Sight(picture, time_ns, why=why_not), None)
            return Reject("unsupported", why_not)
        if time_ns > state.last_ns and time_ns - state.last_ns < _TOO_FAST * picture.every_ns:
            return Reject("surplus", "faster than image.every_s")
        gauges = camera.gauges(frame, picture)
        names = (*frame.channels, *(f"{picture.camera}.{name}" for name in faults.SHIFTS))
        if time_ns > state.last_ns:
            state.last_ns, camera.changed = time_ns, True
            state.pictures += 1
            suspect = self._see(camera, picture, gauges, time_ns=time_ns)
            if camera.sight is not None:
                self._tell_part(camera, camera.sight, suspect)
        return replace(frame, channels=names, rows=(tuple(map(float, gauges)),), picture=None)

    def _see(self, camera: Camera, picture: Picture, gauges: Float32, *, time_ns: int) -> Suspect | None:
        """Look at a picture and say what is to be said of it; what makes it a suspect."""
        fault = camera.blinded(picture, gauges)
        self._alarms += camera.judge_camera(fault, gauges, time_ns=time_ns, model=self.network)
        if fault or camera.asked:
            why = fault or "it is being learnt"
            camera.sight = Sight(picture, time_ns, why=why)
            return None
        try:
            patches = self._look(_shown(picture)[np.newaxis])[0]
        except Exception as error:  # noqa: BLE001 - the network is optional: gauges go on, health says why
            self.trouble = f"pictures are not looked at: {error}"
            camera.sight = Sight(picture, time_ns, why="the network for pictures cannot be used")
            return None
        self.trouble = ""
        self.looked += 1
        counted = _cells(picture)
        memory = camera.memory
        if memory is None:
            self._learn(camera, picture, patches, gauges, time_ns=time_ns)
            return None
        unusual = memory.unusual(patches)
        if counted is not None:
            unusual = np.where(counted, unusual, np.float32(0.0))
        score = memory.score(unusual, counted)
        camera.sight = Sight(picture, time_ns, score=score, unusual=unusual)
        suspect = camera.suspect(patches, unusual, score, picture, time_ns=time_ns)
        self._alarms += camera.judge(
            unusual, score, picture, suspect=suspect, time_ns=time_ns, model=self.network
        )
        if suspect is not None and (kept := camera.suspects.get(suspect.id)) is not None:
            self._suspects.append((camera.machine, camera.name, kept))
        return suspect

    def _tell_part(self, camera: Camera, sight: Sight, suspect: Suspect | None) -> None:
        """The verdict on a part; of a scene there is none."""
        picture = sight.picture
        if picture.subject != "part":
            return
        verdict: Verdict = "suspect" if suspect is not None else "good"
        number = camera.state.pictures
        self._inspections.append(
            Inspection(
                id=picture_id(camera.machine, camera.name, time_ns=sight.time_ns, number=number),
                machine=camera.machine,
                camera=camera.name,
                part=picture.part,
                time_ns=sight.time_ns,
                verdict="unjudged" if sight.score is None else verdict,
                model=self.network,
                score=sight.score,
                why=sight.why,
                kind="" if suspect is None else suspect.kind,
                probability=0.0 if suspect is None else suspect.probability,
                boxes=() if sight.unusual is None else regions.boxes(sight.unusual),
            )
        )

    def _learn(
        self, camera: Camera, picture: Picture, patches: Float32, gauges: Float32, *, time_ns: int
    ) -> None:
        camera.sight = Sight(picture, time_ns, why="it is being learnt")
        waiting = sum(one.patches.nbytes for other in self._cameras.values() for one in other.gathered)
        if waiting + patches.size * 2 > _GATHERING_BYTES and not camera.gathered:
            camera.sight = replace(camera.sight, why="it is learnt after other cameras")
            return
        kept = camera.gather(patches, gauges, time_ns=time_ns)
        self._gathered.append((camera.machine, camera.name, kept))
        if len(camera.gathered) >= self._settings.frames:
            self._requests.append(
                camera.request(
                    picture,
                    network=self.network,
                    counted=_cells(picture),
                    budget_per_week=self._settings.budget_per_week,
                )
            )

    # -- what others take, and bring -------------------------------------------------------------------------

    def alarms(self) -> list[Alarm]:
        """Revisions since the last call."""
        found, self._alarms = self._alarms, []
        return found

    def inspections(self) -> list[Inspection]:
        """Verdicts on parts since the last call."""
        found, self._inspections = self._inspections, []
        return found

    def suspects(self) -> list[tuple[str, str, Suspect]]:
        """Machine, camera and unusual pictures that are to be kept, since the last call."""
        found, self._suspects = self._suspects, []
        return found

    def requests(self) -> list[CameraRequest]:
        """Cameras that are to be learnt, since the last call."""
        found, self._requests = self._requests, []
        return found

    def gathered(self) -> list[tuple[str, str, Gathered]]:
        """Machine, camera and what was kept to learn from, since the last call."""
        found, self._gathered = self._gathered, []
        return found

    def install(self, memory: CameraMemory) -> None:
        """A camera is learnt; where it was forgotten meanwhile that is for nothing."""
        camera = self._cameras.get((memory.machine, memory.camera))
        if memory.network == self.network and camera is not None and camera.asked:
            camera.install(memory)

    def recall(self, memory: CameraMemory) -> None:
        """What was learnt of a camera before a restart: it goes on where it stood."""
        if memory.network == self.network:
            one = self._camera(memory.machine, memory.camera)
            one.memory = memory
            one.kinds.arrange(memory.arrays)

    def recall_pictures(self, machine: str, camera: str, kinds: Kinds, suspects: Iterable[Suspect]) -> None:
        """What people called a camera's pictures, and the unusual ones that were kept before a restart."""
        one = self._camera(machine, camera)
        one.kinds = kinds
        if one.memory is not None:
            one.kinds.arrange(one.memory.arrays)
        for suspect in sorted(suspects, key=lambda each: each.time_ns):
            one.keep(suspect)

    def fail(self, machine: str, camera: str, reason: str) -> None:
        """Learning did not work: gather as many pictures again."""
        one = self._camera(machine, camera)
        one.asked, one.reason = False, reason
        one.gathered.clear()

    def regather(self, machine: str, camera: str, kept: Iterable[Gathered]) -> None:
        """What was gathered before a restart."""
        one = self._camera(machine, camera)
        one.gathered = sorted(kept, key=lambda each: each.time_ns)[: self._settings.frames - 1]
        if one.gathered:
            one.state.still = one.gathered[0].still

    def forget(self, machine: str) -> None:
        """Know nothing of a machine's cameras any more."""
        for key in [key for key in self._cameras if key[0] == machine]:
            del self._cameras[key]
            self._gone.append(_name(*key))

    def _camera(self, machine: str, camera: str) -> Camera:
        return self._cameras.setdefault((machine, camera), Camera(machine, camera))

    def of(self, machine: str) -> tuple[Camera, ...]:
        """The cameras of a machine, to be looked at and left as they are."""
        return tuple(camera for key, camera in self._cameras.items() if key[0] == machine)

    @property
    def settings(self) -> CameraSettings:
        """What the configuration says."""
        return self._settings

    def find(self, named: str) -> tuple[Camera, Suspect] | None:
        """The unusual picture of that id, or the one that the alarm of that id showed last."""
        for camera in self._cameras.values():
            suspect = camera.suspects.get(named) or camera.shown(named)
            if suspect is not None:
                return camera, suspect
        return None

    def camera_of(self, named: str) -> Camera | None:
        """The camera of which an open alarm has that id, or that took a picture of that id for good."""
        for camera in self._cameras.values():
            alarm = camera.state.alarm
            if (alarm is not None and alarm.id == named) or (
                camera.memory is not None and named in accepted(camera.memory)
            ):
                return camera
        return None

    @property
    def frames(self) -> int:
        """Pictures that a camera is learnt from."""
        return self._settings.frames

    @property
    def open_findings(self) -> tuple[Alarm, ...]:
        """What is unusual before cameras and wrong with them."""
        states = [camera.state for camera in self._cameras.values()]
        both = (alarm for state in states for alarm in (state.alarm, state.finding))
        return tuple(alarm for alarm in both if alarm is not None)

    # -- across restarts -------------------------------------------------------------------------------------

    def changes(self) -> Iterator[tuple[str, bytes | None]]:
        """Values to keep, by name; None: to be forgotten."""
        gone, self._gone = self._gone, []
        for name in gone:
            yield name, None
        for key, camera in self._cameras.items():
            if camera.changed:
                camera.changed = False
                yield _name(*key), msgspec.msgpack.encode(camera.state)

    def restore(self, values: Mapping[str, bytes]) -> list[str]:
        """Go on where an earlier process stood; the names of what cannot be read, whose cameras go on without it."""
        bad = []
        for name, raw in values.items():
            if not name.startswith(_PREFIX):
                continue
            machine, slash, camera = name.removeprefix(_PREFIX).partition("/")
            try:
                state = msgspec.msgpack.decode(raw, type=CameraState)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                bad.append(name)
                continue
            if slash:
                self._camera(machine, camera).state = state
        return bad


def _name(machine: str, camera: str) -> str:
    return f"{_PREFIX}{machine}/{camera}"


def _other_size(camera: Camera, picture: Picture) -> str:
    """Why a picture has another grid than what is known of its camera; empty where it has not."""
    grid = picture.pixels.shape[0] // _CELL_PIXELS
    known = camera.memory.grid if camera.memory is not None else None
    if known is None and camera.gathered:
        known = camera.gathered[0].patches.shape[0]
    if known in (None, grid):
        return ""
    return f"image.size is another than was learnt ({8 * (known or 0)}): recommission the machine"


def _shown(picture: Picture) -> NDArray[np.uint8]:
    """The pixels [S, S, 3] with grey where nothing counts: the network looks farther than a cell."""
    if picture.counted is None:
        return picture.pixels
    return np.where(picture.counted[..., np.newaxis], picture.pixels, np.uint8(_GREY))


def _cells(picture: Picture) -> NDArray[np.bool_] | None:
    """[G, G] cells of which most pixels count; None: all."""
    if picture.counted is None:
        return None
    grid = picture.counted.shape[0] // _CELL_PIXELS
    blocks = picture.counted.reshape(grid, _CELL_PIXELS, grid, _CELL_PIXELS)
    found: NDArray[np.bool_] = blocks.mean(axis=(1, 3)) >= 0.5
    return found
