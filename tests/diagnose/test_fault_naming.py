"""What an operator says of one alarm names the next, and does not flicker; bounds hold, and nothing is guessed."""

from pathlib import Path

import numpy as np
import pytest

from edge_agent.commissioning.baseline import commission
from edge_agent.diagnose.classifier import normal_reference
from edge_agent.diagnose.fault_library import Case, FaultLibrary, decode, encode
from edge_agent.diagnose.fault_naming import UNKNOWN, Belief, FaultNaming, NamingSettings, Opinion, Refused
from edge_agent.errors import BundleError, StateError
from edge_agent.records import Profile
from edge_agent.store import fault_library

T, C = 64, 4
CHANNELS = ("flow", "pressure", "current", "vibration")


def rows_of(seed: int, *, fault: str = "") -> np.ndarray:
    """A loop whose first two channels share a load; a fault shifts one channel or roughens another."""
    rng = np.random.default_rng(seed)
    load = np.convolve(rng.standard_normal(1009), np.ones(10) / 3.2, mode="valid")
    rows = 20.0 + 0.3 * rng.standard_normal((1000, C))
    rows[:, :2] += load[:, None]
    if fault == "leak":
        rows[:, 1] -= 2.0
    if fault == "worn bearing":
        rows[:, 3] += rng.standard_normal(1000)
    if fault == "short circuit":
        rows[:, 2] += 3.0
    return rows.astype(np.float32)


def windows_of(rows: np.ndarray) -> np.ndarray:
    return np.stack([rows[start : start + T].T for start in range(0, len(rows) - T, 16)])


@pytest.fixture(scope="module")
def profile() -> Profile:
    rows = rows_of(1)
    memory = commission(
        rows, window_rows=T, encode=None, budget_per_week=1.0, windows_per_week=1000.0, seed=0
    )
    kept = normal_reference(memory, rows, window_rows=T)
    return Profile("pump-1", CHANNELS, {**memory, **kept}, 1000, 10**9, 1, "digest", 0)


def naming(profile: Profile, **limits: int) -> FaultNaming:
    machine = FaultNaming("pump-1", NamingSettings(**limits))
    machine.arrange(profile)
    return machine


def alarm(machine: FaultNaming, name: str, fault: str, *, seed: int = 2, windows: int = 20) -> None:
    for at, window in enumerate(windows_of(rows_of(seed, fault=fault))[:windows]):
        machine.keep(name, window, end_row=16 * at)


def called(machine: FaultNaming, fault: str, *, seed: int) -> str:
    opinions = machine.judge(windows_of(rows_of(seed, fault=fault))[:20])
    assert opinions is not None
    belief = Belief(opinions[0].names)
    return [belief.add(opinion)[0] for opinion in opinions][-1]


def test_one_named_alarm_of_each_fault_names_the_next_ones(profile: Profile) -> None:
    machine = naming(profile)
    for fault in ("leak", "worn bearing"):
        alarm(machine, fault, fault)
        assert isinstance(machine.name(fault, fault), FaultLibrary)
    assert called(machine, "leak", seed=11) == "leak"
    assert called(machine, "worn bearing", seed=12) == "worn bearing"


def test_a_fault_that_nobody_named_stays_unknown(profile: Profile) -> None:
    machine = naming(profile)
    alarm(machine, "a", "leak")
    assert machine.judge(windows_of(rows_of(5))) is None
    machine.name("a", "leak")
    assert called(machine, "leak", seed=11) == "leak"
    for fault in ("short circuit", "worn bearing"):
        assert called(machine, fault, seed=13) == UNKNOWN


def test_a_second_name_for_an_alarm_corrects_the_first(profile: Profile) -> None:
    machine = naming(profile)
    alarm(machine, "a", "leak")
    machine.name("a", "short circuit")
    machine.name("a", "leak")
    assert machine.library.faults == ("leak",)
    assert called(machine, "leak", seed=11) == "leak"


def test_a_name_in_other_letters_is_the_same_name(profile: Profile) -> None:
    machine = naming(profile)
    for name, spelt in (("a", "Leak"), ("b", "  leak ")):
        alarm(machine, name, "leak")
        machine.name(name, spelt)
    assert [case.fault for case in machine.library.cases] == ["Leak", "Leak"]


@pytest.mark.parametrize("name", ["", "   ", "unknown", "Normal", "a\nb", "x" * 65, "bell\x07"])
def test_what_is_no_name_is_refused(profile: Profile, name: str) -> None:
    machine = naming(profile)
    alarm(machine, "a", "leak")
    refused = machine.name("a", name)
    assert isinstance(refused, Refused)
    assert refused.reason == "malformed"
    assert machine.library.cases == ()


def test_an_alarm_that_is_not_kept_cannot_be_named(profile: Profile) -> None:
    machine = naming(profile, recent_alarms=2)
    for number in range(4):
        alarm(machine, f"a{number}", "leak", windows=2)
    outcomes = [machine.name(f"a{number}", "leak") for number in range(4)]
    assert [isinstance(outcome, Refused) for outcome in outcomes] == [True, False, False, False]
    unlearnt = FaultNaming("pump-2", NamingSettings()).name("a", "leak")
    assert isinstance(unlearnt, Refused)
    assert unlearnt.reason == "not_available"


