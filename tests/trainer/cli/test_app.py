"""The command line: parses, runs a stage, says one line and an exit code when something is wrong."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from edge_trainer import config
from edge_trainer.cli.app import app
from edge_trainer.config import Config
from edge_trainer.training import fit
from typer.testing import CliRunner

from edge_agent.errors import TrainingError

ROOT = Path(__file__).parents[3]
TINY = (
    "pretrain.architecture=dense",
    "pretrain.window_rows=32",
    "pretrain.synthetic_signals=60",
    "pretrain.signal_rows=128",
    "pretrain.plant_share=0",
    "pretrain.batch_windows=8",
)


def edge_trainer(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_trainer", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
    )


def test_a_flag_wins_over_the_file_and_the_artefact_is_printed(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[pretrain]\nsteps = 1000000\n", encoding="utf-8")
    settings = [word for setting in TINY for word in ("--set", setting)]
    done = edge_trainer("pretrain", "-c", str(file), "--steps", "2", "-o", str(tmp_path / "run"), *settings)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'run' / 'pretrain' / 'network.pt'}\n"
    assert "2/2" in done.stderr


@pytest.mark.parametrize("section", ["pretrain", "finetune", "calibrate", "evaluate", "site"])
def test_recordings_are_named_by_paths(section: str) -> None:
    loaded = config.load(None, [(f"{section}.recordings", [Path("plant/day-1.csv"), Path("plant/more")])])
    assert getattr(loaded, section).recordings == ("plant/day-1.csv", "plant/more")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["finetune", "--alpha", "-1"], 2, "finetune.alpha"),
        (["pretrain", "--set", "pretrain.stepz=1"], 2, "pretrain.stepz"),
        (["pretrain", "-c", "absent.toml"], 2, "absent.toml"),
        (["export", "-o", "absent"], 8, "run the stage before first"),
        (["judge", "site", "-r", "absent"], 4, "no .parquet, .csv, .tsv or .xlsx"),
        (["evaluate", "-o", "absent"], 8, "run the stage export first"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(arguments: list[str], code: int, message: str) -> None:
    done = edge_trainer(*arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_help_lists_every_stage() -> None:
    text = edge_trainer("--help").stdout
    for name in ("pretrain", "finetune", "export", "calibrate", "evaluate", "fit"):
        assert re.search(rf"\b{name}\b", text)


def test_help_and_what_a_folder_holds_wait_for_no_torch(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("p,q\n1,2\n2,2\n3,2\n", encoding="utf-8")
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from edge_trainer.cli.app import app\n"
        "for typed in (['--help'], ['fit', '--help'], ['judge', '--help'], ['data', sys.argv[1]]):\n"
        "    assert CliRunner().invoke(app, typed).exit_code == 0\n"
        "print(sorted({'torch', 'onnx', 'matplotlib'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def test_data_tells_of_every_file_what_it_holds_or_why_it_is_left_out(tmp_path: Path) -> None:
    """Semicolons and decimal commas, a line a value, and each sort of table that nothing can be learnt from."""
    clock = [f"02.03.2026 06:00:{n:02d}" for n in range(40)]
    german = [f"{at};{4 + n % 7},5;1,0;{int(n > 29)}" for n, at in enumerate(clock)]
    long = [f"2026-03-02T06:00:{n:02d}Z,{name},{n % 9}" for n in range(40) for name in ("flow", "heat")]
    for name, lines in {
        "press.csv": ["Zeit;Druck;Soll;label", *german],
        "long.csv": ["time,tag,value", *long],
        "empty.csv": [],
        "one.csv": ["p,q", "1,2"],
        "still.csv": ["p,q", "1,2", "1,2", "1,2"],
        "nothing.csv": ["p,q", "NaN,NaN", "NaN,NaN"],
    }.items():
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    told = CliRunner().invoke(app, ["data", str(tmp_path)])
    assert told.exit_code == 0, told.output
    lines = dict(line.split(": ", 1) for line in told.output.splitlines())
    assert lines["press.csv"].startswith(
        "40 rows of Druck, Soll; a row every 1 s, 0.0 hours; never moving: Soll; 10 r"
    )
    assert "40 rows of flow, heat" in lines["long.csv"]
    assert lines["one.csv"] == "left out: has one row"
    assert lines["still.csv"] == "left out: no channel ever moves"
    assert all(
        lines[name].startswith("left out: ") for name in ("empty.csv", "nothing.csv", "broken.parquet")
    )
    assert lines["2 of 7 files can be used"] == "80 rows, 4 names of channels"


def test_data_ends_with_an_error_where_nothing_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("p,q\n1,2\n", encoding="utf-8")
    told = CliRunner().invoke(app, ["data", str(tmp_path)])
    assert isinstance(told.exception, TrainingError)
    assert "one.csv: left out: has one row" in told.output


def test_fit_leaves_out_stages_without_recordings(tiny: Config) -> None:
    assert [name for name, _ in fit.stages(tiny)] == [
        "pretrain",
        "finetune",
        "export",
        "calibrate",
        "evaluate",
    ]
    assert [name for name, _ in fit.stages(Config())] == ["pretrain", "export"]


def test_fit_ends_with_a_bundle_and_can_be_repeated(trained: Config) -> None:
    """The trained run goes on at its evaluation; what is done is not done again."""
    said: list[str] = []
    before = (trained.run.out / "pretrain" / "checkpoint.pt").stat().st_mtime_ns
    bundle = fit.run(trained, report=lambda name, _path: said.append(name))
    assert said == ["pretrain", "finetune", "export", "calibrate", "evaluate", "report"]
    assert (bundle / "profile.npz").exists()
    assert (trained.run.out / "pretrain" / "checkpoint.pt").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["judge.toml", "pretrained.toml", "small.toml", "tep.toml"])
def test_shipped_configurations_are_valid(name: str) -> None:

    assert config.load(ROOT / "trainer" / "configs" / name).run.name


def test_the_version_is_told() -> None:
    done = edge_trainer("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"edge-trainer \d+\.\d+\S*\n", done.stdout)


def test_brackets_of_an_error_are_shown(tmp_path: Path) -> None:
    told = edge_trainer("evaluate", "-c", str(tmp_path / "a[bold]b[recordings].toml"))
    assert told.returncode == 2
    assert "a[bold]b[recordings].toml" in told.stderr


def test_fit_reads_the_folder_says_what_it_understood_and_leaves_out_what_it_cannot(tmp_path: Path) -> None:
    plant = tmp_path / "plant"
    plant.mkdir()
    rows = [f"02.03.2026 06:{n // 60:02d}:{n % 60:02d};{4 + n % 7},5;{40 + n % 5},25" for n in range(700)]
    (plant / "press [1].csv").write_text("Zeit;Druck;Menge\n" + "\n".join(rows), encoding="utf-8-sig")
    (plant / "empty.csv").touch()
    settings = [
        word
        for setting in (*TINY, "pretrain.steps=2", "pretrain.synthetic_share=0")
        for word in ("--set", setting)
    ]
    done = edge_trainer("fit", str(plant), "-o", str(tmp_path / "run"), *settings)
    assert done.returncode == 0, done.stderr
    assert "empty.csv: left out: is empty" in done.stderr
    assert (
        "press [1].csv: 700 rows of Druck, Menge; a row every 1 s, 0.2 hours; cells parted by semicolons"
        in done.stderr
    )
    nothing = edge_trainer("fit", str(plant / "empty.csv"), "-o", str(tmp_path / "none"), *settings)
    assert (nothing.returncode, "can be read" in nothing.stderr) == (8, True)
