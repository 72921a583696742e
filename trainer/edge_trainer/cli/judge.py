"""The commands `edge-trainer judge ...`: the judge in context, from machines to a bundle that knows it."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from edge_agent.config.sections import SHIPPED_BUNDLE
from edge_trainer import config
from edge_trainer.cli.options import ConfigFile, Data, Out, Seed, Set, common, settings_of

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Pre-train the judge that knows machines in context."
)
_console = Console(stderr=True, markup=False, emoji=False)

Report = Callable[[str], None]
Stage = Callable[[config.Config, Report], Path]
Minutes = Annotated[
    float | None, typer.Option(help="For making the corpus; what is missing then is made another time.")
]
Jobs = Annotated[int | None, typer.Option(help="Processes, of one core each.")]
Corpus = Annotated[Path | None, typer.Option(help="Folder of the corpus.")]
Bundle = Annotated[Path | None, typer.Option(help="Bundle that the judge is put into, replaced whole.")]


@app.command("corpus")
def corpus_command(
    *,
    file: ConfigFile = None,
    data: Data = None,
    seed: Seed = None,
    corpus: Corpus = None,
    minutes: Minutes = None,
    jobs: Jobs = None,
    settings: Set = None,
) -> None:
    """Make episodes: machines that are learnt and then watched; goes on where it was broken off."""
    from edge_trainer.in_context import stages

    flags = {"judge.corpus": corpus, "judge.minutes": minutes, "judge.jobs": jobs}
    _run(stages.make_corpus, settings_of(file, common(None, data, seed) | flags, settings))


@app.command("train")
def train_command(
    *,
    file: ConfigFile = None,
    out: Out = None,
    data: Data = None,
    seed: Seed = None,
    corpus: Corpus = None,
    settings: Set = None,
) -> None:
    """Train a network for each seed that has none."""
    from edge_trainer.in_context import stages

    _stage(stages.train, file, common(out, data, seed) | {"judge.corpus": corpus}, settings)


@app.command("evaluate")
def evaluate_command(
    *,
    file: ConfigFile = None,
    out: Out = None,
    data: Data = None,
    seed: Seed = None,
    corpus: Corpus = None,
    settings: Set = None,
) -> None:
    """Average precision on machines and families that were held out, beside random weights and no network."""
    from edge_trainer.in_context import stages

    _stage(stages.evaluate, file, common(out, data, seed) | {"judge.corpus": corpus}, settings)


@app.command("threshold")
def threshold_command(
    *,
    file: ConfigFile = None,
    out: Out = None,
    data: Data = None,
    seed: Seed = None,
    jobs: Jobs = None,
    settings: Set = None,
) -> None:
    """Find the score at which fresh calm machines keep the budget of false alarms."""
    from edge_trainer.in_context import stages

    _stage(stages.set_threshold, file, common(out, data, seed) | {"judge.jobs": jobs}, settings)


@app.command("export")
def export_command(
    *, file: ConfigFile = None, out: Out = None, to: Bundle = None, settings: Set = None
) -> None:
    """Write the judge as a graph, and into a bundle."""
    from edge_trainer.in_context import stages

    def stage(given: config.Config, report: Report) -> Path:
        return stages.export(given, report, to=to)

    _stage(stage, file, common(out, None, None), settings)


@app.command("fit")
def fit_command(  # noqa: PLR0913  a parameter for each flag
    *,
    file: ConfigFile = None,
    out: Out = None,
    data: Data = None,
    seed: Seed = None,
    corpus: Corpus = None,
    minutes: Minutes = None,
    jobs: Jobs = None,
    to: Bundle = None,
    settings: Set = None,
) -> None:
    """All stages; goes on where it was broken off."""
    from edge_trainer.in_context import stages

    def stage(given: config.Config, report: Report) -> Path:
        return stages.fit(given, report, to=to)

    flags = {"judge.corpus": corpus, "judge.minutes": minutes, "judge.jobs": jobs}
    _stage(stage, file, common(out, data, seed) | flags, settings)


@app.command("site")
def site_command(  # noqa: PLR0913  a parameter for each flag
    *,
    recordings: Annotated[
        list[Path] | None,
        typer.Option(
            "--recordings", "-r", help="The site's normal recordings, folder or file; may be repeated."
        ),
    ] = None,
    start: Annotated[
        Path, typer.Option("--from", help="Bundle whose judge goes on learning.")
    ] = SHIPPED_BUNDLE,
    file: ConfigFile = None,
    out: Out = None,
    data: Data = None,
    seed: Seed = None,
    corpus: Corpus = None,
    minutes: Annotated[
        float | None, typer.Option(help="For making and watching machines; goes on with what there is then.")
    ] = None,
    jobs: Jobs = None,
    to: Annotated[
        Path | None, typer.Option(help="Directory for the new bundle, replaced whole where there is a gain.")
    ] = None,
    settings: Set = None,
) -> None:
    """Let the shipped judge learn from a site's own normal recordings; measured on machines that are left out."""
    from edge_trainer.in_context.site import stages as site

    def stage(given: config.Config, report: Report) -> Path:
        return site.fine_tune(given, report, start=start, to=to)

    named = None if recordings is None else [path.absolute() for path in recordings]
    flags = {"site.recordings": named, "site.minutes": minutes, "judge.corpus": corpus, "judge.jobs": jobs}
    _stage(stage, file, common(out, data, seed) | flags, settings)


def _stage(stage: Stage, file: Path | None, flags: dict[str, Any], settings: list[str] | None) -> None:
    _run(stage, settings_of(file, flags, settings))


def _run(stage: Stage, given: config.Config) -> None:
    def report(line: str) -> None:
        _console.print(line, highlight=False, soft_wrap=True)

    print(stage(given, report))  # noqa: T201  the artefact's path, for scripts
