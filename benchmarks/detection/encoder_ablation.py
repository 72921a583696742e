"""What a pre-trained encoder's embedding is worth by its distance alone, beside random weights.

Runs on recordings that no published figure of this project is measured on (servers, spacecraft telemetry that the
benchmark files do not use, streams of NAB without the two scored ones), every ninth row: here choices are made.
VUS-PR, causal (the window that ends at the row) and aligned (mean over the windows that cover a row).
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from edge_trainer.evaluation.measures import period, vus
from edge_trainer.network.network import Network
from edge_trainer.training.loop import load_network
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmarks import ROOT
from edge_agent.detect import reference_bank
from edge_agent.detect.detector import Encode, Encoded
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from edge_agent.recordings import tables
from edge_agent.signals.features import Float32, scales

STRIDE_ROWS = 9
COVER_ROWS = 64
NORMAL_WINDOWS, BANK_WINDOWS = 600, 256
LEAST_REACH = 0.1
CHUNK_WINDOWS = 128
SCORED_NAB = ("machine_temperature", "ambient_temperature")
NAB_GROUPS = ("realAWSCloudwatch", "realTraffic", "realKnownCause", "artificialWithAnomaly")
SHIPPED = [
    *(
        str(ROOT / "edge_agent/models" / name)
        for name in ("pretrained", "pretrained-int8", "pretrained-small")
    ),
    "random:0",
]
SERVERS, TELEMETRY, STREAMS = 6, 12, 24
"""Series of each set: evenly chosen from those with an anomaly after the normal part."""


@dataclass(frozen=True, slots=True)
class Series:
    """One machine of the yardstick: rows [R, C], labels [R], length of the normal part."""

    group: str
    name: str
    rows: Float32
    label: NDArray[np.bool_]
    normal_rows: int


def main() -> int:
    """Measure each named model; a table to the screen, JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="bundle, network.pt, random:SEED (conv, 32 numbers)")
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    names = options.models or SHIPPED
    torch.set_num_threads(1)
    machines = list(yardstick(options.data))
    results = {}
    for name in names:
        window_rows, encode = encoder(name)
        results[name] = summarise(machines, alone, encode=encode, window_rows=window_rows)
        print(f"{name}: {json.dumps(results[name])}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def summarise(
    machines: list[Series],
    score_of: Callable[..., NDArray[np.float64]],
    *,
    encode: Encode,
    window_rows: int,
) -> dict[str, list[float]]:
    """Each group's VUS-PR [causal, aligned], and the mean of the groups."""
    found: dict[str, list[tuple[float, float]]] = {}
    for series in machines:
        ends = np.arange(max(series.normal_rows, window_rows), len(series.rows) + 1, STRIDE_ROWS)
        score = score_of(series, ends, encode=encode, window_rows=window_rows)
        label, reach = series.label[ends - 1], period(series.rows[::STRIDE_ROWS, 0])
        cover = COVER_ROWS // STRIDE_ROWS
        ahead = np.concatenate([score, np.full(cover - 1, score[-1])])
        aligned = sliding_window_view(ahead, cover).mean(axis=1)
        pair = tuple(vus(values, label, window_rows=reach)[1] for values in (score, aligned))
        found.setdefault(series.group, []).append((pair[0], pair[1]))
    means = {group: np.mean(pairs, axis=0) for group, pairs in found.items()}
    means["mean"] = np.mean(list(means.values()), axis=0)
    return {group: [round(float(value), 4) for value in pair] for group, pair in means.items()}


