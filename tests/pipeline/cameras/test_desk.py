"""A camera from its first picture to its alarm, and whatever comes instead of a good picture."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_agent.alarms.payload import to_payload
from edge_agent.config.sections import SHIPPED_PICTURES
from edge_agent.formats.image.decoder import ImageSettings, pictures
from edge_agent.formats.origin import Origin
from edge_agent.model import picture as bundles
from edge_agent.model.session import PictureSession
from edge_agent.pipeline.cameras.desk import CameraDesk, CameraSettings
from edge_agent.pipeline.cameras.learning import learn
from edge_agent.records import Alarm, Float32, Frame, Reject
from tests.support.scenes import jpeg, scene

START_NS, SECOND_NS = 1_700_000_000_000_000_000, 1_000_000_000
SETTINGS = CameraSettings(frames=12)
NETWORK = PictureSession(bundles.read(SHIPPED_PICTURES))
CALM = [jpeg(scene(number)) for number in range(20)]
SCRATCHED = [jpeg(scene(100 + number, scratch=True)) for number in range(6)]


def desk(settings: CameraSettings = SETTINGS) -> CameraDesk:
    return CameraDesk(NETWORK.look, network=NETWORK.bundle.digest, settings=settings)


def show(
    one: CameraDesk, files: Iterable[bytes], *, at: int, camera: str = "cam1", **settings: object
) -> list[Alarm]:
    """Pictures a second apart; the revisions that came of them. What is to be learnt is learnt at once."""
    decode = pictures(ImageSettings(**{"size": 128, **settings}))  # type: ignore[arg-type]
    found = []
    for number, file in enumerate(files):
        received_ns = START_NS + (at + number) * SECOND_NS
        frame = decode(file, Origin("press-4", camera, received_ns, SECOND_NS))
        assert isinstance(frame, Frame)
        assert frame.picture is not None
        outcome = one.take(frame, frame.picture)
        assert isinstance(outcome, Frame), outcome
        assert outcome.picture is None
        assert len(outcome.channels) == len(outcome.rows[0]) == 6
        for request in one.requests():
            one.install(learn(request))
        found += one.alarms()
    return found


def learnt(**settings: object) -> CameraDesk:
    one = desk()
    assert show(one, CALM[:12], at=0, **settings) == []
    assert one.of("press-4")[0].memory is not None
    return one


@pytest.mark.parametrize("subject", ["scene", "part"])
def test_a_scratch_is_one_alarm_with_its_place_and_ends_with_it(subject: str) -> None:
    one = learnt(subject=subject)
    assert show(one, CALM[12:20], at=12, subject=subject) == []
    opened, *more = show(one, SCRATCHED, at=20, subject=subject)
    assert (opened.revision, opened.state, opened.told_kind, opened.fault) == (
        1,
        "open",
        "picture",
        "unusual picture",
    )
    assert all(alarm.id == opened.id for alarm in more)
    assert opened.pictured is not None
    worst = opened.pictured.boxes[0]
    middle = (worst.x + worst.width / 2, worst.y + worst.height / 2)
    assert middle == pytest.approx((127 / 320, 190 / 240), abs=0.15)
    assert opened.channels[0].name in ("cam1 row 3 column 2", "cam1 row 4 column 2")
    told = to_payload(opened, agent="hall")
    assert told["kind"] == "picture"
    seen = {
        "scene": "press-4 has looked unusual to cam1, lower middle, since ",
        "part": "5 of the last 20 parts of press-4 look unusual to cam1, the latest lower middle, since ",
    }
    assert told["summary"].startswith(seen[subject])
    over = [alarm for alarm in show(one, CALM * 2, at=40, subject=subject) if alarm.state == "closed"]
    assert [alarm.id for alarm in over] == [opened.id]
    assert one.open_findings == ()


def test_a_single_loud_picture_calls_nobody() -> None:
    one = learnt()
    assert show(one, [CALM[12], SCRATCHED[0], CALM[13], SCRATCHED[1], CALM[14]], at=12) == []


@pytest.mark.parametrize(
    ("said", "pictures_"),
    [
        ("camera dark", [jpeg(scene(n, light=0.2)) for n in range(3)]),
        ("camera dazzled", [jpeg(scene(n, light=4.0)) for n in range(3)]),
        ("camera blurred", [jpeg(scene(n).resize((16, 12)).resize((320, 240))) for n in range(3)]),
        ("camera moved", [jpeg(scene(n, moved=40)) for n in range(3)]),
        ("camera frozen", [CALM[12]] * 7),
    ],
)
def test_a_camera_that_cannot_be_believed_is_a_finding_and_hides_the_score(
    said: str, pictures_: list[bytes]
) -> None:
    one = learnt()
    opened, *more = show(one, pictures_, at=12)
    assert more == []
    assert (opened.kind, opened.told_kind, opened.fault) == ("sensor", "sensor", said)
    sight = one.of("press-4")[0].sight
    assert sight is not None
    assert (sight.unusual, sight.why) == (None, said)
    over = show(one, CALM[13:17], at=30)
    assert [(alarm.id, alarm.state) for alarm in over] == [(opened.id, "closed")]


def test_the_lower_half_of_a_picture_that_is_grey_does_not_pass_for_good() -> None:
    torn = []
    for number in range(3):
        pixels = np.asarray(scene(number)).copy()
        pixels[120:] = 127
        torn.append(jpeg(Image.fromarray(pixels)))
    (opened, *_) = show(learnt(), torn, at=12)
    assert opened.told_kind in ("picture", "sensor")


def test_a_camera_that_moved_by_two_percent_is_one_alarm_and_a_gauge_that_says_how_far() -> None:
    one = learnt()
    opened, *more = show(one, [jpeg(scene(n, moved=6)) for n in range(4)], at=12)
    assert opened.revision == 1
    assert {alarm.id for alarm in more} <= {opened.id}
    camera, frame = one.of("press-4")[0], pictures(ImageSettings(size=128))(
        jpeg(scene(9, moved=6)), Origin("press-4", "cam1", START_NS + 90 * SECOND_NS, SECOND_NS)
    )  # fmt: skip
    assert isinstance(frame, Frame)
    assert frame.picture is not None
    assert camera.gauges(frame, frame.picture)[4] == pytest.approx(100 * 6 / 320, abs=1.0)


def test_day_and_night_are_usual_where_both_were_learnt_and_dark_where_only_day_was() -> None:
    night = [jpeg(scene(30 + number, light=0.35)) for number in range(8)]
    one = desk()
    show(one, [CALM[number] if number % 2 else night[number // 2] for number in range(12)], at=0)
    assert show(one, [night[6], CALM[13], night[7], CALM[14]], at=12) == []
    assert [alarm.fault for alarm in show(learnt(), night[:3], at=12)] == ["camera dark"]


def test_a_burst_of_a_hundred_pictures_is_looked_at_once_a_second() -> None:
    one, decode = learnt(), pictures(ImageSettings(size=128))
    before, outcomes = one.looked, []
    for number in range(100):
        received_ns = START_NS + 60 * SECOND_NS + number * SECOND_NS // 100
        frame = decode(CALM[number % 20], Origin("press-4", "cam1", received_ns, SECOND_NS))
        assert isinstance(frame, Frame)
        assert frame.picture is not None
        outcomes.append(one.take(frame, frame.picture))
    assert one.looked - before == 2  # the first, and one that is nearly a second later
    assert sum(isinstance(outcome, Reject) for outcome in outcomes) == 98


def test_two_cameras_under_one_name_are_an_alarm_though_no_two_pictures_in_a_row_are_unusual() -> None:
    other = [jpeg(scene(number).rotate(180)) for number in range(8)]
    turns = [file for both in zip(CALM[12:20], other, strict=True) for file in both]
    opened, *_ = show(learnt(), turns, at=12)
    assert (opened.told_kind, opened.state) == ("sensor", "open")
    scratched = [file for both in zip(CALM[12:18], SCRATCHED, strict=True) for file in both]
    opened, *_ = show(learnt(), scratched, at=12)
    assert (opened.told_kind, opened.state) == ("picture", "open")


def test_what_comes_too_fast_is_passed_over_and_counted_by_reason() -> None:
    one, decode = desk(), pictures(ImageSettings(size=128, every_s=10.0))
    outcomes = []
    for number in range(21):
        frame = decode(CALM[number % 20], Origin("press-4", "cam1", START_NS + number * SECOND_NS, SECOND_NS))
        assert isinstance(frame, Frame)
        assert frame.picture is not None
        outcomes.append(one.take(frame, frame.picture))
    reasons = [one.reason if isinstance(one, Reject) else "" for one in outcomes]
    assert [number for number, reason in enumerate(reasons) if not reason] == [0, 9, 18]
    assert set(reasons) == {"", "surplus"}


def test_an_older_picture_is_neither_learnt_nor_judged() -> None:
    one = desk()
    show(one, CALM[:3], at=5)
    show(one, CALM[3:5], at=0)
    assert len(one.of("press-4")[0].gathered) == 3


def test_another_shape_than_was_learnt_is_refused_and_never_stretched() -> None:
    one, decode = learnt(), pictures(ImageSettings(size=128))
    for picture, size in ((scene(1).resize((320, 180)), 128), (scene(1), 256)):
        decode = pictures(ImageSettings(size=size))  # type: ignore[arg-type]
        frame = decode(jpeg(picture), Origin("press-4", "cam1", START_NS + 60 * SECOND_NS, SECOND_NS))
        assert isinstance(frame, Frame)
        assert frame.picture is not None
        outcome = one.take(frame, frame.picture)
        assert isinstance(outcome, Reject)
        assert outcome.reason == "unsupported"
        assert "recommission" in outcome.detail
    assert show(one, [jpeg(scene(1).resize((640, 480)))], at=61) == []  # another size of the same shape


def test_a_place_that_is_ignored_raises_no_alarm() -> None:
    one = learnt(ignore=((0.2, 0.5, 0.4, 0.5),))
    assert show(one, SCRATCHED, at=20, ignore=((0.2, 0.5, 0.4, 0.5),)) == []
    assert show(learnt(), SCRATCHED, at=20)


def test_a_restart_goes_on_with_what_was_gathered_learnt_and_open() -> None:
    one = desk()
    show(one, CALM[:5], at=0)
    kept, values = one.gathered(), dict(one.changes())
    second = desk()
    assert second.restore({name: raw for name, raw in values.items() if raw is not None}) == []
    second.regather("press-4", "cam1", [gathered for _, _, gathered in kept])
    show(second, CALM[5:12], at=5)
    memory = second.of("press-4")[0].memory
    assert memory is not None
    assert memory.threshold == pytest.approx(_memory(learnt()).threshold)
    opened = show(second, SCRATCHED[:2], at=20)[0]
    values = dict(second.changes())
    third = desk()
    third.restore({name: raw for name, raw in values.items() if raw is not None})
    third.recall(memory)
    assert third.open_findings == (opened,)
    over = show(third, CALM[12:17], at=40)
    assert [(alarm.id, alarm.state) for alarm in over] == [(opened.id, "closed")]


def _memory(one: CameraDesk) -> object:
    found = one.of("press-4")[0].memory
    assert found is not None
    return found


def test_state_that_cannot_be_read_is_named_and_costs_only_itself() -> None:
    assert desk().restore({"camera/press-4/cam1": b"junk", "sources": b""}) == ["camera/press-4/cam1"]


def test_what_another_network_has_learnt_means_nothing() -> None:
    memory = learnt().of("press-4")[0].memory
    assert memory is not None
    other = CameraDesk(NETWORK.look, network="another", settings=SETTINGS)
    other.recall(memory)
    assert other.of("press-4") == ()


def test_without_the_network_gauges_go_on_and_the_reason_is_told() -> None:
    def broken(pixels: NDArray[np.uint8]) -> Float32:
        raise RuntimeError(f"no network for {len(pixels)} pictures")

    one = CameraDesk(broken, network="x", settings=SETTINGS)
    assert show(one, CALM[:3], at=0) == []
    assert "no network for 1 pictures" in one.trouble


def test_a_flood_of_cameras_is_bounded_and_a_forgotten_machine_leaves_nothing() -> None:
    one = desk(replace(SETTINGS, limit=2))
    show(one, CALM[:1], at=0, camera="a")
    show(one, CALM[:1], at=0, camera="b")
    frame = pictures(ImageSettings(size=128))(CALM[0], Origin("press-4", "c", START_NS, SECOND_NS))
    assert isinstance(frame, Frame)
    assert frame.picture is not None
    outcome = one.take(frame, frame.picture)
    assert isinstance(outcome, Reject)
    assert outcome.reason == "too_many_channels"
    list(one.changes())
    one.forget("press-4")
    assert dict(one.changes()) == {"camera/press-4/a": None, "camera/press-4/b": None}
    assert one.of("press-4") == ()