def test_faults_cases_and_windows_are_bounded(profile: Profile) -> None:
    machine = naming(profile, faults=2, cases=3)
    for number, fault in enumerate(("leak", "leak", "short circuit", "worn bearing", "leak")):
        alarm(machine, f"a{number}", fault, windows=55)
        outcome = machine.name(f"a{number}", fault)
        assert isinstance(outcome, Refused) == (fault == "worn bearing")
    assert [case.alarm for case in machine.library.cases] == ["a1", "a2", "a4"]
    for case in machine.library.cases:
        assert 6 <= len(case.windows) <= 12  # from the alarm's beginning to its end
    first, *_, last = machine.library.cases[-1].windows
    given = windows_of(rows_of(2, fault="leak"))[:55]
    np.testing.assert_array_equal(first, given[0])
    assert any(np.array_equal(last, window) for window in given[-8:])


def test_names_outlive_a_new_memory_with_another_order_of_channels(profile: Profile) -> None:
    machine = naming(profile)
    for fault in ("leak", "short circuit"):
        alarm(machine, fault, fault)
        machine.name(fault, fault)
    swapped = rows_of(1)[:, ::-1]
    memory = commission(
        swapped, window_rows=T, encode=None, budget_per_week=1.0, windows_per_week=1000.0, seed=0
    )
    machine.arrange(Profile("pump-1", CHANNELS[::-1], memory, 1000, 10**9, 1, "digest", 0))
    opinions = machine.judge(windows_of(rows_of(11, fault="leak"))[:, ::-1])
    assert opinions is not None
    said = [opinion.names[int(opinion.probability.argmax())] for opinion in opinions]
    assert said.count("leak") > 0.9 * len(said)


def opinion(*probability: float, known: float = 0.9, least: float = 0.5) -> Opinion:
    return Opinion(("a", "b"), np.array(probability, np.float32), known, least)


def test_a_name_once_said_stays_while_its_evidence_thins() -> None:
    belief = Belief(("a", "b"))
    assert belief.add(opinion(0.8, 0.2))[0] == "a"
    said = [belief.add(opinion(0.6, 0.4, known=0.5)) for _ in range(40)]
    assert {name for name, _ in said} == {"a"}
    assert said[-1][1] < 0.5  # it would not be said now, and the probability tells so


def test_a_better_supported_name_takes_over_and_a_lost_one_is_taken_back() -> None:
    belief = Belief(("a", "b"))
    belief.add(opinion(0.8, 0.2))
    assert [belief.add(opinion(0.02, 0.98))[0] for _ in range(20)][-1] == "b"
    assert [belief.add(opinion(0.5, 0.5, known=0.0))[0] for _ in range(200)][-1] == UNKNOWN


def test_a_belief_that_was_saved_goes_on_as_if_nothing_had_been() -> None:
    whole = Belief(("a", "b"))
    broken = Belief(("a", "b"))
    for share in (0.9, 0.2, 0.7, 0.6):
        expected = whole.add(opinion(share, 1 - share))
        broken = Belief.restore(broken.save())
        assert broken.add(opinion(share, 1 - share)) == expected


def test_the_belief_is_the_mean_of_logarithms_whatever_the_order() -> None:
    seen = [opinion(0.9, 0.1), opinion(0.3, 0.7), opinion(0.6, 0.4)]
    forth, back = Belief(("a", "b")), Belief(("a", "b"))
    ends = [[belief.add(one) for one in order][-1] for belief, order in ((forth, seen), (back, seen[::-1]))]
    odds = float(np.prod([one.probability[0] / one.probability[1] for one in seen]) ** (1 / 3))
    assert ends[0][1] == pytest.approx(ends[1][1]) == pytest.approx(0.9 * odds / (1 + odds))


def library(machine: str = "pump/1 ü") -> FaultLibrary:
    windows = np.random.default_rng(0).normal(size=(3, C, T)).astype(np.float32)
    windows[0, 1, 2] = np.nan
    return FaultLibrary(
        machine, (Case("a-1", "Leck ü", CHANNELS, windows), Case("b", "x", ("f",), windows[:, :1]))
    )


def test_named_alarms_come_back_from_the_state_directory(tmp_path: Path) -> None:
    for machine in ("pump/1 ü", "pump_1 ü"):
        fault_library.save(tmp_path, library(machine))
    found, aside = fault_library.load(tmp_path)
    assert aside == ()
    assert {each.machine for each in found} == {"pump/1 ü", "pump_1 ü"}
    for case, kept in zip(found[0].cases, library().cases, strict=True):
        assert (case.alarm, case.fault, case.channels) == (kept.alarm, kept.fault, kept.channels)
        np.testing.assert_array_equal(case.windows, kept.windows)


def test_a_damaged_file_is_set_aside_and_a_full_disk_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fault_library.save(tmp_path, library())
    whole = path.read_bytes()

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", fail)
        with pytest.raises(StateError, match="No space left"):
            fault_library.save(tmp_path, FaultLibrary("pump/1 ü"))
    assert path.read_bytes() == whole
    path.write_bytes(whole[: len(whole) // 2])
    found, aside = fault_library.load(tmp_path)
    assert found == ()
    assert aside[0][0].read_bytes() == whole[: len(whole) // 2]
    assert fault_library.load(tmp_path) == ((), ())


def test_windows_that_do_not_fit_their_channels_are_no_case() -> None:
    bad = FaultLibrary("m", (Case("a", "x", ("only one",), np.zeros((2, 2, T), np.float32)),))
    with pytest.raises(BundleError, match="shape"):
        decode(Path("f"), encode(bad))
