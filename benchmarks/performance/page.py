"""docs/performance.md from `page.md` and the JSON files of the measurements of speed and size. Measures nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness.pages import GAP, NotMeasured, render

_TEMPLATE = Path(__file__).with_name("page.md")
_REPORTS = (
    "throughput",
    "mapping",
    "latency",
    "peers",
    "scaling",
    "memory",
    "cost",
    "ceilings",
    "footprint",
    "at_rest",
)
_RIVALS = ("river", "rcf3", "pandas-torch")
Figures = Mapping[str, Any]


def page(results: Path) -> str:
    """The whole page from the files of a folder."""
    helpers = {
        "GAP": GAP,
        "unmeasured": NotMeasured(),
        "has_flame_graph": (results / "performance_flame.svg").is_file(),
        "against": against,
        "enough": enough,
        "decisions": decisions,
        "idle_fleet": idle_fleet,
        "watched_fleet": watched_fleet,
        "spread": spread,
    }
    return render(_TEMPLATE, results, reports=_REPORTS, helpers=helpers, filters={"spread": spread})


def spread(figure: Figures, unit: str = "") -> str:
    """A median with the range of its repeats."""
    if not figure:
        return GAP
    low, high = figure["range"]
    return f"{figure['median']:,g}{unit}" + (f" ({low:,g}..{high:,g})" if low != high else "")


def against(peers: Mapping[str, Figures]) -> str:
    """How many times each rival's processor time a message the agent works with."""
    return ", ".join(f"{name} {times:.1f}x" for name, times in _times(peers).items())


def enough(peers: Mapping[str, Figures], wanted: Mapping[str, float]) -> bool | None:
    """Whether that is as often as wanted; None where a rival was not measured."""
    known = _times(peers)
    return (
        all(known[name] >= least for name, least in wanted.items()) if wanted.keys() <= known.keys() else None
    )


def idle_fleet(fleets: Mapping[str, Figures]) -> Figures:
    """The fleet of which most machines are idle."""
    return next((fleet for name, fleet in fleets.items() if "idle" in name), {})


def watched_fleet(fleets: Mapping[str, Figures]) -> Figures:
    """The fleet of 200 machines, none of them idle."""
    return fleets.get("200 watched", {})


def decisions(load: Figures) -> list[str]:
    """The names of the quantiles from arrival to decision."""
    return [key for key in load if key.startswith("decision_")]


def _times(peers: Mapping[str, Figures]) -> dict[str, float]:
    measured = {name: found["cpu_us_per_message"]["median"] for name, found in (peers or {}).items()}
    ours = measured.get("agent")  # 0 where a quick run took less than one tick of the clock
    return {name: measured[name] / ours for name in _RIVALS if ours and name in measured}
