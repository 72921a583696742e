"""Fresh machines as a gateway would watch them: every window of hours, judged by networks and by the statistics alone.

Episodes hold a few windows of each machine, most of them near faults: how often a calm machine alarms they do not tell.
"""

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from edge_agent.detect.judge import THRESHOLD, Judge
from edge_agent.errors import CommissionError
from edge_agent.model.judge import N_DESCRIPTORS
from edge_trainer.in_context.corpus import THREADS, Plan, Report
from edge_trainer.in_context.export import ask, session_of
from edge_trainer.in_context.injections import Injected
from edge_trainer.in_context.look import HOP_ROWS, WINDOW_ROWS, learnt, look_with
from edge_trainer.in_context.machines.families import draw_family
from edge_trainer.in_context.machines.machine import MachineRows, Split

_SPLIT = 3
"""Part of the seed: machines that no corpus holds."""
_MOST_ROWS = 8192
"""The last so many rows are watched: hours or days after what was learnt."""
_CHUNK_WINDOWS = 512


@dataclass(frozen=True, slots=True)
class Watched:
    """One machine's windows in the order of time, W of them.

    Attributes:
        family: of the machine. context_rows: that it was learnt from. period_s: from row to row.
        rows: the newest row of each window, [W].
        logits: of each network, [W].
        own: the threshold that the machine's own normal windows ask for of each network (`judge_threshold`).
        parts: what the statistics come to, see `Look`, [W, 2]. shape: distance of the newest rows, [W].
        judged: windows of which somebody could say whether they are faulty; none from a lasting change on, [W].
        faults: what was wrong.
    """

    family: str
    context_rows: int
    period_s: float
    rows: npt.NDArray[np.int64]
    logits: Mapping[str, npt.NDArray[np.float32]]
    parts: npt.NDArray[np.float32]
    shape: npt.NDArray[np.float32]
    judged: npt.NDArray[np.bool_]
    faults: tuple[Injected, ...]
    own: Mapping[str, float] = field(default_factory=dict)

    @property
    def label(self) -> npt.NDArray[np.bool_]:
        """Windows whose newest row is faulty, [W]."""
        wrong = np.zeros(len(self.rows), np.bool_)
        for fault in self.faults:
            wrong |= (self.rows >= fault.start) & (self.rows < fault.stop)
        return wrong


def watch(
    plan: Plan,
    graphs: Mapping[str, bytes],
    *,
    machines: int,
    jobs: int,
    minutes: float,
    report: Report,
    split: Split = "held out",
) -> list[Watched]:
    """Watch so many fresh machines of a split, or as many as the time allows, by each network's graph."""
    for name in THREADS:
        os.environ.setdefault(name, "1")
    one = partial(_watched, plan, split, dict(graphs), time.time() + 60.0 * minutes)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        found = [each for each in pool.map(one, range(machines)) if each is not None]
    report(f"{len(found)} of {machines} fresh machines watched")
    return found


def _watched(
    plan: Plan, split: Split, graphs: Mapping[str, bytes], until: float, number: int
) -> Watched | None:
    if time.time() > until:
        return None
    there = plan.families(split)
    rng = np.random.default_rng([plan.seed, _SPLIT, number])
    family = draw_family(rng, there)
    machine = family.draw(rng).observed()
    if machine is None:
        return None
    n_rows = len(machine.values)
    first = max(machine.context_rows + WINDOW_ROWS, n_rows - _MOST_ROWS)
    ends = np.arange(first, n_rows + 1, HOP_ROWS)
    if len(ends) == 0:
        return None
    try:
        arrays = learnt(machine)
        sessions = {name: session_of(raw) for name, raw in graphs.items()}
        own = {name: _own_threshold(machine, session) for name, session in sessions.items()}
    except CommissionError:
        return None
    logits: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in graphs}
    parts, shape, judged = [], [], []
    for at in range(0, len(ends), _CHUNK_WINDOWS):
        seen = look_with(arrays, machine.values, ends[at : at + _CHUNK_WINDOWS])
        parts.append(seen.parts)
        judged.append(machine.shown(ends[at : at + _CHUNK_WINDOWS] - 1, seen.present)[1])
        shape.append(seen.shape)
        for name, session in sessions.items():
            logits[name].append(ask(session, seen.channels, seen.machine, seen.present)[0])
    told = np.concatenate(judged)
    if machine.changed_row is not None:
        told &= ends <= machine.changed_row
    return Watched(
        family=family.name,
        context_rows=machine.context_rows,
        period_s=machine.period_s,
        rows=ends - 1,
        logits={name: np.concatenate(of_one) for name, of_one in logits.items()},
        parts=np.concatenate(parts),
        shape=np.concatenate(shape),
        judged=told,
        faults=machine.faults,
        own=own,
    )


def _own_threshold(machine: MachineRows, session: ort.InferenceSession) -> float:
    """What the machine's own normal windows ask for of a network that hears every machine; -inf: nothing."""
    arrays = learnt(
        machine,
        Judge(
            ask=partial(ask, session),
            threshold=-np.inf,
            few_rows_threshold=-np.inf,
            state_threshold=0.0,
            descriptors=np.zeros(N_DESCRIPTORS, np.float32),
            descriptor_spread=np.ones(N_DESCRIPTORS, np.float32),
            familiar=np.inf,
            identity=0,
        ),
    )
    return float(arrays[THRESHOLD][0]) if THRESHOLD in arrays else -np.inf


def merged(flags: npt.NDArray[np.bool_], *, on_delay: int, off_delay: int) -> list[tuple[int, int]]:
    """Alarms (first window, window after the last) of windows above a threshold [W]: opened and closed with delay."""
    found: list[tuple[int, int]] = []
    run = calm = 0
    opened: int | None = None
    for at, above in enumerate(flags.tolist()):
        run = run + 1 if above else 0
        calm = 0 if above else calm + 1
        if opened is None and run >= on_delay:
            opened = at
        elif opened is not None and calm >= off_delay:
            found.append((opened, at))
            opened = None
    return found if opened is None else [*found, (opened, len(flags))]


def joined_spans(spans: Sequence[tuple[int, int]], *, gap: int) -> list[tuple[int, int]]:
    """Alarms that open again so soon after they closed are one."""
    found: list[tuple[int, int]] = []
    for start, stop in spans:
        if found and start - found[-1][1] < gap:
            found[-1] = (found[-1][0], stop)
        else:
            found.append((start, stop))
    return found
