"""Settings of a training run, from a TOML file and from flags (flags win); checks them, runs nothing.

A section per stage; every key has a default, an unknown key is a fault. Relative paths are relative to the
directory that the command is started in, those of recordings to `run.data`.
"""

import tomllib
from collections.abc import Sequence
from os import fspath
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from edge_agent.errors import ConfigError

Positive = Annotated[int, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Names = tuple[Annotated[str, BeforeValidator(fspath)], ...]
"""Of recordings; the command line gives paths."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunSection(_Section):
    """What all stages share."""

    out: Path = Path("runs/latest")
    """Directory of the run; every stage writes into a directory of its own below."""
    data: Path = Path()
    """Directory that recordings are named from."""
    seed: int = 0
    threads: Positive = 1
    """Threads of torch. With 1 a run repeats bit for bit on the same machine."""
    name: str = "model"
    version: str = "0.1.0"
    created: str = ""
    """ISO 8601 time that the bundle carries; the command line fills in the present where empty."""
    data_licence: str = "unstated"
    """Of the recordings, for the model card."""
    command: str = ""
    """That made the run, for the model card; the command line fills it in."""


class PretrainSection(_Section):
    """Unlabelled pre-training."""

    architecture: Literal["conv", "conv_small", "dense"] = "conv"
    teacher: Path | None = None
    """File of a trained network that this one learns to imitate, in place of the objectives below."""
    window_rows: Annotated[int, Field(ge=32, le=1024, multiple_of=16)] = 128
    embedding_dim: Annotated[int, Field(ge=12, le=512)] = 32
    recordings: Names = ()
    """Folders, files or patterns such as `run_*.parquet`, below `run.data`; labels are ignored."""
    exclude_columns: tuple[str, ...] = ()
    buffer_bytes: Annotated[int, Field(ge=1_000_000)] = 256_000_000
    """Of recordings held in memory by each process; what is longer is read again and again in pieces."""
    readers: Annotated[int, Field(ge=0, le=16)] = 0
    """Processes that read ahead of each training process, where the recordings do not fit; 0: it reads itself."""
    recordings_share: Weight = 1.0
    """Share of a batch drawn from the recordings, relative to the other shares."""
    synthetic_share: Weight = 1.0
    plant_share: Weight = 0.5
    vibration_share: Weight = 0.0
    """Share drawn from spectral frames of simulated vibration (`edge_agent.signals.spectrum`)."""
    vibration_runs: Positive = 300
    synthetic_signals: Positive = 12_000
    signal_rows: Positive = 512
    """Length of a synthetic signal, from which windows are drawn."""
    drift: bool = False
    """Lay slow drift, cycles and steps of load under half of the synthetic signals."""
    plant_runs: Positive = 4
    """Simulated runs of each kind of machine."""
    plant_rows: Positive = 7200
    steps: Positive = 6000
    batch_windows: Positive = 128
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    hidden_share: Share = 0.5
    noise: Weight = 0.1
    reconstruction_weight: Weight = 1.0
    triplet_weight: Weight = 0.2
    estrangement_weight: Weight = 0.0
    """Of the objective that asks what the agent asks: is a faulty window farther from the memory than a normal one?"""
    injected_weight: Weight = 0.0
    """Of the row-wise classifier of injected anomalies."""
    adversarial_weight: Weight = 0.0
    """Of the discriminator that keeps the embeddings spread evenly."""
    episode_signals: Positive = 32
    """Signals of a batch that bring a memory of further windows, for the objective that needs one."""
    episode_memory: Annotated[int, Field(ge=4, le=64)] = 12
    """Windows of such a memory."""
    triplet_margin: Weight = 0.5
    near_rows: Annotated[int, Field(ge=1, le=16)] = 4
    spectrum_weight: Weight = 0.1


class FinetuneSection(_Section):
    """Labelled fine-tuning: L_total = L_pre + alpha * L_fine."""

    recordings: Names = ()
    channels: tuple[str, ...] | None = None
    exclude_columns: tuple[str, ...] = ()
    names: dict[int, str] = {}
    """Label -> name of the fault; 0 is normal."""
    names_file: Path | None = None
    """CSV with columns label,name, or TOML with `[names]`; instead of `names`."""
    rate_hz: float | None = None
    """Sampling rate of the recordings, for the manifest."""
    alpha: Weight = 1.0
    freeze_encoder: bool = False
    class_weights: bool = True
    held_out_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    hidden_share: Share = 0.3
    steps: Positive = 1500
    batch_windows: Positive = 32
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    patience: Positive = 6
    """Validations without an improvement after which training stops."""
    validate_steps: Positive = 50


class ExportSection(_Section):
    """The network as a bundle."""

    int8: bool = False
    """Convolutions in static int8; the bundle lies in `bundle-int8`, beside the full one."""


class CalibrateSection(_Section):
    """What is normal for the machine, from normal recordings."""

    recordings: Names = ()
    machine: str = "machine"
    exclude_columns: tuple[str, ...] = ()
    budget_per_week: Annotated[float, Field(gt=0)] = 1.0
    """False alarms that the machine may cost a week."""
    hop_rows: Positive = 4
    period_s: Annotated[float, Field(gt=0)] = 1.0
    """Step between rows where the recordings have no timestamps."""


class EvaluateSection(_Section):
    """Replay of held-out recordings through the agent's own pipeline."""

    recordings: Names = ()
    exclude_columns: tuple[str, ...] = ()
    commission_rows: Positive = 1000
    """First rows of each recording that are learnt from where the bundle has no profile of its own."""
    worst_windows: Positive = 6
    """How many of the windows that the model restores worst are drawn in the report."""


class JudgeSection(_Section):
    """The judge in context: which machines it learns from, how, and what its alarms may cost."""

    corpus: Path = Path("runs/judge/corpus")
    """Folder of the shards; those that are there are not made again."""
    episodes: Positive = 6000
    held_out_episodes: Positive = 300
    """Of machines that nothing is learnt from, to measure with."""
    foreign_episodes: Annotated[int, Field(ge=0)] = 100
    """Of families that nothing is learnt from; they need recordings."""
    shard_episodes: Positive = 25
    windows: Annotated[int, Field(ge=16, le=512)] = 64
    """Of each machine: a third in faults, a sixth just after them, half calm."""
    jobs: Annotated[int, Field(ge=1, le=64)] = 2
    """Processes; each has one core."""
    minutes: Annotated[float, Field(gt=0)] = 40.0
    """For making the corpus; training then goes on with what is there."""
    without: tuple[str, ...] = ()
    """Families that are left out of training, by name or by group (`plant`, `recording`, ...)."""
    hidden: Positive = 96
    dropout: Share = 0.15
    epochs: Positive = 3
    batch_windows: Positive = 256
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    seeds: Annotated[int, Field(ge=1, le=8)] = 3
    """Networks that are trained alike from other seeds; the judge that ships is their mean."""
    fresh_machines: Positive = 250
    """That the threshold is set on."""
    fresh_minutes: Annotated[float, Field(gt=0)] = 10.0
    quiet: Share = 0.91
    """Of fresh machines, that the threshold leaves without any false alarm."""
    few_rows_quiet: Share = 0.94
    """The same of machines that were learnt from few rows: they wander further than they have shown."""
    calm_share: Share = 0.05
    """Of calm time that may be in alarm, but for the worst twentieth of the machines."""


class SiteSection(_Section):
    """Fine-tuning of a judge on a site's own normal recordings, in the machines and shards of `judge`."""

    recordings: Names = ()
    """Folders, files or patterns, below `run.data` where relative; rows with a label other than 0 are left out."""
    exclude_columns: tuple[str, ...] = ()
    period_s: Annotated[float, Field(gt=0)] = 1.0
    """Step between rows where the recordings have no timestamps."""
    left_out_share: Annotated[float, Field(gt=0, lt=1)] = 0.34
    """Of the site's machines: nothing is learnt from them, the gain is measured. Of a single machine, its last rows."""
    episodes: Positive = 300
    left_out_episodes: Positive = 100
    general_share: Positive = 3
    """Machines of the corpus for each of the site's."""
    general_episodes: Positive = 100
    """Of held-out machines of the corpus that are made where none are there; all that are there are measured."""
    minutes: Annotated[float, Field(gt=0)] = 8.0
    """For making and watching machines; training then goes on with what is there."""
    epochs: Positive = 3
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    fresh_machines: Positive = 40
    """Of the site's left-out ones, and as many general ones, that the threshold is set on."""
    most_harm: Weight = 0.02
    """Average precision that may be lost on held-out general machines: the bound of the 95 % interval keeps it."""


class Config(_Section):
    """A training run."""

    run: RunSection = RunSection()
    pretrain: PretrainSection = PretrainSection()
    finetune: FinetuneSection = FinetuneSection()
    export: ExportSection = ExportSection()
    calibrate: CalibrateSection = CalibrateSection()
    evaluate: EvaluateSection = EvaluateSection()
    judge: JudgeSection = JudgeSection()
    site: SiteSection = SiteSection()


def load(path: Path | None, overrides: Sequence[tuple[str, Any]] = ()) -> Config:
    """The configuration in a TOML file with overrides ("pretrain.steps", 100) laid over it.

    Raises:
        ConfigError: the file cannot be read, or it or an override has faults; all of them are listed.
    """
    where = path or Path("flags")
    tables: dict[str, Any] = {} if path is None else _read(path)
    for dotted, value in overrides:
        section, _, key = dotted.partition(".")
        if not key or not isinstance(tables.setdefault(section, {}), dict):
            raise ConfigError(where, ((dotted, "is not of the form section.key"),))
        tables[section][key] = value
    try:
        return Config.model_validate(tables)
    except ValidationError as error:
        findings = tuple((".".join(map(str, item["loc"])), item["msg"]) for item in error.errors())
        raise ConfigError(where, findings) from error


def parse_override(text: str) -> tuple[str, Any]:
    """`section.key=value` with the value in TOML's notation; what is no TOML value is taken as text.

    Raises:
        ConfigError: no equals sign.
    """
    dotted, sign, raw = text.partition("=")
    if not sign:
        raise ConfigError(Path("flags"), ((text, "is not of the form section.key=value"),))
    try:
        return dotted.strip(), tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return dotted.strip(), raw


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(path, (("file", str(error)),)) from error
