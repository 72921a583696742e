"""The simulator: reproducible, causal, every fault moves what it says it moves."""

import json
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from simulator import KINDS, Injection, Run, main, simulate
from simulator.dynamics import lag, recurrence, wander
from simulator.errors import UsageError

FAULTS = [(kind.name, fault.name) for kind in KINDS.values() for fault in kind.faults]
START, GROWTH, ROWS = 2000, 1000, 8000


@cache
def normal_run(kind: str, seed: int) -> Run:
    return simulate(kind, rows=ROWS, seed=seed)


def run_pair(kind: str, fault: str, *, severity: float = 1.0, seed: int = 0) -> tuple[Run, Run]:
    """The same machine and day, without and with the fault."""
    injections = [Injection(fault, START, GROWTH, severity)]
    return normal_run(kind, seed), simulate(kind, rows=ROWS, seed=seed, injections=injections)


@cache
def moves(kind: str, fault: str, severity: float, seeds: int = 4) -> npt.NDArray[np.float64]:
    """Root-mean-square displacement of each channel by the fully grown fault, in normal spreads within a mode [C]."""
    displaced = []
    for seed in range(seeds):
        normal, faulty = run_pair(kind, fault, severity=severity, seed=seed)
        values = normal.values.astype(np.float64)
        within = sum(
            np.mean(normal.mode == mode) * values[normal.mode == mode].var(axis=0)
            for mode in np.unique(normal.mode)
        )
        grown = slice(START + GROWTH, None)
        difference = faulty.values[grown].astype(np.float64) - values[grown]
        displaced.append(np.sqrt(np.square(difference).mean(axis=0)) / np.maximum(np.sqrt(within), 0.01))
    mean: npt.NDArray[np.float64] = np.asarray(displaced).mean(axis=0)
    return mean


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_five_faults_with_known_guilty_channels(kind: str) -> None:
    machine = KINDS[kind]
    channels = {channel.name for channel in machine.channels}
    assert len({fault.name for fault in machine.faults}) == len(machine.faults) >= 5
    assert len(channels) == len(machine.channels)
    for fault in machine.faults:
        assert fault.description
        assert set(fault.channels) <= channels
        assert 1 <= len(fault.channels) < len(channels)


@pytest.mark.parametrize(("kind", "fault"), FAULTS)
def test_guilty_channels_move_more_than_all_others(kind: str, fault: str) -> None:
    machine = KINDS[kind]
    guilty = next(each.channels for each in machine.faults if each.name == fault)
    moved = dict(zip((channel.name for channel in machine.channels), moves(kind, fault, 1.0), strict=True))
    others = [value for name, value in moved.items() if name not in guilty]
    assert min(moved[name] for name in guilty) > max(others), moved


@pytest.mark.parametrize(("kind", "fault"), FAULTS)
def test_a_light_fault_moves_the_machine_less_than_a_full_one(kind: str, fault: str) -> None:
    light, full = moves(kind, fault, 0.2, seeds=2).max(), moves(kind, fault, 1.0).max()
    assert 0.0 < light < 0.5 * full


@pytest.mark.parametrize(("kind", "fault"), FAULTS)
def test_nothing_changes_before_the_first_faulty_row(kind: str, fault: str) -> None:
    normal, faulty = run_pair(kind, fault)
    np.testing.assert_array_equal(faulty.values[:START], normal.values[:START])
    np.testing.assert_array_equal(faulty.mode, normal.mode)
    assert (faulty.values[START:] != normal.values[START:]).any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_everything(kind: str) -> None:
    first, again, other = (simulate(kind, rows=500, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(first.mode, again.mode)
    assert (first.values != other.values).any(axis=0).sum() >= len(first.channels) - 1


def test_the_machine_seed_keeps_the_machine_and_changes_the_day() -> None:
    days = [simulate("pump", rows=20_000, seed=seed, machine_seed=11) for seed in (1, 2)]
    stranger = simulate("pump", rows=20_000, seed=1, machine_seed=12)
    assert (days[0].values != days[1].values).any()
    flow = days[0].channels.index("flow")
    level = [np.median(run.values[run.mode == 2, flow]) for run in (*days, stranger)]
    assert abs(level[0] - level[1]) < 0.3 * abs(level[0] - level[2])


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_types_and_finite_readings_on_the_transmitters_grid(kind: str) -> None:
    run = simulate(kind, rows=700, seed=1, rate_hz=2.0)
    machine = KINDS[kind]
    assert run.channels == tuple(channel.name for channel in machine.channels)
    assert run.units == tuple(channel.unit for channel in machine.channels)
    assert run.values.shape == (700, len(machine.channels))
    assert [str(each.dtype) for each in (run.values, run.label, run.mode)] == ["float32", "int16", "int8"]
    assert np.isfinite(run.values).all()
    steps = run.values / np.array([channel.step for channel in machine.channels])
    assert np.abs(steps - np.round(steps)).max() < 0.02


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if not kind.cycle_s])
def test_all_modes_are_visited_and_held(kind: str) -> None:
    run = simulate(kind, rows=40_000, seed=2, rate_hz=0.5)
    assert set(run.mode.tolist()) == set(range(len(KINDS[kind].modes)))
    changes = np.flatnonzero(np.diff(run.mode)) + 1
    stays = [2 * (stop - start) for start, stop in pairwise(changes.tolist())]
    low, high = KINDS[kind].dwell_s
    assert low - 2 <= min(stays) <= max(stays) <= high + 2


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.cycle_s])
def test_phases_of_a_cycle_follow_one_another(kind: str) -> None:
    run = simulate(kind, rows=8000, seed=2)
    changes = np.flatnonzero(np.diff(run.mode)) + 1
    phases = len(KINDS[kind].modes)
    assert set(run.mode.tolist()) == set(range(phases))
    assert all((run.mode[at] - run.mode[at - 1]) % phases == 1 for at in changes.tolist())
    stays = zip(changes[:-1].tolist(), changes[1:].tolist(), strict=True)
    for start, stop in stays:
        low, high = KINDS[kind].cycle_s[run.mode[start]]
        assert low - 1 <= stop - start <= high + 1


