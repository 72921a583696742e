"""Parts that pass a camera: a verdict on each, what is named from few of them, and what is said to be good."""

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice

import numpy as np
import pytest

from edge_agent.alarms.payload import to_payload
from edge_agent.config.sections import SHIPPED_PICTURES
from edge_agent.formats.image.decoder import ImageSettings, pictures
from edge_agent.formats.origin import Origin
from edge_agent.model import picture as bundles
from edge_agent.model.session import PictureSession
from edge_agent.pipeline.cameras import answers
from edge_agent.pipeline.cameras.camera import SUSPECTS_KEPT
from edge_agent.pipeline.cameras.desk import CameraDesk, CameraSettings
from edge_agent.pipeline.cameras.inspection import Inspection
from edge_agent.pipeline.cameras.learning import CameraMemory, learn
from edge_agent.records import Alarm, Frame
from simulator.parts import part, png
from tests.support.scenes import jpeg, scene

START_NS, MINUTE_NS = 1_700_000_000_000_000_000, 60_000_000_000
LEARNT = 20
SCRATCHED = (200, 203, 206, 207, 210, 212, 213, 215, 216, 217)
NETWORK = PictureSession(bundles.read(SHIPPED_PICTURES))


@lru_cache
def plate(number: int, fault: str = "") -> bytes:
    return png(part("plate", number, fault))


@lru_cache(1)
def memory() -> CameraMemory:
    one = desk()
    show(one, [plate(number) for number in range(LEARNT)])
    found = one.of("press-4")[0].memory
    assert found is not None
    return found


def desk() -> CameraDesk:
    return CameraDesk(NETWORK.look, network=NETWORK.bundle.digest, settings=CameraSettings(frames=LEARNT))


def learnt() -> CameraDesk:
    """A desk whose camera has seen twenty good plates, ten minutes apart: three suspects of twenty are an alarm."""
    one = desk()
    one.recall(memory())
    return one


def show(
    one: CameraDesk, files: Iterable[bytes], *, at: int = 0, subject: str = "part"
) -> tuple[list[Inspection], list[Alarm]]:
    decode, told, raised = pictures(ImageSettings(size=128, subject=subject)), [], []  # type: ignore[arg-type]
    for number, file in enumerate(files, at):
        received_ns = START_NS + number * 10 * MINUTE_NS
        frame = decode(file, Origin("press-4", "cam1", received_ns, MINUTE_NS))
        assert isinstance(frame, Frame)
        assert frame.picture is not None
        one.take(frame, frame.picture)
        for request in one.requests():
            one.install(learn(request))
        told += one.inspections()
        raised += one.alarms()
    return told, raised


def scratched(count: int, *, first: int = 200) -> list[bytes]:
    """Of those whose scratch is not faint."""
    found = (plate(number, "scratch") for number in SCRATCHED if number >= first)
    return list(islice(found, count))


def test_every_part_has_a_verdict_with_an_id_of_its_own_and_where_it_is_bad() -> None:
    told, raised = show(learnt(), [plate(50), *scratched(1), plate(51)])
    assert [one.verdict for one in told] == ["good", "suspect", "good"]
    assert len({one.id for one in told}) == 3
    assert told[0].id == "press-4-20231114T221320Z-cam1-1"
    assert (told[0].score or 2.0) < 1.0 < (told[1].score or 0.0)
    assert told[1].boxes
    assert not told[0].boxes
    assert raised == []


