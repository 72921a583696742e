"""Channels of 1, 10 and 100 Hz, 5 % lost, 5 % late, 1 % twice: windows and scores beside those of tidy samples.

`python -m benchmarks.sensor_faults.mixed_rates` sends each recording twice through the agent's pipeline with a grid
of one second: tidy, and as factories send it. Both use the profile that was learnt from tidy rows. A window's cell
counts as equal within a quarter of the channel's normal scale; the 1 Hz recording of the hydraulic rig has no faster
channels, so only its losses, lateness and repeats are real to it.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import RESULTS, ROOT
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.recordings import tables
from edge_agent.records import Delivery, Float32, Frame, Reject, ScoreBlock
from edge_agent.signals.channel_rules import Align, ChannelRule
from edge_agent.signals.settings import WindowSettings
from simulator import simulate

SECOND = 1_000_000_000
LOST, LATE, TWICE = 0.05, 0.05, 0.01
LATENESS_S = 2.0
LEARN_ROWS = 900
TOLERANCE = 0.25


@dataclass(frozen=True)
class Source:
    """One channel's samples: times [N], values [N]."""

    channel: str
    times_ns: np.ndarray
    values: Float32


def undecoded(_delivery: Delivery) -> Reject:
    """Recordings need no decoding."""
    return Reject("malformed")


def plant(seed: int, *, seconds: int) -> list[Source]:
    """A pump whose channels are sent at 1, 10 and 100 Hz in turn."""
    run = simulate("pump", rows=seconds * 100, seed=seed, rate_hz=100.0)
    sources = []
    for at, channel in enumerate(run.channels):
        step = (1, 10, 100)[at % 3]
        rows = np.arange(step - 1, len(run.values), step)
        sources.append(Source(channel, (rows + 1) * (SECOND // 100), run.values[rows, at]))
    return sources


def hydraulic(folder: Path, *, seconds: int) -> list[Source]:
    """The rig's eight sensors."""
    data = tables.read(folder / "hydraulic_uci" / "hydraulic_1hz.parquet")
    times = np.arange(1, seconds + 1, dtype=np.int64) * SECOND
    values = data.values[:seconds]
    return [Source(channel, times, values[:, at]) for at, channel in enumerate(data.channels)]


def frames(sources: list[Source], *, untidy: bool, rng: np.random.Generator) -> Iterator[Frame]:
    """Each channel in blocks of half a second of arrival time."""
    arrivals = []
    for source in sources:
        kept = rng.random(len(source.values)) >= LOST if untidy else np.ones(len(source.values), bool)
        at = np.flatnonzero(kept)
        if untidy:
            at = np.sort(np.concatenate([at, at[rng.random(len(at)) < TWICE]]))
        late = (
            np.where(rng.random(len(at)) < LATE, rng.random(len(at)) * LATENESS_S * 0.9, 0.0)
            if untidy
            else 0.0
        )
        arrivals.append((at, source.times_ns[at] + np.asarray(late * SECOND, np.int64)))
    end = max(int(arrival.max()) for _, arrival in arrivals)
    ordered = []
    for source, (at, arrival) in zip(sources, arrivals, strict=True):
        order = np.argsort(arrival, kind="stable")
        ordered.append((source, at[order], arrival[order]))
    for start in range(0, end + 1, SECOND // 2):
        for source, at, arrival in ordered:
            part = at[slice(*np.searchsorted(arrival, [start, start + SECOND // 2]))]
            if len(part):
                yield Frame(
                    "m", (source.channel,), source.times_ns[part].tolist(), source.values[part, np.newaxis]
                )


def compared(sources: list[Source], rule: Align, *, scorer: Scorer) -> dict[str, float]:
    """Tidy and untidy, window by window."""
    settings = PipelineSettings(
        commission_rows=LEARN_ROWS,
        window=WindowSettings(period_s=1.0, lateness_s=LATENESS_S),
        channel_rules=(ChannelRule(align=rule),),
    )
    profile = None
    pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=settings)
    for frame in frames(sources, untidy=False, rng=np.random.default_rng(0)):
        for request in pipeline.feed([frame]).commissions:
            profile = learn(request, scorer=scorer, settings=settings)
        if profile is not None:
            break
    if profile is None:
        raise SystemExit("too few rows to learn from")
    seen, figures = [], {}
    for untidy in (False, True):
        pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=settings, profiles=[profile])
        blocks: list[ScoreBlock] = []
        for frame in frames(sources, untidy=untidy, rng=np.random.default_rng(3)):
            blocks += pipeline.feed([frame]).scores
        seen.append(
            {
                int(time): (block.windows.values[at], float(block.value[at]))
                for block in blocks
                for at, time in enumerate(block.windows.times_ns.tolist())
            }
        )
        figures["untidy_late" if untidy else "tidy_late"] = pipeline.ledger.late
    both = sorted(seen[0].keys() & seen[1].keys())
    scale = profile.memory["scale"][:, np.newaxis]
    tidy, messy = ([side[time] for time in both] for side in seen)
    apart = np.stack([np.abs(a[0] - b[0]) / scale for a, b in zip(tidy, messy, strict=True)])
    return figures | {
        "windows_tidy": len(seen[0]),
        "windows_untidy": len(seen[1]),
        "cells_hidden_in_one": float(np.isnan(apart).mean()),
        "cells_equal": float((np.nan_to_num(apart) <= TOLERANCE).mean()),
        "median_difference": float(np.nanmedian(apart)),
        "score_correlation": float(np.corrcoef([a[1] for a in tidy], [b[1] for b in messy])[0, 1]),
        "log_score_correlation": float(
            np.corrcoef(np.log1p([a[1] for a in tidy]), np.log1p([b[1] for b in messy]))[0, 1]
        ),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--seconds", type=int, default=2400)
    arguments = parser.parse_args()
    scorer = Scorer.load(bundle.read(ROOT / "edge_agent/models/pretrained"), provider="cpu")
    sets: dict[str, tuple[list[Source], Align]] = {
        "plant, mean": (plant(201, seconds=arguments.seconds), "mean"),
        "hydraulic_uci, mean": (hydraulic(arguments.data, seconds=arguments.seconds), "mean"),
    }
    results = {name: compared(sources, rule, scorer=scorer) for name, (sources, rule) in sets.items()}
    (RESULTS / "rates.json").write_text(json.dumps(results, indent=1) + "\n")
    lines = ["# Different rates, lost, late and twice", "", "| figure | " + " | ".join(results) + " |"]
    lines.append("|---|" + "---|" * len(results))
    lines += [
        f"| {figure} | " + " | ".join(f"{one[figure]:.4g}" for one in results.values()) + " |"
        for figure in next(iter(results.values()))
    ]
    (RESULTS / "rates.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
