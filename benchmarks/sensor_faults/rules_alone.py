"""Findings about sensors without a model: what `edge_agent.sensors.monitor` says of rows alone, in seconds."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from edge_agent.records import Alarm, Float32, Profile
from edge_agent.sensors.checks import reference
from edge_agent.sensors.monitor import QualitySettings, SensorMonitor
from simulator import KINDS, MEASURED_KINDS, Injection, simulate

SECOND = 1_000_000_000
WINDOW_ROWS = 64
"""For how long a channel stays hidden after it is well; no finding depends on it."""
LEARN_ROWS = 3600
FAULT_ROWS = 900


def bare_profile(name: str, channels: tuple[str, ...], normal: Float32) -> Profile:
    """What sensors are held to, and nothing that a score needs."""
    memory = {
        **reference(normal),
        "location": np.median(normal, axis=0),
        "scale": normal.std(axis=0) + 1e-9,
        "evidence/low": normal.min(axis=0),
        "evidence/high": normal.max(axis=0),
    }
    return Profile(
        machine=name,
        channels=channels,
        encoder="",
        learnt_ns=0,
        rows=len(normal),
        period_ns=SECOND,
        hop_rows=1,
        memory=memory,
    )


def findings_alone(profile: Profile, values: Float32) -> tuple[tuple[Alarm, ...], float]:
    """(the findings that opened over the rows, share of the machine's cells that would be hidden)."""
    monitor = SensorMonitor(
        profile,
        QualitySettings(),
        ranges=[(-np.inf, np.inf)] * len(profile.channels),
        window_rows=WINDOW_ROWS,
        model="",
    )
    opened: list[Alarm] = []
    hidden = 0
    for at in range(0, len(values), 256):
        part = values[at : at + 256]
        seen = monitor.check(part, (at + np.arange(len(part))) * SECOND)
        opened += [one for one in seen.findings if one.revision == 1]
        hidden += int(seen.hidden.sum())
    return tuple(opened), hidden / values.size


def blamed(seeds: Iterable[int]) -> dict[str, object]:
    """Every fault of every simulated kind, at once and growing: how often a sensor is blamed."""
    found: Counter[str] = Counter()
    said: list[str] = []
    shares = []
    for kind in MEASURED_KINDS:
        machine = KINDS[kind]
        for seed in seeds:
            profile = None
            for fault in machine.faults:
                for growth_rows in (0, 300):
                    injection = Injection(fault.name, LEARN_ROWS + 100, growth_rows, 1.0)
                    run = simulate(kind, rows=LEARN_ROWS + FAULT_ROWS, seed=seed, injections=[injection])
                    profile = profile or bare_profile(kind, run.channels, run.values[:LEARN_ROWS])
                    opened, share = findings_alone(profile, run.values[LEARN_ROWS:])
                    found["faults"] += 1
                    found["with a finding"] += bool(opened)
                    shares.append(share)
                    said += [f"{kind} {fault.name}: {one.fault}" for one in opened]
    return {**found, "hidden_share": round(float(np.mean(shares)), 4), "said": sorted(said)}
