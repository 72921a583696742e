"""The command line `edge-trainer`: parses, reports, exits; every command is one stage.

A command imports its stage when it runs: torch takes seconds, and help must not wait for it.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from edge_agent.errors import EdgeAgentError, TrainingError
from edge_trainer import config
from edge_trainer.cli import judge, picture
from edge_trainer.cli.options import ConfigFile, Data, Out, Seed, Set, common, settings_of

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,  # square brackets in a help or an error are square brackets
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    help="Train, calibrate, evaluate and export models.",
)
app.add_typer(judge.app, name="judge")
app.add_typer(picture.app, name="picture")
_console = Console(stderr=True, markup=False, emoji=False)

Recordings = Annotated[
    list[Path] | None,
    typer.Option("--recordings", "-r", help="Folder or file of Parquet or CSV; may be repeated."),
]


def _print_version(asked: bool) -> None:  # noqa: FBT001 - as the option gives it
    if asked:
        print(f"edge-trainer {version('edge-agent')}")  # noqa: T201
        raise typer.Exit


@app.callback()
def _of_all(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point: an expected error ends with one line and its exit code."""
    try:
        app()
    except EdgeAgentError as error:
        _console.print(Text.assemble(("error:", "bold red"), f" {error}"), highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)


@app.command("pretrain")
def pretrain_command(
    *,
    file: ConfigFile = None,
    out: Out = None,
    data: Data = None,
    seed: Seed = None,
    recordings: Recordings = None,
    architecture: Annotated[str | None, typer.Option(help="conv or dense.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps.")] = None,
    settings: Set = None,
) -> None:
    """Learn what machines' signals look like, without labels."""
    from edge_trainer.training import pretrain

    flags = {
        "pretrain.recordings": recordings,
        "pretrain.architecture": architecture,
        "pretrain.steps": steps,
    }
    _run(pretrain.run, settings_of(file, common(out, data, seed) | flags, settings), together=True)


@app.command("finetune")
def finetune_command(  # noqa: PLR0913  a parameter for each flag
    *,
    file: ConfigFile = None,
    out: Out = None,
    data: Data = None,
    seed: Seed = None,
    recordings: Recordings = None,
    names: Annotated[Path | None, typer.Option(help="CSV or TOML with the name of each label.")] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Weight of the fault loss against the unlabelled one.")
    ] = None,
    freeze_encoder: Annotated[bool | None, typer.Option(help="Train the head alone.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps at most.")] = None,
    settings: Set = None,
) -> None:
    """Teach the pre-trained network to name faults, from recordings with labels."""
    from edge_trainer.training import finetune

    flags = {
        "finetune.recordings": recordings,
        "finetune.names_file": names,
        "finetune.alpha": alpha,
        "finetune.freeze_encoder": freeze_encoder,
        "finetune.steps": steps,
    }
    _run(finetune.run, settings_of(file, common(out, data, seed) | flags, settings), together=True)


@app.command("export")
def export_command(
    *,
    file: ConfigFile = None,
    out: Out = None,
    seed: Seed = None,
    to: Annotated[Path | None, typer.Option(help="Put the bundle's files into this directory, too.")] = None,
    int8: Annotated[bool | None, typer.Option("--int8", help="Convolutions as bytes.")] = None,
    settings: Set = None,
) -> None:
    """Write the trained network as a bundle that the agent can verify and run."""
    from edge_trainer.bundle import export, placing

    def stage(given: config.Config) -> Path:
        written = export.run(given)
        return written if to is None else placing.place(written, to)

    _run(stage, settings_of(file, common(out, None, seed) | {"export.int8": int8}, settings))


@app.command("calibrate")
def calibrate_command(
    *,
    file: ConfigFile = None,
    out: Out = None,
    data: Data = None,
    seed: Seed = None,
    recordings: Recordings = None,
    budget_per_week: Annotated[
        float | None, typer.Option(help="False alarms that the machine may cost a week.")
    ] = None,
    settings: Set = None,
) -> None:
    """Learn from calm recordings what is normal for a machine, into the run's bundle."""
    from edge_trainer.training import calibrate

    flags = {"calibrate.recordings": recordings, "calibrate.budget_per_week": budget_per_week}
    _run(calibrate.run, settings_of(file, common(out, data, seed) | flags, settings))


@app.command("evaluate")
def evaluate_command(
    *,
    file: ConfigFile = None,
    out: Out = None,
    data: Data = None,
    seed: Seed = None,
    recordings: Recordings = None,
    settings: Set = None,
) -> None:
    """Replay recordings through the agent's own pipeline and measure."""
    from edge_trainer.evaluation import evaluate

    flags = {"evaluate.recordings": recordings}
    _run(evaluate.run, settings_of(file, common(out, data, seed) | flags, settings))


@app.command("fit")
def fit_command(
    folder: Annotated[
        Path | None, typer.Argument(help="Recordings to pre-train on, where no setting names any.")
    ] = None,
    *,
    file: ConfigFile = None,
    out: Out = None,
    data: Data = None,
    seed: Seed = None,
    settings: Set = None,
) -> None:
    """All stages in one run directory; a stage without recordings is left out."""
    from edge_trainer.training import fit

    def report(name: str, path: Path) -> None:
        _console.print(f"{name}: {path}", highlight=False, soft_wrap=True)

    given = settings_of(file, common(out, folder or data, seed), settings)
    if (folder or data) is not None and not _names_recordings(given):
        named = {"pretrain.recordings": _described(given.run.data)}
        given = settings_of(file, common(out, folder or data, seed) | named, settings)
    _run(lambda read: fit.run(read, report=report), given, together=True)


