"""One camera: the pictures that it is learnt from, its score, its alarm and what is wrong with itself. Pure.

A scene is unusual when two pictures in a row are, or five of the last twenty, and usual again when three in a row are.
Of parts, each another one, the same is said where more of the last twenty are suspects than the budget allows, three at
least, and of twenty good ones.
"""

import hashlib
from collections import Counter, OrderedDict
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.pictures.shift import shift, thumbnail
from edge_agent.formats.image.gauges import luma
from edge_agent.formats.image.pixels import thumbnail as jpeg
from edge_agent.pipeline.cameras import evidence, faults
from edge_agent.pipeline.cameras.inspection import KEPT, KEPT_OF_SCENE, Suspect, excerpt, look_of, picture_id
from edge_agent.pipeline.cameras.kinds import Kinds
from edge_agent.pipeline.cameras.learning import FEWEST_SUSPECTS, LAST_PARTS, CameraMemory, CameraRequest
from edge_agent.records import Alarm, Float32, Frame, Picture, PictureEvidence
from edge_agent.sensors.findings import closed, opened

UNUSUAL = "unusual picture"
_LAST = LAST_PARTS
"""Pictures whose verdicts are kept, a bit each."""
SUSPECTS_KEPT = 20
"""Of a camera: to be looked at, named, and said good."""
_OFTEN = 5
"""Unusual pictures of a scene among the last twenty that are an alarm: two cameras under one name take turns."""
_BELIEVED_AFTER = 2
_GROWN = 1.25
"""An open alarm says again where it is when its score has grown so much."""
_MAJOR = 3.0
_ASPECT_TOLERANCE = 0.02
_THUMBNAIL = (64, 64)


@dataclass(slots=True)
class CameraState:
    """What outlives a restart, beside the memory.

    Attributes:
        last_ns: time of the newest picture.
        loud, blind: verdicts and faults of the last pictures, the newest the lowest bit.
        judged: pictures since it was learnt or its alarm began, 20 at most.
        told: score that the open alarm was last told with.
        count: alarms and findings so far.
        pictures: that came so far.
        still: the first picture that was learnt from, 64 x 64 bytes.
        file: digest of the newest file. alike: pictures in a row with it.
    """

    last_ns: int = 0
    loud: int = 0
    blind: int = 0
    judged: int = 0
    told: float = 0.0
    count: int = 0
    pictures: int = 0
    still: bytes = b""
    file: bytes = b""
    alike: int = 0
    alarm: Alarm | None = None
    finding: Alarm | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """A picture as it was looked at.

    Attributes:
        unusual: [G, G] relative to the threshold; None where it was not judged, `why` says why.
    """

    picture: Picture
    time_ns: int
    score: float | None = None
    unusual: Float32 | None = None
    why: str = ""


@dataclass(slots=True)
class Gathered:
    """A picture to learn from: patches [G, G, D], gauges [K]."""

    time_ns: int
    patches: NDArray[np.float16]
    gauges: Float32
    still: bytes


