"""Where all places are taken, machines that were never learnt and have gone silent give way to new ones; no others."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import GATHERED_SHARE, PipelineSettings
from edge_agent.records import Frame, Reject
from tests.support import tiny

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
HOUR_S = 3600


def begin(tiny_bundle: Path, **settings: int) -> Pipeline:
    return Pipeline(
        decode=lambda _: Reject("no_source"),
        scorer=tiny.scorer(tiny_bundle),
        settings=replace(PipelineSettings(), **{"machines_limit": 4, **settings}),
    )


def send(
    pipeline: Pipeline, machine: str, *, rows: int = 1, at_s: int = 0, channels: int = 1
) -> tuple[str, ...]:
    """Rows of a machine, one a second; which machines gave way to it."""
    names = tuple(f"c{number}" for number in range(channels))
    gone: tuple[str, ...] = ()
    for row in range(rows):
        now_ns = START + (at_s + row) * SECOND
        gone += pipeline.feed(
            [Frame(machine, names, [now_ns], [[1.0 + row] * channels], received_ns=now_ns)]
        ).gone
    return gone


def test_of_those_with_a_few_rows_the_one_with_fewest_goes_first_once_as_many_of_others_have_come(
    tiny_bundle: Path,
) -> None:
    pipeline = begin(tiny_bundle)
    for name, rows in (("two", 2), ("one", 1), ("five", 5)):
        send(pipeline, name, rows=rows)
    send(pipeline, "many", rows=20)
    assert send(pipeline, "new") == ("one",)
    assert send(pipeline, "newer") == (), "two has a pace of a second and was heard less than twenty ago"
    assert send(pipeline, "newer", at_s=60) == ("two",)
    assert pipeline.no_place_for == ""


def test_where_more_send_in_turn_than_there_are_places_the_first_keep_theirs(tiny_bundle: Path) -> None:
    pipeline = begin(tiny_bundle)
    gone: tuple[str, ...] = ()
    for at in range(30):
        for name in "abcdef":
            gone += send(pipeline, name, at_s=10 * at)
    assert gone == (), "each hears more frames of others than there are places between two of its own"
    assert list(pipeline.machines) == ["a", "b", "c", "d"]
    assert {machine.rows.store.row_count for machine in pipeline.machines.values()} == {30}
    assert pipeline.ledger.rejected == {"too_many_machines": 60}
    assert pipeline.no_place_for == "f"


def test_one_row_ten_minutes_ago_is_no_machine_that_is_to_be_waited_for(tiny_bundle: Path) -> None:
    pipeline = begin(tiny_bundle)
    for name in ("one", "two", "three"):
        send(pipeline, name)
    send(pipeline, "many", at_s=590)
    assert send(pipeline, "new", at_s=595) == ()
    send(pipeline, "many", rows=4, at_s=600)
    assert send(pipeline, "new", at_s=605) == ("one",)


def test_one_with_more_rows_goes_after_an_hour_of_silence_and_says_until_then_that_there_is_no_place(
    tiny_bundle: Path,
) -> None:
    pipeline = begin(tiny_bundle)
    for name in ("a", "b", "c", "d"):
        send(pipeline, name, rows=20)
    send(pipeline, "d", rows=5, at_s=30)
    assert send(pipeline, "new", at_s=HOUR_S - 60) == ()
    assert pipeline.no_place_for == "new"
    assert pipeline.ledger.rejected == {"too_many_machines": 1}
    send(pipeline, "d", rows=10, at_s=HOUR_S)
    assert send(pipeline, "new", at_s=HOUR_S + 60) == ("a",)
    assert pipeline.no_place_for == ""


def test_a_slow_machine_is_not_silent_after_an_hour(tiny_bundle: Path) -> None:
    pipeline = begin(tiny_bundle, machines_limit=2)
    for row in range(20):
        send(pipeline, "slow", at_s=row * HOUR_S)
    send(pipeline, "d", rows=20, at_s=20 * HOUR_S)
    assert send(pipeline, "new", at_s=30 * HOUR_S) == ("d",)
    assert "slow" in pipeline.machines


def test_the_hour_begins_with_this_process_for_a_machine_that_an_earlier_one_heard(tiny_bundle: Path) -> None:
    before = begin(tiny_bundle, machines_limit=2)
    send(before, "a", rows=20)
    pipeline = begin(tiny_bundle, machines_limit=2)
    assert pipeline.restore(before.memento("a"), before.buffer_state("a"))
    send(pipeline, "b", rows=20, at_s=5 * HOUR_S)
    assert send(pipeline, "new", at_s=5 * HOUR_S + 60) == ()
    send(pipeline, "b", rows=20, at_s=6 * HOUR_S)
    assert send(pipeline, "new", at_s=6 * HOUR_S + 90) == ("a",)


def test_where_the_memory_to_learn_from_is_taken_they_give_way_too(tiny_bundle: Path) -> None:
    rows = 300
    pipeline = begin(
        tiny_bundle, machines_limit=50, commission_rows=rows, learning_bytes=GATHERED_SHARE * rows * 8 * 30
    )
    for number in range(10):
        send(pipeline, f"ghost-{number}", channels=3)
    assert send(pipeline, "real", channels=3) == ()
    send(pipeline, "ghost-0", rows=150, channels=3)
    assert send(pipeline, "real", channels=3) == ("ghost-1",)


def test_a_flood_of_names_costs_few_looks_at_all_machines(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 200
    pipeline = begin(tiny_bundle, machines_limit=limit)
    looked = 0
    whole = type(pipeline.machines).__iter__

    def counted(machines: dict[str, object]) -> object:
        nonlocal looked
        looked += 1
        return whole(machines)

    monkeypatch.setattr(type(pipeline.machines), "__iter__", counted)
    for number in range(20 * limit):
        send(pipeline, f"ghost-{number}")
    assert len(pipeline.machines) == limit
    assert 0 < looked <= 20 * 8 + 8
