"""Cameras of the running agent: the desk, its network when a picture comes, a worker that learns, and files."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from edge_agent.config.file import Config
from edge_agent.config.sections import SHIPPED_PICTURES
from edge_agent.errors import BundleError, StateError
from edge_agent.logs import get_logger
from edge_agent.model import picture
from edge_agent.model.session import PictureSession
from edge_agent.mqtt.outbox import Outbox
from edge_agent.pipeline.cameras import answers
from edge_agent.pipeline.cameras.answers import PictureAnswer
from edge_agent.pipeline.cameras.desk import CameraDesk, CameraSettings
from edge_agent.pipeline.cameras.inspection import Suspect
from edge_agent.pipeline.cameras.kinds import Kinds
from edge_agent.pipeline.cameras.learning import CameraMemory, CameraRequest, learn
from edge_agent.records import Alarm, Decoded, Delivery, Float32
from edge_agent.service.cameras.inspections import message
from edge_agent.service.learning_worker import give_memory_back
from edge_agent.store.camera_files import CameraFiles
from edge_agent.topics import parse

log = get_logger()

_KEPT_EVERY_NS = 5_000_000_000
"""Unusual pictures that follow faster are kept in memory alone, to spare the disk where all parts are bad."""

_TRIMMED_EVERY_S = 0.5
"""What looking at a picture took for a moment, 40 MB, goes back to the system so often."""

KeepValue = Callable[[str, bytes | None], None]


class LazyNetwork:
    """The shipped network, read and started when the first picture is looked at: 1.4 MB of file, 50 MB of memory."""

    def __init__(self) -> None:
        self._session: PictureSession | None = None

    def look(self, pixels: NDArray[np.uint8]) -> Float32:
        """As `PictureSession.look`.

        Raises:
            BundleError: the network cannot be trusted.
        """
        if self._session is None:
            self._session = PictureSession(picture.read(SHIPPED_PICTURES))
        return self._session.look(pixels)


def camera_settings(config: Config) -> CameraSettings:
    """What the configuration says, in the desk's words."""
    return CameraSettings(
        frames=config.commission.frames,
        budget_per_week=config.budget.false_alarms_per_week,
        limit=config.limits.cameras,
        naming=config.naming,
    )


def new_desk(config: Config) -> CameraDesk:
    """A desk that starts its network when it needs it; one that cannot be read is told when a picture comes."""
    try:
        network = picture.identity(SHIPPED_PICTURES)
    except BundleError:
        network = ""
    return CameraDesk(LazyNetwork().look, network=network, settings=camera_settings(config))


