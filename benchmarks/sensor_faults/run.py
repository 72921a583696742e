"""Sensors that break: what the agent says of the sensor, and whether it blames the machine. Measures, tunes nothing.

`python -m benchmarks.sensor_faults.run` breaks sensors of SKAB's runs and of simulated plants one at a time and
counts what the agent's pipeline says, beside what it says of the same rows unbroken: an alarm that rises there, too,
is not blamed on the sensor. Limits were chosen on plants with seeds below 100 (`--tune`); the seeds that count are
above. Channels that stood still for a third of the normal rows (doors, valves, set points) are no measurements and are
not broken.
"""

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks import RESULTS, ROOT
from benchmarks.sensor_faults.rules_alone import bare_profile, blamed, findings_alone
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.recordings import tables
from edge_agent.records import Alarm, Delivery, Float32, Frame, Profile, Reject
from edge_agent.sensors.monitor import QualitySettings
from simulator import simulate

SECOND = 1_000_000_000
SKAB_LEARN_ROWS = 400
PLANT_LEARN_ROWS = 3600
BROKEN_ROWS = 150
LEAD_ROWS = 10
"""Rows after the learnt ones before a sensor breaks."""
PLANT_SEEDS = {"pump": range(101, 105), "motor": range(111, 115), "furnace": range(121, 125)}
CONSTANT_SHARE = 0.3
GAINS = (10.0, 0.1, 14.5038, 1000.0, 0.001, 3.6, 60.0)


@dataclass(frozen=True)
class Trial:
    """One sensor, broken once."""

    data: str
    recording: str
    channel: str
    fault: str
    found: str
    right: bool
    delay_rows: int | None
    machine_alarm: bool
    others: tuple[str, ...]


def undecoded(_delivery: Delivery) -> Reject:
    """Recordings need no decoding."""
    return Reject("malformed")


def frames(name: str, channels: tuple[str, ...], values: Float32) -> Iterator[Frame]:
    """One row a second, in blocks."""
    for at in range(0, len(values), 256):
        part = values[at : at + 256]
        yield Frame(name, channels, [(at + row) * SECOND for row in range(len(part))], part)


def commissioned(name: str, channels: tuple[str, ...], normal: Float32, *, scorer: Scorer | None) -> Profile:
    """Learnt from the rows, as the agent would."""
    if scorer is None:
        return bare_profile(name, channels, normal)
    settings = PipelineSettings(commission_rows=len(normal))
    pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=settings)
    for frame in frames(name, channels, normal):
        for request in pipeline.feed([frame]).commissions:
            return learn(request, scorer=scorer, settings=settings)
    raise RuntimeError(f"{name} was not learnt")


def said(
    profile: Profile, channels: tuple[str, ...], values: Float32, *, scorer: Scorer | None
) -> tuple[Alarm, ...]:
    """Every alarm and finding that opened over the rows; the findings alone where there is no scorer."""
    if scorer is None:
        return findings_alone(profile, values)[0]
    pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=PipelineSettings(), profiles=[profile])
    steps = [pipeline.feed([frame]) for frame in frames(profile.machine, channels, values)]
    every = [one for step in steps for one in (*step.alarms, *step.findings)]
    return tuple(one for one in every if one.revision == 1)


def broken(values: Float32, channel: int, fault: str, *, start: int, rng: np.random.Generator) -> Float32:
    """The rows with one sensor broken from `start` on, for `BROKEN_ROWS`."""
    values = values.copy()
    at = slice(start, start + BROKEN_ROWS)
    if fault == "frozen":
        values[at, channel] = values[start, channel]
    elif fault == "missing":
        values[at, channel] = np.nan
    elif fault == "unit changed":
        values[at, channel] = values[at, channel] * np.float32(rng.choice(GAINS))
    elif fault == "noise gone":
        span = 16
        padded = values[start - span + 1 : at.stop, channel].astype(np.float64)
        values[at, channel] = np.convolve(padded, np.ones(span) / span, "valid")[:BROKEN_ROWS]
    return values


FAULTS = ("frozen", "missing", "unit changed", "noise gone")