@pytest.mark.parametrize("kind", KINDS)
def test_levels_do_not_depend_on_the_sampling_rate(kind: str) -> None:
    def days(rows: int, rate_hz: float) -> npt.NDArray[np.float32]:
        runs = [simulate(kind, rows=rows, seed=day, rate_hz=rate_hz, machine_seed=6) for day in range(4)]
        return np.concatenate([run.values for run in runs])

    slow, fast = days(1500, 0.2), days(15_000, 2.0)
    spread = np.maximum(fast.std(axis=0), 0.05)
    assert (np.abs(slow.mean(axis=0) - fast.mean(axis=0)) < 0.5 * spread).all()


def test_labels_follow_the_injections_and_the_worse_fault_wins() -> None:
    injections = [
        Injection("cavitation", 100, 100, 0.5),
        Injection("seal_leak", 250, 0, 1.0, end_row=300),
    ]
    run = simulate("pump", rows=400, seed=0, injections=injections)
    names = [fault.name for fault in KINDS["pump"].faults]
    cavitation, leak = names.index("cavitation") + 1, names.index("seal_leak") + 1
    expected = np.repeat([0, cavitation, leak, cavitation], [100, 150, 50, 100])
    np.testing.assert_array_equal(run.label, expected)
    assert run.severity[99] == 0.0
    np.testing.assert_allclose(
        run.severity[[100, 149, 199, 249, 250, 300]], [0.005, 0.25, 0.5, 0.5, 1.0, 0.5]
    )


def test_a_repaired_machine_returns_to_normal() -> None:
    repair = 4000
    faulty = simulate(
        "pump", rows=ROWS, seed=1, injections=[Injection("bearing_wear", 1000, 500, end_row=repair)]
    )
    normal = simulate("pump", rows=ROWS, seed=1)
    column = normal.channels.index("bearing_temperature")
    gap = np.abs(faulty.values - normal.values)[:, column]
    assert gap[repair - 1] > 10.0
    assert gap[repair + 60] > 1.0  # heat takes its time
    assert gap[-1] <= 0.11  # one step of the transmitter
    assert (faulty.label[repair:] == 0).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "turbine"}, ["turbine", "pump", "motor", "furnace"]),
        ({"rows": 0}, ["rows"]),
        ({"seed": -1}, ["seed"]),
        ({"rate_hz": 0.0}, ["rate_hz"]),
        ({"rate_hz": float("nan")}, ["rate_hz"]),
        ({"injections": [Injection("imbalance", 0, 1)]}, ["imbalance", "cavitation"]),
        ({"injections": [Injection("cavitation", -1, 1)]}, ["start_row"]),
        ({"injections": [Injection("cavitation", 0, -1)]}, ["growth_rows"]),
        ({"injections": [Injection("cavitation", 0, 1, 1.5)]}, ["severity"]),
        ({"injections": [Injection("cavitation", 5, 1, 1.0, 5)]}, ["end_row"]),
    ],
)
def test_nonsense_is_refused_with_the_reason(arguments: dict[str, object], words: list[str]) -> None:
    full: dict[str, object] = {"kind": "pump", "rows": 10, "seed": 0} | arguments
    with pytest.raises(UsageError) as caught:
        simulate(**full)  # type: ignore[arg-type]
    assert all(word in str(caught.value) for word in words)


