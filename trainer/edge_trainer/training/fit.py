"""All stages in order, in one run directory: pretrain, finetune, export, calibrate, evaluate; then their report."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from edge_trainer.bundle import export
from edge_trainer.config import Config
from edge_trainer.evaluation import evaluate
from edge_trainer.report import training_report
from edge_trainer.training import calibrate, finetune, parallel, pretrain

Stage = Callable[[Config], Path]
_TRAINED_TOGETHER = (pretrain.run, finetune.run)
"""By all processes that torchrun started; the other stages are the first one's."""


def stages(config: Config) -> tuple[tuple[str, Stage], ...]:
    """(name, stage) in order; a stage that no recordings were named for is left out."""
    asked = {
        "pretrain": (pretrain.run, True),
        "finetune": (finetune.run, bool(config.finetune.recordings)),
        "export": (export.run, True),
        "calibrate": (calibrate.run, bool(config.calibrate.recordings)),
        "evaluate": (evaluate.run, bool(config.evaluate.recordings)),
    }
    return tuple((name, stage) for name, (stage, wanted) in asked.items() if wanted)


def run(config: Config, *, report: Callable[[str, Path], None] = lambda _name, _path: None) -> Path:
    """Run the stages; returns the bundle. `report` is told each stage's name and artefact.

    Of several processes all train, and the first one does what is left.

    Raises:
        EdgeAgentError: whatever a stage raises; a later call goes on where this one stopped.
    """
    with parallel.together():
        for name, stage in stages(config):
            if stage in _TRAINED_TOGETHER:
                path: Path | None = stage(config)
                parallel.wait()  # the next one reads what the first process is still writing
            else:
                path = parallel.by_the_first(partial(stage, config))
            if path is not None and parallel.rank() == 0:
                report(name, path)
        if (page := parallel.by_the_first(partial(training_report.write, config.run.out))) is not None:
            report("report", page)
    return export.find_bundle(config.run.out)
