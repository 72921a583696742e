"""Cameras with their files and the outbox: verdicts go out in the documented form, and a restart goes on."""

import json
from pathlib import Path

import jsonschema
import pytest

from edge_agent.config import file as config_file
from edge_agent.config.file import Config
from edge_agent.formats.image.decoder import ImageSettings, pictures
from edge_agent.formats.origin import Origin
from edge_agent.mqtt.outbox import Outbox
from edge_agent.pipeline.cameras.learning import learn
from edge_agent.records import Frame
from edge_agent.service.cameras.running import Cameras
from simulator.parts import part, png

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "inspection.schema.json").read_text())
START_NS, MINUTE_NS = 1_700_000_000_000_000_000, 60_000_000_000
LEARNT = 12
BAD = (200, 203, 206)


def config(folder: Path, **alerts: str) -> Config:
    plain = config_file.defaults()
    return plain.model_copy(
        update={
            "agent": plain.agent.model_copy(update={"state_dir": folder}),
            "commission": plain.commission.model_copy(update={"frames": LEARNT}),
            "alerts": plain.alerts.model_copy(update=alerts),
        }
    )


def messages(outbox: Outbox) -> list[tuple[str, bytes]]:
    found = []
    while (message := outbox.next_message()) is not None:
        found.append((message.topic, message.payload))
        outbox.mark_sent(message, len(found))
        outbox.mark_acknowledged(len(found))
    return found


def show(cameras: Cameras, numbers: list[int], fault: str = "", *, at: int) -> None:
    decode = pictures(ImageSettings(subject="part", size=128))
    for minute, number in enumerate(numbers, at):
        file = png(part("plate", number, fault))
        frame = decode(file, Origin("press-4", "cam1", START_NS + minute * MINUTE_NS, MINUTE_NS))
        assert isinstance(frame, Frame)
        assert frame.picture is not None
        cameras.desk.take(frame, frame.picture)
        for request in cameras.desk.requests():
            memory = learn(request)
            cameras._files.save(memory)
            cameras.desk.install(memory)
        cameras.turn(lambda _name, _value: None)


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(limit=1000)


def test_verdicts_are_said_in_the_documented_form_and_written_down(tmp_path: Path, outbox: Outbox) -> None:
    cameras = Cameras(config(tmp_path), outbox)
    show(cameras, list(range(LEARNT)), at=0)
    show(cameras, [50], at=20)
    show(cameras, [BAD[0]], "scratch", at=21)
    kept = [raw for name, raw in outbox.take_changes().items() if raw is not None]
    assert len(kept) == LEARNT + 2
    told = messages(outbox)
    assert {topic for topic, _ in told} == {"inspections/press-4"}
    found = [json.loads(payload) for _, payload in told]
    for one in found:
        jsonschema.validate(one, SCHEMA)
    assert [one["verdict"] for one in found] == ["unjudged"] * LEARNT + ["good", "suspect"]
    assert found[-1]["boxes"]
    assert found[-1]["kind"] is None


def test_where_no_topic_is_wanted_none_is_said(tmp_path: Path, outbox: Outbox) -> None:
    show(Cameras(config(tmp_path, inspection_topic=""), outbox), [1], at=0)
    assert messages(outbox) == []


def test_suspects_names_and_what_is_good_outlive_the_process(tmp_path: Path, outbox: Outbox) -> None:
    first = Cameras(config(tmp_path), outbox)
    show(first, list(range(LEARNT)), at=0)
    show(first, list(BAD), "scratch", at=20)
    one, two, three = first.desk.of("press-4")[0].suspects
    assert first.name(one, "scratch", by="anna").reason is None
    assert first.accept(two).reason is None
    second = Cameras(config(tmp_path), Outbox(limit=10))
    second.restore({})
    camera = second.desk.of("press-4")[0]
    assert list(camera.suspects) == [one, two, three]
    assert [suspect.good for suspect in camera.suspects.values()] == [False, True, False]
    assert camera.suspects[one].jpeg[:2] == b"\xff\xd8"
    assert camera.kinds.names == ("scratch",)
    assert second.take_back(two).camera is camera
    second.drop_files("press-4")
    assert [path.name for path in (tmp_path / "cameras").iterdir()] == []


def test_files_that_are_none_cost_only_themselves(tmp_path: Path, outbox: Outbox) -> None:
    first = Cameras(config(tmp_path), outbox)
    show(first, list(range(LEARNT)), at=0)
    show(first, list(BAD), "scratch", at=20)
    first.name(next(iter(first.desk.of("press-4")[0].suspects)), "scratch", by="anna")
    files = sorted((tmp_path / "cameras").rglob("*.suspects/*"))
    files[0].write_bytes(b"junk")
    next((tmp_path / "cameras").glob("*.kinds")).write_bytes(files[1].read_bytes()[:100])
    second = Cameras(config(tmp_path), Outbox(limit=10))
    second.restore({})
    camera = second.desk.of("press-4")[0]
    assert len(camera.suspects) == 2
    assert camera.kinds.names == ()


def test_a_disk_that_takes_no_name_is_told_and_the_name_counts(tmp_path: Path, outbox: Outbox) -> None:
    cameras = Cameras(config(tmp_path), outbox)
    show(cameras, list(range(LEARNT)), at=0)
    show(cameras, list(BAD[:1]), "scratch", at=20)
    for path in (tmp_path / "cameras").glob("*.npz"):
        path.unlink()
        path.mkdir()
        (path / "in the way").touch()
    answer = cameras.name(next(iter(cameras.desk.of("press-4")[0].suspects)), "scratch", by="anna")
    assert answer.reason is None
    assert answer.detail.startswith("known until the agent restarts: ")
    assert cameras.desk.of("press-4")[0].kinds.names == ("scratch",)