def test_recurrence_equals_the_row_by_row_loop() -> None:
    rng = np.random.default_rng(0)
    keep, drive = rng.uniform(0.0, 1.0, 777), rng.standard_normal(777)
    expected, value = [], 3.0
    for decay, push in zip(keep, drive, strict=True):
        value = decay * value + push
        expected.append(value)
    np.testing.assert_allclose(recurrence(keep, drive, initial=3.0), expected, rtol=1e-10, atol=1e-12)


def test_a_lag_reaches_63_percent_of_a_step_after_its_time_constant() -> None:
    step = np.concatenate([np.zeros(10), np.ones(400)])
    answer = lag(step, tau_s=25.0, dt_s=0.5)
    assert answer[9] == 0.0
    assert answer[9 + 50] == pytest.approx(1.0 - np.exp(-1.0), abs=1e-9)


def test_coloured_noise_has_unit_spread_and_the_memory_asked_for() -> None:
    noise = wander(np.random.default_rng(1), 200_000, tau_s=20.0, dt_s=1.0)
    assert noise.std() == pytest.approx(1.0, abs=0.05)
    assert np.mean(noise[20:] * noise[:-20]) == pytest.approx(np.exp(-1.0), abs=0.05)


def test_ndjson_is_valid_interleaved_and_carries_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    fault = "press:imbalance:10:5:0.8"
    arguments = ["--machine", "mill=pump", "--machine", "press=motor", "--rows", "30", "--seed", "5"]
    assert main([*arguments, "--start-ts", "1000", "--rate-hz", "2", "--fault", fault]) == 0
    messages = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["topic"] for each in messages] == ["sensors/mill", "sensors/press"] * 30
    times = [each["payload"]["ts"] for each in messages]
    assert times == [1000.0 + 0.5 * (line // 2) for line in range(60)]
    injection = Injection("imbalance", 10, 5, 0.8)
    expected = simulate("motor", rows=30, seed=6, rate_hz=2.0, injections=[injection])
    told = [[each["payload"]["values"][name] for name in expected.channels] for each in messages[1::2]]
    np.testing.assert_allclose(np.array(told, dtype=np.float32), expected.values, rtol=1e-5)


def test_habits_go_into_messages_and_what_was_not_said_is_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--machine", "mill=fan", "--rows", "40", "--rate-hz", "0.1", "--habits"]
    assert main([*arguments, "meters"]) == 0
    metered = [json.loads(line)["payload"]["values"] for line in capsys.readouterr().out.splitlines()]
    assert all({"energy", "pieces", "air_flow"} <= set(values) for values in metered)
    assert metered[0]["energy"] > 184_300.0
    assert main([*arguments, "by_exception"]) == 0
    sparse = [json.loads(line)["payload"]["values"] for line in capsys.readouterr().out.splitlines()]
    assert len(sparse[0]) == len(KINDS["fan"].channels)
    assert sum(map(len, sparse)) < 0.8 * 40 * len(KINDS["fan"].channels)
    assert main([*arguments, "ordinary"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 40


def test_parquet_holds_the_same_run_with_labels(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert (
        main(
            [
                "--machine",
                "f=furnace",
                "--rows",
                "50",
                "--fault",
                "f:door_left_open:20:0:1:40",
                "--parquet",
                str(tmp_path),
            ]
        )
        == 0
    )
    table = parquet.read_table(tmp_path / "f.parquet")
    expected = simulate("furnace", rows=50, seed=0, injections=[Injection("door_left_open", 20, 0, 1.0, 40)])
    assert str(table.schema.field("timestamp").type) == "timestamp[us, tz=UTC]"
    assert str(table.schema.field("label").type) == "int16"
    np.testing.assert_array_equal(table["label"].to_numpy(), expected.label)
    for index, name in enumerate(expected.channels):
        assert str(table.schema.field(name).type) == "float"
        np.testing.assert_array_equal(table[name].to_numpy(), expected.values[:, index])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--machine", "a"],
        ["--machine", "a=turbine"],
        ["--machine", "a/b=pump"],
        ["--machine", "a=pump", "--machine", "a=motor"],
        ["--machine", "a=pump", "--fault", "b:cavitation:1:1"],
        ["--machine", "a=pump", "--fault", "a:cavitation"],
        ["--machine", "a=pump", "--fault", "a:cavitation:1:1:1:9:9"],
        ["--machine", "a=pump", "--fault", "a:cavitation:x:1"],
        ["--machine", "a=pump", "--fault", "a:rust:1:1"],
        ["--machine", "a=pump", "--habits", "holidays"],
    ],
)
def test_bad_arguments_end_with_status_2_and_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == UsageError.exit_code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("simulator: ")
    assert captured.err.count("\n") == 1


def test_the_module_runs_without_torch_pandas_or_pyarrow() -> None:
    code = (
        "import sys; from simulator import main; main(['--rows', '2']);"
        "assert not {'torch', 'pandas', 'pyarrow', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 2