@dataclass(slots=True)
class Camera:
    """One of a machine's cameras."""

    machine: str
    name: str
    state: CameraState = field(default_factory=CameraState)
    memory: CameraMemory | None = None
    gathered: list[Gathered] = field(default_factory=list)
    asked: bool = False
    """It is being learnt."""
    reason: str = ""
    """Why it is not learnt, or learnt afresh."""
    sight: Sight | None = None
    changed: bool = False
    suspects: OrderedDict[str, Suspect] = field(default_factory=OrderedDict)
    """The latest unusual pictures, oldest first."""
    kinds: Kinds = field(default_factory=Kinds)

    def misfit(self, picture: Picture) -> str:
        """Why a picture cannot be compared with what was learnt; empty where it can."""
        if (
            self.memory is None
            or abs(picture.width / picture.height / self.memory.aspect - 1) <= _ASPECT_TOLERANCE
        ):
            return ""
        return (
            f"{picture.width} x {picture.height} pixels: pictures of another shape were learnt "
            f"(width by height {self.memory.aspect:.2f}); recommission the machine to learn these"
        )

    def gauges(self, frame: Frame, picture: Picture) -> Float32:
        """The gauges of a picture with how far it is shifted, [K] of `faults.GAUGES`."""
        small = thumbnail(luma(picture.pixels))
        if not self.state.still:
            self.state.still = small.tobytes()
        then = np.frombuffer(self.state.still, np.uint8).reshape(_THUMBNAIL)
        return np.array([*frame.rows[0], *shift(small, then)], np.float32)

    def blinded(self, picture: Picture, gauges: Float32) -> str:
        """What is wrong with the camera just now; empty where it can be believed."""
        state, digest = self.state, hashlib.sha256(picture.file).digest()[:16]
        state.alike = state.alike + 1 if digest == state.file else 1
        state.file = digest
        if self.memory is None:
            return "camera frozen" if state.alike >= faults.FROZEN_AFTER else ""
        low, high = self.memory.arrays["gauges_low"], self.memory.arrays["gauges_high"]
        scene = self.memory.subject == "scene"
        return faults.fault(gauges, low, high, alike=state.alike, scene=scene)

    def judge_camera(self, fault: str, gauges: Float32, *, time_ns: int, model: str) -> list[Alarm]:
        """The finding about the camera, opened or closed."""
        state = self.state
        state.blind = (state.blind << 1 | bool(fault)) & (1 << _LAST) - 1
        recent = state.blind & (1 << _BELIEVED_AFTER) - 1
        if state.finding is not None and (not recent or (fault and fault != state.finding.fault)):
            over, state.finding = closed(state.finding, time_ns=time_ns), None
            state.blind &= recent
            return [over]
        often = state.blind.bit_count() >= _OFTEN
        if state.finding is None and fault and (often or recent == (1 << _BELIEVED_AFTER) - 1):
            memory = self.memory
            low, high = (
                (gauges, gauges)
                if memory is None
                else (memory.arrays["gauges_low"], memory.arrays["gauges_high"])
            )
            state.finding = opened(
                self.machine,
                fault,
                number=self._next(),
                onset_ns=time_ns,
                time_ns=time_ns,
                model=model,
                channels=(faults.evidence(self.name, fault, gauges, low, high),),
            )
            return [state.finding]
        return []

    def gather(self, patches: Float32, gauges: Float32, *, time_ns: int) -> Gathered:
        """Keep a picture to learn from."""
        kept = Gathered(time_ns, patches.astype(np.float16), gauges, self.state.still)
        self.gathered.append(kept)
        return kept

    def request(
        self, picture: Picture, *, network: str, counted: NDArray[np.bool_] | None, budget_per_week: float
    ) -> CameraRequest:
        """What is to be learnt of what was gathered."""
        self.asked = True
        return CameraRequest(
            machine=self.machine,
            camera=self.name,
            network=network,
            subject=picture.subject,
            patches=np.stack([one.patches for one in self.gathered]),
            gauges=np.stack([one.gauges for one in self.gathered]),
            times_ns=tuple(one.time_ns for one in self.gathered),
            counted=counted,
            aspect=picture.width / picture.height,
            budget_per_week=budget_per_week,
            suspects=picture.suspects,
        )

    def install(self, memory: CameraMemory) -> None:
        """Judge by this from the next picture on."""
        self.memory, self.asked, self.reason = memory, False, ""
        self.kinds.arrange(memory.arrays)
        self.gathered.clear()
        self.state.loud = self.state.judged = 0
        self.changed = True

    def suspect(
        self, patches: Float32, unusual: Float32, score: float, picture: Picture, *, time_ns: int
    ) -> Suspect | None:
        """What is kept of a picture with patches [G, G, D] and that map; None where it is not unusual."""
        if score < 1.0:
            return None
        limit = KEPT if picture.subject == "part" else KEPT_OF_SCENE
        kept, cells = excerpt(patches, unusual, limit=limit)
        kind, probability = self.kinds.of(look_of(kept))
        number = self.state.pictures
        return Suspect(
            id=picture_id(self.machine, self.name, time_ns=time_ns, number=number),
            number=number,
            time_ns=time_ns,
            part=picture.part,
            score=score,
            patches=kept,
            cells=cells,
            jpeg=jpeg(picture.pixels),
            map=evidence.map_bytes(unusual),
            kind=kind,
            probability=probability,
        )

    def judge(
        self,
        unusual: Float32,
        score: float,
        picture: Picture,
        *,
        suspect: Suspect | None,
        time_ns: int,
        model: str,
    ) -> list[Alarm]:
        """What a picture's map means for the alarm; the suspect is kept where it is to be seen later."""
        state, part = self.state, picture.subject == "part"
        state.loud = (state.loud << 1 | (score >= 1.0)) & (1 << _LAST) - 1
        state.judged = min(state.judged + 1, _LAST)
        if suspect is not None and part:
            self.keep(suspect)
        found = evidence.of_map(
            unusual, camera=self.name, time_ns=time_ns, width=picture.width, height=picture.height
        )
        if part:
            found = replace(found, suspects=state.loud.bit_count(), parts=_LAST)
        quiet = not state.loud if part else not state.loud & 7
        if state.alarm is not None and quiet and state.judged >= (_LAST if part else 3):
            over = replace(closed(state.alarm, time_ns=time_ns), score=score)
            state.alarm, state.told, state.loud = None, 0.0, 0
            return [over]
        if suspect is None:
            return []
        kind, probability = self._kind(suspect, part=part)
        told = self._raised(score, unusual, found, part=part, time_ns=time_ns, model=model)
        named = kind != "" and told is not None and told.fault == UNUSUAL
        if told is None or (told is state.alarm and not named and score < _GROWN * state.told):
            return []
        if told is state.alarm:
            told = replace(
                told,
                revision=told.revision + 1,
                time_ns=time_ns,
                score=score,
                peak_score=max(score, told.peak_score),
                severity="major" if score >= _MAJOR else told.severity,
                channels=evidence.cells(unusual, camera=self.name),
                picture=found,
            )
        if kind and not told.fault_by:
            told = replace(told, fault=kind, fault_probability=probability)
        state.alarm, state.told = told, max(score, state.told)
        self.keep(replace(suspect, alarm=told.id))
        return [told]

    def _raised(
        self,
        score: float,
        unusual: Float32,
        found: PictureEvidence,
        *,
        part: bool,
        time_ns: int,
        model: str,
    ) -> Alarm | None:
        """The alarm that is open, or begins now; None where there is none."""
        state = self.state
        if state.alarm is not None:
            return state.alarm
        suspects = FEWEST_SUSPECTS if self.memory is None else self.memory.suspects
        often = state.loud.bit_count() >= (suspects if part else _OFTEN)
        loud = often or (not part and state.loud & 3 == 3)
        if not loud:
            return None
        alarm = opened(
            self.machine,
            UNUSUAL,
            number=self._next(),
            onset_ns=time_ns,
            time_ns=time_ns,
            model=model,
            channels=evidence.cells(unusual, camera=self.name),
            severity="major" if score >= _MAJOR else "warning",
        )
        state.told, state.judged = 0.0, 0
        return replace(alarm, score=score, peak_score=score, picture=found)

    def _kind(self, suspect: Suspect, *, part: bool) -> tuple[str, float]:
        """What a scene looks like, or most of the last suspects among the parts."""
        if not part:
            return suspect.kind, suspect.probability
        since = self.state.pictures - _LAST
        recent = [one for one in self.suspects.values() if one.number > since and one.kind]
        if not recent:
            return "", 0.0
        kind = Counter(one.kind for one in recent).most_common(1)[0][0]
        sure = [one.probability for one in recent if one.kind == kind]
        return kind, round(float(np.mean(sure)), 4)

    def keep(self, suspect: Suspect) -> None:
        """Have it to be seen later; the oldest goes that no open alarm shows."""
        self.suspects[suspect.id] = suspect
        shown = self.shown(self.state.alarm.id) if self.state.alarm is not None else None
        while len(self.suspects) > SUSPECTS_KEPT:
            oldest = next(name for name, one in self.suspects.items() if one is not shown)
            del self.suspects[oldest]

    def shown(self, alarm: str) -> Suspect | None:
        """The picture that an alarm showed last."""
        return next((one for one in reversed(self.suspects.values()) if one.alarm == alarm), None)

    def _next(self) -> str:
        """The part of an id that tells it from others of the same second: camera and count."""
        self.state.count += 1
        return f"{self.name}{self.state.count}"