@app.command("data")
def data_command(
    folder: Annotated[Path, typer.Argument(help="Folder or file of recordings.")],
) -> None:
    """Tell what a folder of recordings holds, and what of it cannot be used and why; trains nothing."""
    from edge_trainer.data import described

    left_out = 0
    channels: set[str] = set()
    used = rows = 0
    for one in described.describe(folder):
        print(one.told)  # noqa: T201  the answer
        if one.readable:
            used, rows, channels = used + 1, rows + one.rows, channels | set(one.channels)
        else:
            left_out += 1
    print(f"{used} of {used + left_out} files can be used: {rows} rows, {len(channels)} names of channels")  # noqa: T201
    if not used:
        raise TrainingError(f"nothing in {folder} can be used")


@app.command("report")
def report_command(
    run: Annotated[Path, typer.Argument(help="Directory of a run.")] = Path("runs/latest"),
) -> None:
    """One page about a training, from what its stages have left: curves, embeddings, scores, faults, model card."""
    from edge_trainer.report import training_report

    print(training_report.write(run))  # noqa: T201  the artefact's path, for scripts


@app.command("label")
def label_command(
    recordings: Annotated[Path, typer.Argument(help="Folder that `edge-agent record` wrote.")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for the labelled runs.")],
    failures: Annotated[Path | None, typer.Option(help="CSV of machine, start, end, fault.")] = None,
    state: Annotated[
        list[Path] | None,
        typer.Option(help="State directory of an agent whose operators named alarms; may be repeated."),
    ] = None,
    margin_s: Annotated[
        float, typer.Option(help="Leave out rows so near to an interval, before and after.", min=0)
    ] = 0.0,
) -> None:
    """Join recordings with what was wrong when: labelled runs for the other stages."""
    from edge_trainer.data import join_labels

    found = join_labels.run(recordings, out=out, failures=failures, state_dirs=state or (), margin_s=margin_s)
    for one in found.unmatched:
        _console.print(f"nothing was recorded of {one.machine} while it had {one.fault}", soft_wrap=True)
    told = f"{len(found.runs)} runs, {found.rows} rows, {found.labelled_rows} of them labelled"
    _console.print(f"{told}: {', '.join(found.names.values())}", highlight=False, soft_wrap=True)
    print(out)  # noqa: T201  the artefact's path, for scripts


Passphrase = Annotated[
    bool, typer.Option("--passphrase", help="Ask for the key's passphrase; else the key has none.")
]


@app.command("keygen")
def keygen_command(
    out: Annotated[
        Path, typer.Argument(help="File for the private key; the public one gets the suffix .pub.")
    ],
    *,
    passphrase: Passphrase = False,
) -> None:
    """Make a key pair to sign bundles with; gateways get the public half."""
    from edge_trainer.bundle import sign

    private, public = sign.keygen(out, passphrase=_asked(passphrase, confirm=True))
    _console.print(f"keep to yourself: {private}", highlight=False, soft_wrap=True)
    print(public)  # noqa: T201  the artefact's path, for scripts


@app.command("sign")
def sign_command(
    bundle: Annotated[Path, typer.Argument(help="Directory of the bundle.")],
    *,
    key: Annotated[list[Path], typer.Option(help="Private key; twice while keys are exchanged.")],
    counter: Annotated[
        int | None,
        typer.Option(help="Higher than every release before; without it, seconds since 1970.", min=1),
    ] = None,
    days: Annotated[int | None, typer.Option(help="Reported as too old after so many days.", min=1)] = None,
    to: Annotated[Path | None, typer.Option(help="Directory for the signed bundle, replaced whole.")] = None,
    passphrase: Passphrase = False,
) -> None:
    """Vouch for a bundle: agents that know the key refuse altered, older and foreign ones."""
    from edge_trainer.bundle import sign

    now = datetime.now(UTC).replace(microsecond=0)
    written = sign.run(
        bundle,
        keys=key,
        counter=counter or int(now.timestamp()),
        expires=None if days is None else now + timedelta(days=days),
        to=to,
        passphrase=_asked(passphrase, confirm=False),
    )
    print(written)  # noqa: T201  the artefact's path, for scripts


def _names_recordings(given: config.Config) -> bool:
    """Whether any stage's settings say what it reads."""
    sections = (given.pretrain, given.finetune, given.calibrate, given.evaluate)
    return any(section.recordings for section in sections)


def _described(folder: Path) -> list[Path]:
    """What can be used in a folder, after a line about each file.

    Raises:
        TrainingError: nothing can. RecordingError: there is no table.
    """
    from edge_trainer.data import described

    found = []
    for one in described.describe(folder):
        _console.print(one.told, highlight=False, markup=False, soft_wrap=True)
        found += [Path(one.pattern)] if one.readable else []
    if not found:
        raise TrainingError(f"nothing in {folder} can be read")
    return found


def _asked(wanted: bool, *, confirm: bool) -> bytes | None:  # noqa: FBT001 - the flag as it was given
    if not wanted:
        return None
    answer: str = typer.prompt("passphrase", hide_input=True, confirmation_prompt=confirm)
    return answer.encode()


def _run(stage: Callable[[config.Config], Path], given: config.Config, *, together: bool = False) -> None:
    """Run a stage and print its artefact's path, for scripts; of several processes the first one alone does both.

    Of a stage that they run together, the first one still prints.
    """
    from edge_trainer.training import parallel

    with parallel.together():
        path = stage(given) if together else parallel.by_the_first(lambda: stage(given))
        if path is not None and parallel.rank() == 0:
            print(path)  # noqa: T201
