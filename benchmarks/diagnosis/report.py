"""The diagnosis benchmark's results as Markdown and as a picture; measures nothing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

SHOTS = (1, 5, 10)


def table(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        "# Few-shot diagnosis",
        "",
        "Macro-F1 (± half of the 95 % interval over draws) at k labels a class; ECE and unknown-fault AUROC at k = 5.",
        '"whole unit": all windows of a test run, bearing or well have one say, as the windows of an alarm have.',
    ]
    for name, found in report["sets"].items():
        told = [
            f"`{found['command']}`, {found['date']}, commit {found.get('commit', 'unknown')}, {found['machine']}."
        ]
        lines += ["", f"## {name}", ""]
        form = next((form for key, form in _FORMS.items() if key in found), _few_shots)
        lines += form(found)
        lines += ["", *told]
    return "\n".join(lines) + "\n"


def _accuracy(found: Mapping[str, Any]) -> list[str]:
    lines = [
        found["size"],
        "",
        "| method | accuracy | in cross-validation of the training set |",
        "|---|---|---|",
    ]
    return lines + [
        f"| {name} | {each['test']:.4f} | {each['validation']:.4f} |"
        for name, each in found["accuracy"].items()
    ]


def _aurocs(found: Mapping[str, Any]) -> list[str]:
    lines = [found["size"], "", "| method | AUROC, mean | each machine |", "|---|---|---|"]
    return lines + [
        f"| {name} | {row['mean']:.3f} | {', '.join(f'{value:.3f}' for value in row['each'])} |"
        for name, row in found["auroc"].items()
    ]


_FORMS: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {"accuracy": _accuracy, "auroc": _aurocs}


def _few_shots(found: Mapping[str, Any]) -> list[str]:
    headings = [
        *(f"k={k}" for k in SHOTS),
        "ECE",
        "unknown AUROC",
        "whole unit: k=1",
        "k=5",
        "unknown AUROC",
        "labels for its ten",
    ]
    lines = [
        f"{found['size']} {found['draws']} draws.",
        "",
        "| method | " + " | ".join(headings) + " |",
        "|---" * (1 + len(headings)) + "|",
    ]
    for method, per_k in found["methods"].items():
        five = per_k["5"]
        equal = found["label_efficiency"].get(method, "-")
        cells = [
            *(cell(per_k[str(k)]["macro_f1"]) for k in SHOTS),
            f"{five['ece']['mean']:.3f}",
            _optional(five, "unknown_auroc"),
            _optional(per_k["1"], "unit_macro_f1"),
            _optional(five, "unit_macro_f1"),
            _optional(five, "unit_unknown_auroc"),
            "more than 10" if equal is None else str(equal),
        ]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    lines += [
        "",
        '"labels for its ten": labels a class with which edge-agent is as good as that method with ten.',
    ]
    return lines


def cell(summary: Mapping[str, float]) -> str:
    """Mean ± half of the interval."""
    return f"{summary['mean']:.3f} ± {summary['interval_95']:.3f}"


def _optional(found: Mapping[str, Any], name: str) -> str:
    return cell(found[name]) if name in found else "-"


def picture(report: Mapping[str, Any], path: Path) -> None:
    """Macro-F1 over the number of labels, one panel a set."""
    from matplotlib import pyplot as plt  # noqa: PLC0415  after the backend was chosen

    sets = {name: found["methods"] for name, found in report["sets"].items() if "methods" in found}
    if not sets:
        return
    columns = min(4, len(sets))
    rows = -(-len(sets) // columns)
    figure, panels = plt.subplots(rows, columns, figsize=(3.6 * columns, 3.0 * rows), squeeze=False)
    for panel, (name, per_method) in zip(panels.flat, sets.items(), strict=False):
        for index, (method, per_k) in enumerate(per_method.items()):
            shots = sorted(int(k) for k in per_k)
            mean = [per_k[str(k)]["macro_f1"]["mean"] for k in shots]
            half = [per_k[str(k)]["macro_f1"]["interval_95"] for k in shots]
            style = "-" if method == "edge-agent" else "--" if method.startswith("edge-agent") else ":"
            panel.errorbar(shots, mean, half, label=method, linestyle=style, color=f"C{index}", capsize=2)
        panel.set_title(name)
        panel.set_xticks(SHOTS)
        panel.set_ylim(0, 1)
        panel.set_xlabel("labelled windows a class")
    for panel in panels.flat[len(sets) :]:
        panel.axis("off")
    panels[0, 0].set_ylabel("macro-F1")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=3, fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0.1, 1, 1))
    figure.savefig(path, dpi=120)
    plt.close(figure)