def trials(  # noqa: PLR0913 - one experiment, told in full
    data: str,
    name: str,
    channels: tuple[str, ...],
    values: Float32,
    *,
    profile: Profile,
    learnt: int,
    count: int,
    rng: np.random.Generator,
    scorer: Scorer | None,
) -> Iterable[Trial]:
    """Break `count` sensors of one recording, one after another, each in a run of its own."""
    head = values[learnt - 256 : learnt + LEAD_ROWS + BROKEN_ROWS]
    start = 256 + LEAD_ROWS
    base = said(profile, channels, head, scorer=scorer)
    usual = {(one.kind, one.channels[0].name if one.channels else "") for one in base}
    normal_alarms = sum(one.kind == "machine" for one in base)
    measures = [
        at
        for at, channel in enumerate(profile.channels)
        if profile.memory["quality/run"][at] <= CONSTANT_SHARE * profile.rows
    ]
    for turn in range(count):
        fault = FAULTS[turn % len(FAULTS)]
        channel = channels.index(profile.channels[int(rng.choice(measures))])
        rows = broken(head, channel, fault, start=start, rng=rng)
        opened = said(profile, channels, rows, scorer=scorer)
        late = [one for one in opened if one.onset_ns >= start * SECOND]
        found = [one for one in late if one.kind == "sensor"]
        right = [one for one in found if one.channels and one.channels[0].name == channels[channel]]
        alarms = sum(one.kind == "machine" for one in opened)
        yield Trial(
            data=data,
            recording=name,
            channel=channels[channel],
            fault=fault,
            found=right[0].fault if right else "",
            right=bool(right),
            delay_rows=int(right[0].onset_ns // SECOND - start) if right else None,
            machine_alarm=alarms > normal_alarms,
            others=tuple(
                f"{one.fault}: {one.channels[0].name if one.channels else ''}"
                for one in found
                if one not in right and ("sensor", one.channels[0].name if one.channels else "") not in usual
            ),
        )


def skab_trials(folder: Path, *, scorer: Scorer | None) -> Iterable[Trial]:
    """Every run of the testbed, in the normal rows after those that are learnt."""
    rng = np.random.default_rng(1)
    for path in sorted(folder.glob("*.parquet")):
        if path.stem == "anomaly-free":
            continue
        data = tables.read(path)
        profile = commissioned(data.name, data.channels, data.values[:SKAB_LEARN_ROWS], scorer=scorer)
        yield from trials(
            "skab",
            data.name,
            data.channels,
            data.values,
            profile=profile,
            learnt=SKAB_LEARN_ROWS,
            count=4,
            rng=rng,
            scorer=scorer,
        )


def plant_trials(
    seeds: dict[str, Iterable[int]], *, scorer: Scorer | None, count: int = 12
) -> Iterable[Trial]:
    """Simulated machines of three kinds."""
    rng = np.random.default_rng(2)
    for kind, of_kind in seeds.items():
        for seed in of_kind:
            run = simulate(kind, rows=PLANT_LEARN_ROWS + 512, seed=seed)
            name = f"{kind}-{seed}"
            profile = commissioned(name, run.channels, run.values[:PLANT_LEARN_ROWS], scorer=scorer)
            yield from trials(
                "plant",
                name,
                run.channels,
                run.values,
                profile=profile,
                learnt=PLANT_LEARN_ROWS,
                count=count,
                rng=rng,
                scorer=scorer,
            )


def normal_findings(seeds: dict[str, Iterable[int]], *, scorer: Scorer, hours: int) -> dict[str, int]:
    """Findings on machines that are well, over hours that nothing was learnt from."""
    found: Counter[str] = Counter()
    for kind, of_kind in seeds.items():
        for seed in of_kind:
            run = simulate(kind, rows=PLANT_LEARN_ROWS + hours * 3600, seed=seed)
            profile = commissioned(
                f"{kind}-{seed}", run.channels, run.values[:PLANT_LEARN_ROWS], scorer=scorer
            )
            for one in said(profile, run.channels, run.values[PLANT_LEARN_ROWS:], scorer=scorer):
                found["machine alarms" if one.kind == "machine" else f"finding: {one.fault}"] += 1
            found["machine hours"] += hours
    return dict(found)


def cost(*, scorer: Scorer, rows: int = 3000) -> dict[str, float]:
    """Microseconds of `Pipeline.step` for a pump of eight channels at one row a step, with inspection and without.

    The two take turns in blocks of rows, so that a busy machine slows both; the median step counts.
    """
    run = simulate("pump", rows=PLANT_LEARN_ROWS + rows, seed=1)
    values, channels = np.ascontiguousarray(run.values[:, :8]), run.channels[:8]
    profile = commissioned("pump", channels, values[:PLANT_LEARN_ROWS], scorer=scorer)
    pipelines = {
        enabled: Pipeline(
            decode=undecoded,
            scorer=scorer,
            settings=PipelineSettings(quality=QualitySettings(enabled=enabled)),
            profiles=[profile],
        )
        for enabled in (False, True)
    }
    spent: dict[bool, list[int]] = {False: [], True: []}
    for start in range(PLANT_LEARN_ROWS, PLANT_LEARN_ROWS + rows, 50):
        for enabled, pipeline in pipelines.items():
            for at in range(start, start + 50):
                frame = Frame("pump", channels, [at * SECOND], values[at : at + 1])
                began = time.thread_time_ns()
                pipeline.feed([frame])
                spent[enabled].append(time.thread_time_ns() - began)
    off, on = (float(np.median(spent[enabled][300:])) / 1000 for enabled in (False, True))
    return {"off_us": round(off, 1), "on_us": round(on, 1), "added_share": round(on / off - 1, 4)}


def table(found: list[Trial]) -> list[dict[str, object]]:
    """Shares by data and fault."""
    groups: dict[tuple[str, str], list[Trial]] = defaultdict(list)
    for one in found:
        for key in ((one.data, one.fault), (one.data, "all"), ("all", "all")):
            groups[key].append(one)
    return [
        {
            "data": data,
            "fault": fault,
            "injections": len(group),
            "right_channel": sum(one.right for one in group) / len(group),
            "right_finding": sum(one.found == one.fault for one in group) / len(group),
            "other_channel": sum(bool(one.others) for one in group) / len(group),
            "machine_alarm": sum(one.machine_alarm for one in group) / len(group),
            "median_delay_rows": float(
                np.median([o.delay_rows for o in group if o.delay_rows is not None] or [-1])
            ),
        }
        for (data, fault), group in sorted(groups.items())
    ]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument(
        "--tune", action="store_true", help="other seeds, plants only: what limits are chosen on"
    )
    parser.add_argument("--hours", type=int, default=8, help="calm hours of each plant")
    parser.add_argument("--cost", action="store_true", help="only what inspection adds to a step of one row")
    parser.add_argument(
        "--findings", action="store_true", help="without a model: no machine alarms, in seconds"
    )
    arguments = parser.parse_args()
    if arguments.findings:
        write_findings(arguments.data)
        return
    scorer = Scorer.load(bundle.read(ROOT / "edge_agent/models/pretrained"), provider="cpu")
    if arguments.cost:
        print(cost(scorer=scorer))
        return
    if arguments.tune:
        seeds: dict[str, Iterable[int]] = {"pump": [1, 2], "motor": [11, 12], "furnace": [21, 22]}
        found = list(plant_trials(seeds, scorer=scorer, count=16))
        for line in table(found):
            print(line)
        for one in found:
            if not one.right or one.machine_alarm or one.others:
                print(one)
        print(normal_findings(seeds, scorer=scorer, hours=arguments.hours))
        return
    found = [*skab_trials(arguments.data / "skab", scorer=scorer), *plant_trials(PLANT_SEEDS, scorer=scorer)]
    normal = normal_findings(
        {kind: [*of][:2] for kind, of in PLANT_SEEDS.items()}, scorer=scorer, hours=arguments.hours
    )
    write(
        {
            "sensor_faults": table(found),
            "calm": normal,
            "cost": cost(scorer=scorer),
            "trials": [asdict(one) for one in found],
        }
    )


def write_findings(data: Path) -> None:
    """What is said of the same broken sensors without a model, and of faults of the machine; JSON and Markdown."""
    found = [*skab_trials(data / "skab", scorer=None), *plant_trials(PLANT_SEEDS, scorer=None)]
    faults, rows = blamed(range(131, 134)), table(found)
    (RESULTS / "sensor_rules.json").write_text(
        json.dumps({"sensor_faults": rows, "machine_faults": faults}, indent=1) + "\n"
    )
    lines = [
        "# Findings about sensors, without a model",
        "",
        "| data | fault | injections | right channel | other |",
    ]
    lines.append("|---|---|---|---|---|")
    for row in rows:
        shares = f"{100 * float(row['right_channel']):.1f} % | {100 * float(row['other_channel']):.1f} %"  # type: ignore[arg-type]
        lines.append(f"| {row['data']} | {row['fault']} | {row['injections']} | {shares} |")
    lines += ["", f"Faults of simulated machines: {faults}", ""]
    (RESULTS / "sensor_rules.md").write_text("\n".join(lines))
    print("\n".join(lines))


def write(results: dict[str, object]) -> None:
    """JSON and Markdown."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "quality.json").write_text(json.dumps(results, indent=1) + "\n")
    lines = [
        "# Broken sensors",
        "",
        "| data | fault | injections | right channel | right finding | other channel | machine alarm | delay, rows |",
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    for row in results["sensor_faults"]:  # type: ignore[attr-defined]
        shares = [
            f"{100 * row[key]:.1f} %"
            for key in ("right_channel", "right_finding", "other_channel", "machine_alarm")
        ]
        first, delay = f"{row['data']} | {row['fault']} | {row['injections']}", row["median_delay_rows"]
        lines.append(f"| {first} | {' | '.join(shares)} | {delay:.0f} |")
    lines += [
        "",
        f"Calm plants: {results['calm']}",
        "",
        f"Cost of a step of one row of eight channels: {results['cost']}",
        "",
    ]
    (RESULTS / "quality.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