class Cameras:
    """The desk with all that is around it; belongs to the pipeline's thread."""

    def __init__(self, config: Config, outbox: Outbox) -> None:
        """Verdicts on parts go into `outbox`."""
        self.desk = new_desk(config)
        self._config, self._outbox = config, outbox
        self._looked, self._trimmed_s = 0, 0.0
        self._kept_ns: dict[tuple[str, str], int] = {}
        self._network = self.desk.network
        self._files = CameraFiles(config.agent.state_dir)
        self._requests: SimpleQueue[CameraRequest] = SimpleQueue()
        self._learnt: SimpleQueue[CameraMemory | tuple[CameraRequest, str]] = SimpleQueue()
        self._worker: threading.Thread | None = None

    def restore(self, values: Mapping[str, bytes]) -> None:
        """Go on where an earlier process stood."""
        for name in self.desk.restore(values):
            log.warning("state_value_unusable", name=name, bytes=len(values[name]))
        for memory in self._files.load(network=self._network):
            self.desk.recall(memory)
        kinds = self._files.kinds(network=self._network)
        suspects = self._files.suspects(network=self._network)
        for machine, camera in kinds.keys() | suspects.keys():
            key = machine, camera
            self.desk.recall_pictures(*key, kinds.get(key, Kinds()), suspects.get(key, ()))
        for (machine, camera), kept in self._files.gathered(network=self._network).items():
            self.desk.regather(machine, camera, kept)

    def reading(self, decode: Callable[[Delivery], Decoded]) -> Callable[[Delivery], Decoded]:
        """As `CameraDesk.reading`."""
        return self.desk.reading(decode)

    def adopt(self, config: Config) -> None:
        """Go on by another configuration."""
        self._config = config
        self.desk.adopt(camera_settings(config))

    def turn(self, keep_value: KeepValue) -> list[Alarm]:
        """Install what was learnt, have learnt what is to be, write down what changed; what is to be told."""
        self._install()
        for request in self.desk.requests():
            self._submit(request)
        for machine, camera, kept in self.desk.gathered():
            try:
                self._files.keep(machine, camera, kept, network=self._network)
            except StateError as error:  # learning goes on from memory
                log.warning("state_not_saved", path=str(error.path), reason=error.reason)
        for machine, camera, suspect in self.desk.suspects():
            if suspect.time_ns - self._kept_ns.get((machine, camera), 0) >= _KEPT_EVERY_NS or suspect.alarm:
                self._kept_ns[machine, camera] = suspect.time_ns
                self._keep_suspect(machine, camera, suspect)
        for name, value in self.desk.changes():
            keep_value(name, value)
        self._tell_parts()
        if self.desk.looked != self._looked and time.monotonic() - self._trimmed_s >= _TRIMMED_EVERY_S:
            self._looked, self._trimmed_s = self.desk.looked, time.monotonic()
            give_memory_back()
        return self.desk.alarms()

    def _tell_parts(self) -> None:
        """Verdicts go the way of alerts: written down with the turn, then said until the broker has them."""
        inspections, topic = self.desk.inspections(), self._config.alerts.inspection_topic
        if inspections and topic:
            template = parse(topic, allowed=None, required=frozenset())
            for found in inspections:
                self._outbox.put(message(found, agent=self._config.agent.name, topic=template))

    # -- what people answer ----------------------------------------------------------------------------------

    def machine_of(self, picture: str) -> str | None:
        """The machine whose unusual picture has that id, its own or that of the alarm that showed it."""
        return answers.machine_of(self.desk, picture)

    def name(self, picture: str, fault: str, *, by: str) -> PictureAnswer:
        """What a picture shows; kept, so that a restart knows it, too."""
        return self._keep_answer(answers.name(self.desk, picture, fault, by=by))

    def accept(self, picture: str) -> PictureAnswer:
        """A picture is good."""
        return self._keep_answer(answers.accept(self.desk, picture))

    def take_back(self, picture: str) -> PictureAnswer:
        """A picture is not good after all."""
        return self._keep_answer(answers.take_back(self.desk, picture))

    def _keep_answer(self, answer: PictureAnswer) -> PictureAnswer:
        camera = answer.camera
        if camera is None:
            return answer
        machine, network = camera.machine, self._network
        try:
            if camera.memory is not None:
                self._files.save(camera.memory)
            self._files.save_kinds(machine, camera.name, camera.kinds, network=network)
            for suspect in camera.suspects.values():
                if suspect.good or any(case.id == suspect.id for case in camera.kinds.cases):
                    self._files.keep_suspect(machine, camera.name, suspect, network=network)
        except StateError as error:
            log.warning("state_not_saved", path=str(error.path), reason=error.reason)
            return replace(answer, detail=f"known until the agent restarts: {error.reason}")
        return answer

    def _keep_suspect(self, machine: str, camera: str, suspect: Suspect) -> None:
        try:
            self._files.keep_suspect(machine, camera, suspect, network=self._network)
        except StateError as error:
            log.warning("state_not_saved", path=str(error.path), reason=error.reason)

    def drop_files(self, machine: str) -> None:
        """Delete what is kept of a machine's cameras; to be called before the desk forgets them."""
        for camera in self.desk.of(machine):
            with contextlib.suppress(StateError):
                self._files.drop(machine, camera.name)

    def amiss(self) -> list[str]:
        """What keeps pictures from being looked at, for health."""
        return [self.desk.trouble] if self.desk.trouble else []

    def _submit(self, request: CameraRequest) -> None:
        log.info(
            "camera_learning", machine=request.machine, camera=request.camera, pictures=len(request.patches)
        )
        self._requests.put(request)
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="camera-learner", daemon=True)
            self._worker.start()

    def _work(self) -> None:
        while True:
            request = self._requests.get()
            try:
                self._learnt.put(learn(request))
            except Exception as error:
                log.exception("camera_learning_crashed", machine=request.machine, camera=request.camera)
                self._learnt.put((request, f"internal error: {error!r}"))
            del request  # the pictures are large
            give_memory_back()

    def _install(self) -> None:
        while not self._learnt.empty():
            found = self._learnt.get()
            if isinstance(found, tuple):
                self.desk.fail(found[0].machine, found[0].camera, found[1])
                continue
            try:
                self._files.save(found)
            except StateError as error:
                log.warning("state_not_saved", path=str(error.path), reason=error.reason)
            self.desk.install(found)
            log.info(
                "camera_learnt",
                machine=found.machine,
                camera=found.camera,
                threshold=round(found.threshold, 3),
            )
