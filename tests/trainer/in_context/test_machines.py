"""Families: the same seed draws the same machine, nothing is wrong in what is learnt from, and shares are kept."""

from pathlib import Path

import numpy as np
import pytest
from edge_trainer.in_context.machines import plants, recordings
from edge_trainer.in_context.machines.families import draw_family, families
from edge_trainer.in_context.machines.machine import rows_since_fault

import simulator
from edge_agent.errors import RecordingError

SIMULATED = {family.name: family for family in families(data=None, split="training")}
ROWS = 3000


def write_set(folder: Path, *, rows: int = ROWS, length: int = ROWS, faulty: bool = False) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    lines = [
        "level,flow,label",
        *(f"{a:.4f},{b:.4f},{int(faulty)}" for a, b in rng.standard_normal((rows, 2))),
    ]
    (folder / "one.csv").write_text("\n".join(lines) + "\n")
    (folder / "index.csv").write_text(f"series_id,file,length,rate_hz\none,one.csv,{length},0.5\n")


@pytest.mark.parametrize(
    "name", ["pump", "press", "ordinary", "mixture", "cycles", "heavy_tailed", "bursts", "switches", "slow"]
)
def test_a_machine_is_drawn_from_its_seed_and_calm_where_it_is_learnt(name: str) -> None:
    machine, again = (SIMULATED[name].draw(np.random.default_rng(11)) for _ in range(2))
    np.testing.assert_array_equal(machine.values, again.values)
    assert machine.values.dtype == np.float32
    assert machine.context_rows >= 300
    assert not machine.label[: machine.context_rows].any()
    assert len(machine.judged) == len(machine.values)
    assert np.isfinite(machine.values).mean() > 0.5
    for fault in machine.faults:
        assert machine.context_rows <= fault.start < fault.stop <= len(machine.values)
        assert fault.guilty.shape == (machine.values.shape[1],)
        assert fault.guilty.any()


def test_families_are_many_and_none_rules(tmp_path: Path) -> None:
    for name in recordings.ATTRIBUTION:
        write_set(tmp_path / name, rows=2)
    there = families(data=tmp_path, split="training")
    share = {family.name: family.share for family in there}
    total = sum(share.values())
    assert total == pytest.approx(1.0)
    assert len(there) >= 30
    assert max(share.values()) <= 0.1 * total + 1e-9
    assert sum(family.share for family in there if family.group == "recording") >= 0.25 * total
    assert set(simulator.KINDS) < share.keys()
    assert draw_family(np.random.default_rng(2), there) in there


def test_recordings_of_one_split_are_not_those_of_another(tmp_path: Path) -> None:
    write_set(tmp_path / "met_mast")
    calm = {split: recordings._calm(tmp_path / "met_mast", split) for split in ("training", "held out")}  # type: ignore[arg-type]
    ((learnt, period_s),), ((held_out, _),) = calm["training"], calm["held out"]
    assert period_s == 2.0
    assert len(learnt) + len(held_out) == ROWS
    assert not np.isin(held_out[:, 0], learnt[:, 0]).all()
    machine = recordings.draw(np.random.default_rng(0), "met_mast", data=tmp_path, split="held out")
    assert machine.period_s == 2.0


def test_sets_that_are_too_short_to_be_parted_are_for_training_alone(tmp_path: Path) -> None:
    write_set(tmp_path / "met_mast", length=1500)
    write_set(tmp_path / "boat_nmea", length=500)
    assert recordings.names(tmp_path, "training") == ("met_mast",)
    assert recordings.names(tmp_path, "held out") == ()


def test_faulty_recordings_are_not_learnt_from(tmp_path: Path) -> None:
    write_set(tmp_path / "cnc_tool_wear", faulty=True)
    with pytest.raises(RecordingError, match="no recording is long enough"):
        recordings.draw(np.random.default_rng(0), "cnc_tool_wear", data=tmp_path, split="training")


def test_no_scored_set_is_learnt_from() -> None:
    known = {*recordings.ATTRIBUTION, *recordings.FOREIGN}
    assert not known & {"skab", "smap", "nab", "asd", "gecco2018_water", "tsb_ad_m", "datacentre_clusters"}
    assert not set(recordings.ATTRIBUTION) & set(recordings.FOREIGN)


def test_a_fault_is_labelled_from_a_tenth_of_its_severity() -> None:
    run = simulator.machine("pump", seed=1, habits="steady").run(
        rows=3000, seed=2, injections=(simulator.Injection("seal_leak", 1000, 1000, 0.5, 2500),)
    )
    chosen = np.arange(len(run.channels))
    (fault,) = plants._labels(run, "pump", chosen)
    assert 1150 < fault.start < 1250
    assert fault.stop == 2500
    guilty = {channel for channel, wrong in zip(run.channels, fault.guilty, strict=True) if wrong}
    assert guilty == set(
        next(each for each in simulator.KINDS["pump"].faults if each.name == "seal_leak").channels
    )
    judged = plants._judged(run, [fault])
    assert not judged[1000 : fault.start].any(), "too small to be seen, too large to be calm"
    assert judged[fault.start : fault.stop].all()


def test_a_fault_that_no_channel_here_shows_is_not_judged() -> None:
    run = simulator.machine("pump", seed=1, habits="steady").run(
        rows=3000, seed=2, injections=(simulator.Injection("seal_leak", 1000, 0, 0.8, 2500),)
    )
    guilty = next(each for each in simulator.KINDS["pump"].faults if each.name == "seal_leak").channels
    chosen = np.array([at for at, name in enumerate(run.channels) if name not in guilty])
    assert plants._labels(run, "pump", chosen) == ()
    judged = plants._judged(run, ())
    assert not judged[1000:2500].any()
    assert judged[2500:].all()


def test_rows_since_the_last_fault() -> None:
    machine = SIMULATED["slow"].draw(np.random.default_rng(5))
    since = rows_since_fault(machine.faults, len(machine.values))
    first = min(fault.stop for fault in machine.faults)
    assert since[first - 1] > 1 << 19
    assert since[first : first + 3].tolist() == [0, 1, 2]
