"""One page about one training: what the stages left in a run's directory, put together. Measures and draws nothing.

A single HTML file that loads nothing, for any light: the pictures are SVG elements in the page's own colour. It holds
what is there, so it can be written after any stage.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from edge_agent.errors import TrainingError
from edge_agent.model import bundle
from edge_trainer.bundle import export
from edge_trainer.report import page

REPORT = "report.html"

_PICTURES = (
    (
        "Losses",
        (("pretrain/curves", "Pre-training"), ("finetune/curves", "Fine-tuning")),
        (
            "Each part of the loss by step: as it was in grey, its running mean in blue. Orange: the held-out measure, "
            "whose lowest point decides which weights are kept."
        ),
    ),
    (
        "Embeddings",
        (("pretrain/embedding", "After pre-training"), ("finetune/embedding", "After fine-tuning")),
        (
            "Held-out windows on the two directions in which their embeddings differ most. Kinds that lie apart are "
            "easily told apart; kinds that overlap here may still differ in the other directions."
        ),
    ),
    (
        "Scores",
        (("evaluate/distribution", "All recordings"), ("evaluate/runs", "Recording by recording")),
        (
            "What the agent's own pipeline said of the replayed recordings. The dashed line is the threshold that the "
            "budget of false alarms asks for; on the runs, orange rows are faulty, and red bars below are open alarms."
        ),
    ),
    (
        "Restored windows",
        (("evaluate/worst", "Worst of the calm windows"), ("pretrain/reconstructions", "While training")),
        (
            "The reconstruction over the signal. Where the model fails on calm rows, its reconstruction can tell no "
            "fault. Shaded rows were hidden from it."
        ),
    ),
    (
        "Naming of faults",
        (("evaluate/confusion", "Of every replayed window"),),
        "Rows are what was, columns what was said; rows add up to 100 %.",
    ),
    (
        "Label efficiency",
        (("finetune/label_efficiency", ""),),
        (
            "Macro-F1 on held-out windows by the number of labelled windows of each class, named by the nearest "
            "labelled one in the embedding before fine-tuning: mean and range of 20 draws. "
            "Dashed: the head, fine-tuned on all labels."
        ),
    ),
)
_BROAD = 2.0
_FIGURES = (
    ("event_recall", "Faults found", "{:.0%}"),
    ("false_alarms_per_week", "False alarms a week", "{:.3g}"),
    ("delay_rows_median", "Median delay, rows", "{:.0f}"),
    ("vus_pr", "VUS-PR", "{:.3f}"),
)


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture; broad ones are scrolled on a phone."""

    caption: str
    svg: Markup
    broad: bool


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: pictures, or the bundle's card."""

    title: str
    note: str
    pictures: tuple[Picture, ...] = ()
    card: Markup | None = None


def write(run: Path) -> Path:
    """Write `report.html` into a run's directory and return its path.

    Raises:
        TrainingError: no stage has left anything to show.
    """
    sections = [found for title, files, note in _PICTURES if (found := _pictures(run, title, files, note))]
    if card := _card(run):
        sections.append(card)
    if not sections:
        raise TrainingError(f"{run}: no stage has left anything to show; train first")
    text = page.render("training.html", title=_title(run), figures=_summary(run), sections=sections)
    (run / REPORT).write_text(text, encoding="utf-8")
    return run / REPORT


def _pictures(run: Path, title: str, files: Sequence[tuple[str, str]], note: str) -> Section | None:
    """The section of the pictures that are there; None where none is."""
    shown = [
        Picture(words, page.markup(svg), broad=_is_broad(svg))
        for name, words in files
        if (path := run / f"{name}.svg").is_file() and (svg := path.read_text(encoding="utf-8"))
    ]
    return Section(title, note, tuple(shown)) if shown else None


def _is_broad(svg: str) -> bool:
    """Broad pictures are scrolled on a phone, the others fit."""
    _, _, width, height = map(float, svg.partition('viewBox="')[2].partition('"')[0].split())
    return width > _BROAD * height


def _title(run: Path) -> str:
    found = _bundle(run)
    return f"{found.manifest.name} {found.manifest.version}" if found else f"Training in {run.name}"


def _bundle(run: Path) -> bundle.Bundle | None:
    try:
        return bundle.read(export.find_bundle(run))
    except TrainingError:
        return None


def _summary(run: Path) -> Mapping[str, str]:
    """The figures that people ask for first, of the replayed recordings."""
    path = run / "evaluate" / "measures.json"
    measured: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    told = {
        words: form.format(measured["detection"][name])
        for name, words, form in _FIGURES
        if measured and measured["detection"].get(name) is not None
    }
    if classes := measured.get("classification"):
        told["Macro-F1 of naming"] = f"{classes['macro_f1']:.3f}"
    return told


def _card(run: Path) -> Section | None:
    """The bundle's card; whatever is in it stays text."""
    found = _bundle(run)
    if found is None:
        return None
    text = (
        MarkdownIt("commonmark", {"html": False})
        .enable("table")
        .disable(["image", "link"])
        .render(found.card)
    )
    return Section("Model card", f"Bundle {found.digest}.", card=page.markup(text))
