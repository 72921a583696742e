"""The model card: what a bundle was made from, what it measured and where it ends. Text only."""

from collections.abc import Mapping
from typing import Any

from edge_trainer.config import RunSection
from edge_trainer.network.network import LEVEL_DIM, Network

_LIMITS = """\
- A window is {window_rows} rows. What happens slower than that is seen only through the machine's own level.
- Embedding and reconstruction judge each channel by itself; that a relation between channels broke is for the
  agent's own detectors (and, where there is one, the head) to see.
- Figures above were measured on the data named above. Nothing follows for another machine before it has been
  commissioned and watched.
- The model raises alarms for people to look at. It is no safety function and must not be one.
"""


def write(run: RunSection, network: Network, facts: Mapping[str, Any]) -> str:
    """Markdown of a bundle's CARD.md from what the stages told."""
    parameters = sum(parameter.numel() for parameter in network.parameters())
    sections = {
        "What it is": _what(network, parameters, facts),
        "Data": "\n".join(f"- {line}" for line in facts["data"])
        + f"\n\nLicence of the recordings: {run.data_licence}.",
        "Measured": _table(facts["measures"]),
        "Limits": _LIMITS.format(window_rows=network.window_rows),
        "How it was made": f"    {run.command}\n\nSeed {run.seed}. All settings are in `manifest.json`.",
    }
    body = "\n\n".join(f"## {title}\n\n{text.strip()}" for title, text in sections.items())
    return f"# {run.name} {run.version}\n\n{body}\n"


def _what(network: Network, parameters: int, facts: Mapping[str, Any]) -> str:
    lines = [
        (
            f"A `{network.architecture}` autoencoder of one channel's window of {network.window_rows} rows, "
            f"{parameters} parameters. Its embedding has {network.embedding_dim} numbers: "
            f"{network.embedding_dim - LEVEL_DIM} learnt of the shape, {LEVEL_DIM} of the level."
        )
    ]
    if labels := facts.get("labels"):
        lines.append(
            f"A head on {len(facts['channels'])} channels together names {len(labels) - 1} faults: "
            f"{', '.join(labels[1:])}."
        )
    return "\n\n".join(lines)


def _table(measures: Mapping[str, Any]) -> str:
    rows = [
        f"| {name} | {_figure(value)} |" for name, value in measures.items() if isinstance(value, int | float)
    ]
    return "\n".join(["| measure | value |", "|---|---|", *rows])


def _figure(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4g}"
