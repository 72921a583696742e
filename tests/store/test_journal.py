"""What is written of samples comes back as it was, is trimmed when it is not needed any more, and stays bounded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge_agent.detect.scorer import Scorer
from edge_agent.mqtt.duplicates import UsedMarks, digest
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Delivery, Frame, Reject
from edge_agent.store.journal import Changes, Journal, Layout, decode_block, decode_states, encode_block

SINGLE = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 4), st.integers(1, 3)), elements=st.floats(width=32)
)


@given(st.lists(st.tuples(SINGLE, st.booleans(), st.booleans(), st.booleans()), max_size=8))
def test_frames_come_back_bit_for_bit(told: list[tuple[np.ndarray, bool, bool, bool]]) -> None:
    frames = [
        Frame(
            machine=f"m{at % 3}",
            channels=tuple(f"c{column}" for column in range(values.shape[1])),
            times_ns=[at * 1000 + row for row in range(len(values))],
            rows=values if as_array else values.tolist(),
            stamped=stamped,
            partial=partial,
        )
        for at, (values, as_array, stamped, partial) in enumerate(told)
    ]
    layouts: dict[int, Layout] = {}

    def number(frame: Frame) -> int:
        layouts[len(layouts)] = Layout(frame.machine, frame.channels, frame.stamped, frame.partial)
        return len(layouts) - 1

    found = decode_block(encode_block(frames, number), layouts)
    assert len(found) == len(frames)
    for frame, back in zip(frames, found, strict=True):
        np.testing.assert_array_equal(np.asarray(back.rows), np.asarray(frame.rows, np.float32))
        assert (back.machine, back.channels, back.stamped, back.partial, list(back.times_ns)) == (
            frame.machine,
            frame.channels,
            frame.stamped,
            frame.partial,
            list(frame.times_ns),
        )


def frame(row: int, *, machine: str = "m", channels: tuple[str, ...] = ("a", "b")) -> Frame:
    return Frame(machine, channels, [row * 10**9], [[float(row)] * len(channels)])


@pytest.fixture
def pipeline(tiny_bundle: object) -> Pipeline:
    from edge_agent.model import bundle  # noqa: PLC0415

    return Pipeline(
        decode=lambda _: Reject("no_source"),
        scorer=Scorer.load(bundle.read(tiny_bundle), provider="cpu"),  # type: ignore[arg-type]
        settings=PipelineSettings(commission_rows=500),
    )


def test_rings_are_written_when_due_and_older_blocks_are_given_up(pipeline: Pipeline) -> None:
    journal = Journal("full", snapshot_s=60.0)
    written: list[Changes] = []
    for row in range(1000):
        step = pipeline.feed([frame(row), frame(row, machine="other")])
        written.append(journal.changes_of_turn(step, pipeline, marks=b"", now_s=float(row)))
    rings = [changes.turn for changes in written if "ring/m" in changes.states]
    assert 12 <= len(rings) <= 17  # once a minute
    kept_from = max(changes.keep_from or 0 for changes in written)
    assert 600 < kept_from <= written[-1].turn - 256
    # What is kept is enough: the last ring and the blocks after it.
    states = {
        name: value for changes in written for name, value in changes.states.items() if value is not None
    }
    blocks = [(changes.turn, changes.block) for changes in written if changes.turn >= kept_from]
    found = decode_states(states, blocks)
    fresh = Pipeline(decode=pipeline._decode, scorer=pipeline._scorer, settings=pipeline._settings)
    for memento in found.mementos.values():
        assert fresh.restore(memento, found.buffers[memento.machine][1])
    fresh.recall(found.frames())
    for name in ("m", "other"):
        assert fresh.buffer_state(name).rows == pipeline.buffer_state(name).rows
        assert fresh.buffer_state(name).row_count == 1000


def test_a_quiet_machine_s_ring_is_written_as_well(pipeline: Pipeline) -> None:
    journal = Journal("full", snapshot_s=60.0)
    journal.changes_of_turn(pipeline.feed([frame(0)]), pipeline, marks=b"", now_s=0.0)
    assert "ring/m" not in journal.changes_of_turn(pipeline.feed([]), pipeline, marks=b"", now_s=59.0).states
    assert "ring/m" in journal.changes_of_turn(pipeline.feed([]), pipeline, marks=b"", now_s=61.0).states
    assert journal.changes_of_turn(pipeline.feed([]), pipeline, marks=b"", now_s=500.0).empty


@pytest.mark.parametrize("mode", ["snapshot", "off"])
def test_normal_rows_alone_write_nothing_in_the_sparing_modes(pipeline: Pipeline, mode: str) -> None:
    journal = Journal(mode, snapshot_s=60.0)  # type: ignore[arg-type]
    first = journal.changes_of_turn(pipeline.feed([frame(0)]), pipeline, marks=b"x", now_s=0.0)
    assert set(first.states) == {"machine/m"}
    for row in range(1, 50):
        assert journal.changes_of_turn(
            pipeline.feed([frame(row)]), pipeline, marks=b"x", now_s=float(row)
        ).empty
    later = journal.changes_of_turn(pipeline.feed([frame(70)]), pipeline, marks=b"x", now_s=70.0)
    assert ("ring/m" in later.states) == (mode == "snapshot")


def test_a_flood_of_layouts_starts_the_journal_afresh(pipeline: Pipeline) -> None:
    journal = Journal("full", snapshot_s=60.0, layouts_limit=10)
    for row in range(12):
        step = pipeline.feed([frame(row, channels=(f"c{row}",))])
        journal.changes_of_turn(step, pipeline, marks=b"", now_s=0.0)
    assert journal.overgrown
    assert journal.all_changes(pipeline).whole
    assert not journal.overgrown


def test_damaged_entries_are_named_and_the_rest_is_used() -> None:
    found = decode_states({"machine/a": b"\xc1", "ring/b": b"", "room/x": b"y"}, [])
    assert set(found.damaged) == {"machine/a", "ring/b"}
    assert list(found.frames()) == []


def test_only_a_flagged_message_with_the_same_number_and_content_is_a_repeat() -> None:
    marks = UsedMarks()
    first, other = Delivery("t", b"3.2", 0), Delivery("t", b"3.3", 0)
    marks.mark_used(7, digest(first))
    assert marks.was_used(7, digest(first))
    assert not marks.was_used(8, digest(first))
    assert not marks.was_used(7, digest(other))
    marks.mark_used(7, digest(other))  # the broker uses the number for another message
    assert not marks.was_used(7, digest(first))


def test_marks_survive_a_restart_the_newest_first() -> None:
    marks = UsedMarks()
    written = []
    for number in range(20_000):
        marks.mark_used(1 + number % 60_000, number)
        if number % 100 == 0:
            written.append(marks.take_new_marks())
    for restored, source in (
        (UsedMarks(), [marks.all_marks()]),
        (UsedMarks(), [*written, marks.all_marks()]),
    ):
        restored.restore(source)
        assert restored.was_used(20_000, 19_999)
        assert restored.was_used(20_000 - 8000, 19_999 - 8000)
    assert len(marks.all_marks()) == 6 * 8192


def test_that_only_changes_are_told_comes_back_and_other_frames_are_written_as_ever() -> None:
    journal = Journal("full", snapshot_s=60.0)
    states: dict[str, bytes | None] = {}
    plain, changes = frame(0), Frame("m", ("a", "b"), [10**9], [[1.0, 2.0]], by_exception=True)
    block = encode_block([plain, changes], lambda one: journal._number(one, states))
    found = decode_states({name: raw for name, raw in states.items() if raw is not None}, [(1, block)])
    assert [one.by_exception for one in decode_block(block, found.layouts)] == [False, True]
    assert states["layout/0"] == b"\x94\xa1m\x92\xa1a\xa1b\xc3\xc2"