def test_a_part_that_nobody_could_judge_is_told_as_such_with_the_reason() -> None:
    told, _ = show(desk(), [plate(0)])
    assert [(one.verdict, one.why, one.score) for one in told] == [("unjudged", "it is being learnt", None)]
    one = learnt()
    dark = png(part("plate", 70) // 8)
    told, _ = show(one, [dark])
    assert [(one.verdict, one.why) for one in told] == [("unjudged", "camera dark")]
    told, _ = show(one, [png(part("plate", 70)[:128])], at=1)
    assert told[0].verdict == "unjudged"
    assert "another shape" in told[0].why


def test_parts_that_lie_elsewhere_are_judged_and_no_camera_was_moved() -> None:
    told, _ = show(learnt(), [png(np.roll(part("plate", 50 + n), 6 * n, axis=1)) for n in range(3)])
    assert [one.why for one in told] == ["", "", ""]


def test_a_scene_has_no_verdicts() -> None:
    told, _ = show(desk(), [jpeg(scene(1))], subject="scene")
    assert told == []


def test_a_picture_that_came_before_is_no_second_verdict() -> None:
    one = learnt()
    show(one, [plate(50)], at=3)
    told, _ = show(one, [plate(50)], at=3)
    assert told == []


def test_three_suspects_of_twenty_are_an_alarm_that_says_so_and_twenty_good_ones_its_end() -> None:
    one = learnt()
    files = [
        plate(50),
        *scratched(1),
        plate(51),
        *scratched(1, first=203),
        plate(52),
        *scratched(1, first=206),
    ]
    _, raised = show(one, files)
    assert [(alarm.revision, alarm.state) for alarm in raised] == [(1, "open")]
    assert raised[0].pictured is not None
    assert (raised[0].pictured.suspects, raised[0].pictured.parts) == (3, 20)
    told = to_payload(raised[0], agent="hall")
    assert told["summary"].startswith("3 of the last 20 parts of press-4 look unusual to cam1, ")
    assert (told["picture"]["suspects"], told["picture"]["parts"]) == (3, 20)
    good = [plate(50 + number % 8) for number in range(21)]
    _, over = show(one, good[:19], at=10)
    assert over == []
    _, over = show(one, good[19:], at=29)
    assert [(alarm.id, alarm.state) for alarm in over] == [(raised[0].id, "closed")]


def test_kinds_are_named_from_one_label_each_and_an_alarm_names_the_commonest() -> None:
    one = learnt()
    told, _ = show(one, [*scratched(1), plate(300, "chip")])
    for found, name in zip(told, ("scratch", "Chip"), strict=True):
        assert answers.name(one, found.id, name, by="anna").reason is None
    told, raised = show(one, [*scratched(3, first=203), plate(207, "chip"), *scratched(4, first=210)], at=10)
    named = [found.kind for found in told]
    assert named[3] in ("Chip", "")
    assert named.count("scratch") >= 3
    assert "Chip" not in named[:3] + named[4:]
    assert raised[-1].fault == "scratch"
    assert 0.5 <= raised[-1].fault_probability <= 1.0
    assert "scratch" in to_payload(raised[-1], agent="hall")["summary"]


def test_a_name_is_spelt_as_it_was_first_and_what_is_no_name_is_refused() -> None:
    one = learnt()
    told, _ = show(one, scratched(2))
    answers.name(one, told[0].id, "Scratch", by="anna")
    answers.name(one, told[1].id, " scratch ", by="anna")
    assert one.of("press-4")[0].kinds.names == ("Scratch",)
    for name in ("", "unknown", "x" * 65, "a\nb"):
        assert answers.name(one, told[0].id, name, by="anna").reason == "malformed"
    assert answers.name(one, "nothing", "chip", by="anna").reason == "unknown_alarm"


def test_an_alarm_is_named_by_its_own_id_too_and_says_who_named_it() -> None:
    one = learnt()
    _, raised = show(one, scratched(3))
    answer = answers.name(one, raised[-1].id, "scratch", by="anna")
    assert answer.alarm is not None
    assert (answer.alarm.fault, answer.alarm.fault_by) == ("scratch", "anna")
    assert answer.alarm.revision == raised[-1].revision + 1
    assert len(one.of("press-4")[0].kinds.cases) == 1
    _, more = show(one, [plate(301, "chip")], at=10)
    assert all((alarm.fault, alarm.fault_by) == ("scratch", "anna") for alarm in more)


@pytest.mark.parametrize("fault", ["scratch", "stain"])
def test_what_is_said_to_be_good_is_good_from_then_on_until_it_is_taken_back(fault: str) -> None:
    one, bad = learnt(), plate(402, fault)
    told, _ = show(one, [bad])
    assert told[0].verdict == "suspect"
    answer = answers.accept(one, told[0].id)
    assert (answer.reason, answer.camera) == (None, one.of("press-4")[0])
    again, _ = show(one, [bad, plate(305, "chip")], at=5)
    assert [found.verdict for found in again] == ["good", "suspect"]
    assert answers.accept(one, told[0].id).camera is None  # it was so already
    assert answers.take_back(one, told[0].id).camera is not None
    again, _ = show(one, [bad], at=10)
    assert again[0].verdict == "suspect"
    assert again[0].score == pytest.approx(told[0].score)


def test_an_alarm_that_is_good_is_over_and_a_scenes_place_is_usual() -> None:
    one = desk()
    bad = [jpeg(scene(100 + number, scratch=True)) for number in range(8)]
    show(one, [jpeg(scene(number)) for number in range(LEARNT)], subject="scene")
    said = []
    for at in (
        30,
        40,
        50,
    ):  # one example says little of what is usual: it may take a second and a third answer
        _, raised = show(one, bad[2 * at // 10 - 6 :][:2], at=at, subject="scene")
        for alarm in raised[:1]:
            assert answers.accept(one, alarm.id).reason is None
            said.append(alarm)
        assert one.open_findings == ()
    scores = [alarm.score for alarm in said]
    assert scores[0] > 10
    assert max(scores[1:], default=0.0) < 0.1 * scores[0]
    _, more = show(one, bad[6:], at=60, subject="scene")
    assert more == []
    for alarm in said:
        assert answers.take_back(one, alarm.id).camera is not None
    _, more = show(one, bad[6:], at=70, subject="scene")
    assert [alarm.revision for alarm in more] == [1]


def test_suspects_are_bounded_and_the_one_that_an_open_alarm_shows_stays() -> None:
    one = learnt()
    _, raised = show(one, [plate(500 + number % 6, "scratch") for number in range(SUSPECTS_KEPT + 8)])
    camera = one.of("press-4")[0]
    assert len(camera.suspects) == SUSPECTS_KEPT
    assert camera.shown(raised[0].id) is not None


def test_names_and_what_was_said_to_be_good_go_on_after_a_restart() -> None:
    first = learnt()
    told, _ = show(first, [*scratched(1), plate(402, "stain")])
    answers.name(first, told[0].id, "scratch", by="anna")
    answers.accept(first, told[1].id)
    kept = first.of("press-4")[0]
    assert kept.memory is not None
    second = desk()
    second.recall(kept.memory)
    second.recall_pictures("press-4", "cam1", kept.kinds, kept.suspects.values())
    told, _ = show(second, [*scratched(1, first=206), plate(402, "stain")], at=10)
    assert [(found.verdict, found.kind) for found in told] == [("suspect", "scratch"), ("good", "")]
