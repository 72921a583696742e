"""The shipped network finds named faults of simulated machines in peace; with its weights in random order it does not.

Each machine is drawn anew, learnt from ten minutes to an hour of calm rows, and judged by the agent's own trigger.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import pytest

from benchmarks.detection.networks import decides, judged
from benchmarks.few_minutes.alarms import tally, triggered
from benchmarks.few_minutes.methods import agent
from benchmarks.few_minutes.plants import Plant, Spec
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from edge_agent.model.session import ModelSession
from simulator import KINDS, Injection, simulate

SHIPPED = Path(__file__).parents[2] / "edge_agent/models/pretrained"
SEED = 1_970_000_000
"""Of machines that neither a network nor a threshold has seen."""
CALM_ROWS, FAULT_ROWS, APART_ROWS = 1800, 500, 1200
NAMED: Mapping[Spec, tuple[str, ...]] = MappingProxyType(
    {
        Spec("chiller", 1, 600): (
            "refrigerant_leak",
            "water_flow_low",
            "air_in_refrigerant",
            "oil_filter_clogged",
        ),
        Spec("compressor", 1, 600): ("intake_filter_clogged", "separator_clogged"),
        Spec("furnace", 1, 1800): ("heater_element_failure", "thermocouple_drift", "burner_fouling"),
        Spec("conveyor", 1, 3600): ("belt_slip", "rollers_seized", "take_up_stuck"),
        Spec("motor", 1, 3600): ("bearing_outer_race", "imbalance", "misalignment", "phase_unbalance"),
    }
)
FAULTS = sum(map(len, NAMED.values()))


@cache
def plant(spec: Spec) -> Plant:
    """Calm for half an hour after what is learnt; then the faults, one after another."""
    at, faults = spec.learnt_rows + CALM_ROWS, []
    for name in NAMED[spec]:
        faults.append(Injection(name, at, 60, 1.0, at + FAULT_ROWS))
        at += FAULT_ROWS + APART_ROWS
    seeds = {"seed": SEED + spec.seed, "machine_seed": SEED + 1000 + spec.seed}
    run = simulate(spec.kind, rows=at, injections=faults, **seeds)
    guilty = {fault.name: fault.channels for fault in KINDS[spec.kind].faults}
    columns = tuple(tuple(run.channels.index(name) for name in guilty[each.fault]) for each in faults)
    return Plant(spec, run.channels, run.values, tuple(faults), columns)


def found_and_false(scorer: Scorer) -> tuple[int, int]:
    """(named faults that an alarm tells, false alarms) on all machines together."""
    told = [
        tally(plant(spec), triggered(agent(scorer)(plant(spec)), window_rows=scorer.window_rows))
        for spec in NAMED
    ]
    return sum(each["found"] for each in told), sum(each["false_alarms"] for each in told)


@pytest.fixture(scope="module")
def shipped() -> Scorer:
    session = ModelSession.open(bundle.read(SHIPPED), provider="cpu", threads=1)
    return Scorer(session, expecting=False)


def test_what_was_learnt_in_training_finds_the_faults_and_random_weights_do_not(shipped: Scorer) -> None:
    assert decides(shipped)
    found, false = found_and_false(shipped)
    assert false <= 1
    assert found >= FAULTS - 2
    for seed in (0, 1):
        assert found_and_false(judged(shipped, f"random:{seed}"))[0] <= FAULTS - 5
