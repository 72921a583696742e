"""A site's machines: parted by machine, faults and gaps cut out, days joined; nothing left out is ever learnt from."""

from pathlib import Path

import numpy as np
import pytest
from edge_trainer.in_context.machines.site import Site

from edge_agent.errors import RecordingError
from edge_agent.recordings import tables
from tests.trainer.in_context.site.factory import factory, recording


def site(folder: Path, *, share: float = 0.34, seed: int = 0) -> Site:
    return Site(
        shards=folder / "shards",
        files=tables.find(folder),
        exclude=(),
        period_s=5.0,
        left_out_share=share,
        seed=seed,
    )


def test_machines_are_left_out_whole(tmp_path: Path) -> None:
    mine = site(factory(tmp_path, machines=6))
    learnt, left_out = mine.machines("site"), mine.machines("site left out")
    assert len(learnt) == 4
    assert len(left_out) == 2
    assert not learnt.keys() & left_out.keys()
    assert learnt.keys() | left_out.keys() == {f"press-{number}" for number in range(6)}
    others = [site(tmp_path, seed=seed).machines("site left out").keys() for seed in range(4)]
    assert len({tuple(each) for each in others}) > 1
    ((values, period_s),) = learnt[next(iter(learnt))]
    assert values.shape == (1800, 2)
    assert period_s == 5.0


def test_a_machine_is_drawn_calm_and_the_recording_stays_what_it_is(tmp_path: Path) -> None:
    mine = site(factory(tmp_path))
    (family, *_) = mine.families("site")
    assert family.group == "site"
    before = mine.machines("site")[family.name][0][0].copy()
    drawn, again = ([family.draw(np.random.default_rng(seed)) for seed in range(8)] for _ in range(2))
    for machine, same in zip(drawn, again, strict=True):
        np.testing.assert_array_equal(machine.values, same.values)
        assert not machine.label[: machine.context_rows].any()
    assert any(machine.faults for machine in drawn)
    np.testing.assert_array_equal(mine.machines("site")[family.name][0][0], before)


def test_one_machine_leaves_out_its_last_rows(tmp_path: Path) -> None:
    recording(tmp_path / "press.csv", rows=3000)
    mine = site(tmp_path)
    ((learnt, _),) = mine.machines("site")["press"]
    ((left_out, _),) = mine.machines("site left out")["press"]
    assert len(learnt) + len(left_out) == 3000
    np.testing.assert_array_equal(
        np.concatenate([learnt, left_out]), tables.read(tmp_path / "press.csv").values
    )


def test_faults_and_gaps_are_cut_out_and_days_are_joined(tmp_path: Path) -> None:
    folder, day_s = tmp_path / "site", 86_400.0
    for day in (1, 2, 0):
        path = folder / f"day-{day}.parquet"
        made = tables.read(recording(tmp_path / "made.csv", rows=1440, seed=day, start_s=day * day_s))
        columns = {name: made.values[:, at] for at, name in enumerate(made.channels)}
        assert made.times_ns is not None
        series = {"machine": "oven", "channels": list(made.channels)}
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(
            tables.encode_columns(
                path, {"timestamp": made.times_ns.astype("datetime64[ns]"), **columns}, series=series
            )
        )
    recording(folder / "mill.csv", rows=4000, start_s=0.0, faulty=range(1000, 1100))
    mine = site(folder)
    there = dict(mine.machines("site")) | dict(mine.machines("site left out"))
    ((days, period_s),) = there["oven"]
    assert (len(days), period_s) == (3 * 1440, 60.0)
    np.testing.assert_array_equal(days[1440:2880], tables.read(folder / "day-1.parquet").values)
    assert [len(values) for values, _ in there["mill"]] == [1000, 2900]


def test_too_little_is_said(tmp_path: Path) -> None:
    recording(tmp_path / "press.csv", rows=900)
    with pytest.raises(RecordingError, match="normal rows without a gap, to learn from and to measure with"):
        site(tmp_path).machines("site")
    recording(tmp_path / "other" / "press.csv", rows=500)
    with pytest.raises(RecordingError, match="nothing can be learnt"):
        site(tmp_path / "other").families("site")
