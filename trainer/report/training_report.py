"""One page about one training: what the stages left in a run's directory, put together. Measures and draws nothing.

A single HTML file that loads nothing, for any light: the pictures are SVG elements in the page's own colour. It holds
what is there, so it can be written after any stage.
"""

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from edge_agent.errors import TrainingError
from edge_agent.model import bundle
from trainer.bundle import export

REPORT = "report.html"

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2327; --quiet: #5c666d; --ground: #fff; --line: #d9dee2; --card: #f6f8f9 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ea; --quiet: #9aa5ab; --ground: #14181b; --line: #333b41; --card: #1c2226 } }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 4rem }
h1 { line-height: 1.2; margin: 0 } h2 { margin: 3rem 0 .25rem } h3 { margin: 1.5rem 0 .25rem }
.note { color: var(--quiet); max-width: 46rem; margin: 0 0 1rem }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 1rem 0; padding: .5rem 0;
  border-block: 1px solid var(--line) }
a { color: inherit }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem; margin: 1.5rem 0 }
dl div { background: var(--card); border-radius: .5rem; padding: .6rem .8rem }
dt { color: var(--quiet); font-size: .85rem } dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums }
figure { margin: 1rem 0; overflow-x: auto } svg { display: block; width: 100%; height: auto; fill: currentColor }
figure.wide svg { min-width: 40rem }
.scroll { overflow-x: auto } table { border-collapse: collapse; margin: 1rem 0 }
td, th { padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); text-align: right;
  font-variant-numeric: tabular-nums }
td:first-child, th:first-child { text-align: left }
.card { background: var(--card); border-radius: .5rem; padding: .5rem 1.25rem 1rem }
.card h1 { font-size: 1.4rem; margin-top: .75rem } .card h2 { font-size: 1.1rem; margin-top: 1.5rem }
pre { overflow-x: auto } code { overflow-wrap: anywhere }
"""
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
    title = html.escape(_title(run))
    links = "".join(f'<a href="#{_anchor(name)}">{html.escape(name)}</a>' for name, _ in sections)
    body = "".join(text for _, text in sections)
    (run / REPORT).write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>{_summary(run)}"
        f"<nav>{links}</nav><main>{body}</main></body></html>\n",
        encoding="utf-8",
    )
    return run / REPORT


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _section(title: str, note: str, body: str) -> tuple[str, str]:
    head = (
        f'<section id="{_anchor(title)}"><h2>{html.escape(title)}</h2><p class="note">{html.escape(note)}</p>'
    )
    return title, f"{head}{body}</section>"


def _pictures(run: Path, title: str, files: Sequence[tuple[str, str]], note: str) -> tuple[str, str] | None:
    """(title, HTML) of the pictures that are there; None where none is."""
    shown = ""
    for name, words in files:
        if (path := run / f"{name}.svg").is_file():
            caption = f"<h3>{html.escape(words)}</h3>" if words else ""
            shown += f"{caption}{_figure(path.read_text(encoding='utf-8'))}"
    return _section(title, note, shown) if shown else None


def _figure(svg: str) -> str:
    """Broad pictures are scrolled on a phone, the others fit."""
    _, _, width, height = map(float, svg.partition('viewBox="')[2].partition('"')[0].split())
    kind = ' class="wide"' if width > _BROAD * height else ""
    return f"<figure{kind}>{svg}</figure>"


def _title(run: Path) -> str:
    found = _bundle(run)
    return f"{found.manifest.name} {found.manifest.version}" if found else f"Training in {run.name}"


def _bundle(run: Path) -> bundle.Bundle | None:
    try:
        return bundle.read(export.find_bundle(run))
    except TrainingError:
        return None


def _summary(run: Path) -> str:
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
    cells = "".join(
        f"<div><dt>{words}</dt><dd>{html.escape(value)}</dd></div>" for words, value in told.items()
    )
    return f"<dl>{cells}</dl>" if cells else ""


def _card(run: Path) -> tuple[str, str] | None:
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
    return _section("Model card", f"Bundle {found.digest}.", f'<div class="card scroll">{text}</div>')