def alone(
    series: Series, ends: NDArray[np.int64], *, encode: Encode, window_rows: int
) -> NDArray[np.float64]:
    """Distance of the embeddings to the machine's memory of windows at `ends`."""
    place = scales(series.rows[: series.normal_rows])
    stride = -(-(series.normal_rows - window_rows + 1) // NORMAL_WINDOWS)
    normal = np.arange(window_rows, series.normal_rows + 1, stride)
    known = np.swapaxes(embed(series, normal, place=place, encode=encode, window_rows=window_rows), 0, 1)
    chosen = np.unique(np.linspace(0, len(normal) - 1, BANK_WINDOWS).astype(np.int64))
    bank = np.ascontiguousarray(known[:, chosen])
    square = reference_bank.square_of(bank)
    apart = min(window_rows, int(normal[-1] - normal[0]) // 4)
    barred = np.abs(normal[:, None] - normal[chosen][None]) < apart
    usual_distance, _ = reference_bank.neighbours(known, bank, square=square, barred=barred)
    usual, high = np.quantile(usual_distance, [0.5, 0.99], axis=-1).astype(np.float32)
    seen = np.swapaxes(embed(series, ends, place=place, encode=encode, window_rows=window_rows), 0, 1)
    distance, _ = reference_bank.neighbours(seen, bank, square=square)
    reach = np.maximum(high - usual, np.float32(LEAST_REACH))
    return np.linalg.norm(reference_bank.excess(distance, usual=usual, reach=reach), axis=0).astype(
        np.float64
    )


def embed(
    series: Series, ends: NDArray[np.int64], *, place: dict[str, Float32], encode: Encode, window_rows: int
) -> Float32:
    """[B, C, D] of the windows that end before rows `ends`; a channel that stands still is encoded once."""
    windows = sliding_window_view(series.rows, window_rows, axis=0)[ends - window_rows]  # B C T, a view
    kinds = [np.unique(series.rows[:, channel]).size > 1 for channel in range(series.rows.shape[1])]
    moving = np.flatnonzero(kinds)
    location, scale = place["location"][moving], place["scale"][moving]
    return np.concatenate(
        [
            encode(np.ascontiguousarray(windows[at : at + CHUNK_WINDOWS, moving]), location, scale).embedding
            for at in range(0, len(windows), CHUNK_WINDOWS)
        ]
    )


def encoder(name: str) -> tuple[int, Encode]:
    """(window length, encoder) of a bundle's folder, of a network's file, or of random weights."""
    if name.startswith("random:"):
        torch.manual_seed(int(name.removeprefix("random:")))
        network = Network(architecture="conv", window_rows=128, embedding_dim=32).eval()
        return network.window_rows, of_network(network)
    if Path(name).is_dir():
        scorer = Scorer.load(bundle.read(Path(name)), provider="cpu")
        return scorer.window_rows, scorer.encode
    network, _ = load_network(Path(name))
    return network.window_rows, of_network(network)


def of_network(network: Network) -> Encode:
    """A torch network as the agent's encoder."""

    def encode(windows: Float32, location: Float32, scale: Float32) -> Encoded:
        B, C, T = windows.shape
        hidden = np.isnan(windows)
        place = (np.broadcast_to(part, (B, C)).reshape(B * C, 1).copy() for part in (location, scale))
        filled = np.where(hidden, location[None, :, None], windows).astype(np.float32).reshape(B * C, 1, T)
        given = (filled, (~hidden).astype(np.float32).reshape(B * C, 1, T), *place)
        with torch.no_grad():
            output = network(*map(torch.from_numpy, given))
        return Encoded(
            embedding=output.embedding.numpy().reshape(B, C, -1),
            reconstruction=output.reconstruction.numpy().reshape(B, C, T),
        )

    return encode


def yardstick(data: Path) -> Iterator[Series]:
    """Machines that are scored nowhere."""
    with (data / "tsb_ad_m/mapping.csv").open() as file:
        scored = {row["series_id"] for row in csv.DictReader(file)}
    for dataset, count in (("asd", SERVERS), ("smap", TELEMETRY), ("nab", STREAMS)):
        with (data / dataset / "index.csv").open() as file:
            rows = list(csv.DictReader(file))
        usable = [row for row in rows if _usable(dataset, row, scored)]
        for at in np.unique(np.linspace(0, len(usable) - 1, min(count, len(usable))).astype(int)):
            row = usable[at]
            read = tables.read(data / dataset / row["file"])
            label = read.label > 0
            yield Series(dataset, row["series_id"], read.values, label, int(row["train_end"]))


def _usable(dataset: str, row: dict[str, str], scored: set[str]) -> bool:
    if dataset == "smap" and (row["series_id"] in scored or row["spacecraft"] != "SMAP"):
        return False
    named = any(part in row["series_id"] for part in SCORED_NAB)
    if dataset == "nab" and (named or row["group"] not in NAB_GROUPS):
        return False
    return int(row["anom_points"]) > int(row["anom_in_train"]) and int(row["train_end"]) >= 400


if __name__ == "__main__":
    sys.exit(main())
