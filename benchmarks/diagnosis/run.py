"""Few-shot naming of faults: k labelled windows a class, split by physical unit, beside the usual baselines.

`python -m benchmarks.diagnosis.run --data DIR` measures `edge_agent.diagnose.classifier` and the baselines on the same
draws and writes benchmarks/results/diagnosis.{json,md,png}. A draw takes k labelled windows of each class from training
units; all windows of the test units are judged. Nothing is chosen by looking at test units. What the JSON already
holds is kept, so that a long run can be done in pieces.

With `--class-column` and `--unit-column`, DIR is a folder of your own with an `index.csv` (docs/diagnosis.md).

Measures: macro-F1 (mean of the draws and its 95 % interval), expected calibration error, and how well windows of
classes that were never learnt are told from windows of learnt ones (area under the ROC curve; a quarter of the
classes, at least one, is left out at random in each draw; a baseline's "known" is its largest probability). The same
once more for whole test units, as an alarm is named: the windows' logarithms averaged, each with its "known" as weight.
"""

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import RESULTS

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

import numpy as np  # noqa: E402  the number of threads must be known before numpy is
from numpy.typing import NDArray  # noqa: E402
from sklearn.metrics import f1_score, roc_auc_score  # noqa: E402

from benchmarks.diagnosis import ford_a, normal_or_faulty  # noqa: E402
from benchmarks.diagnosis.datasets import OTHER_PLANTS, SETS, LabelledSet  # noqa: E402
from benchmarks.diagnosis.folder_dataset import load_folder  # noqa: E402
from benchmarks.diagnosis.methods import METHODS, Method  # noqa: E402
from benchmarks.diagnosis.minirocket import MiniRocket  # noqa: E402
from benchmarks.diagnosis.report import SHOTS, cell, picture, table  # noqa: E402
from benchmarks.diagnosis.spectral_views import VIEWS  # noqa: E402
from benchmarks.diagnosis.vibration_datasets import HIGH_RATE  # noqa: E402
from benchmarks.harness.provenance import circumstances  # noqa: E402

_MORE_SHOTS = (1, 2, 3, 5, 10)
"""Of the agent's own methods: how many of its labels are worth another's ten."""
_BINS = 15
_STUDENT_95 = {5: 2.776, 10: 2.262, 20: 2.093}  # 97.5 % point of Student's t for that many draws
_ROCKET_FEATURES = 2000
_FORD_A = "ford_a"
LOADERS = {**SETS, **HIGH_RATE}
_WHOLE: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    _FORD_A: lambda data: ford_a.measure(data / _FORD_A),
    **{name: partial(normal_or_faulty.measure, name) for name in normal_or_faulty.TRIALS},
}
"""Sets that are measured in one go, not method by method."""
_ORDER = [*LOADERS, *_WHOLE, *OTHER_PLANTS]
_MEASURED = [name for name in _ORDER if name not in OTHER_PLANTS]
_LEAST_SAY = 1e-2


def calibration_error(probability: NDArray[Any], right: NDArray[np.bool_]) -> float:
    """Expected calibration error over 15 equal bins of the largest probability."""
    sure = probability.max(axis=1)
    where = np.minimum((sure * _BINS).astype(np.int64), _BINS - 1)
    off = [
        abs(right[where == b].mean() - sure[where == b].mean()) * np.mean(where == b)
        for b in np.unique(where)
    ]
    return float(np.sum(off))


def draw(data: LabelledSet, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(training units, test units) of a draw: the set's own, or half of each class's units at random."""
    units = np.unique(data.units)
    if data.test_units is not None:
        test = np.isin(units, list(data.test_units))
        return units[~test], units[test]
    rng = np.random.default_rng(seed)
    train = []
    for label in np.unique(data.labels):
        own = np.unique(data.units[data.labels == label])
        train += rng.permutation(own)[: max(1, len(own) // 2)].tolist()
    return np.sort(train), np.setdiff1d(units, train)


def examples(data: LabelledSet, train: NDArray[np.int64], k: int, seed: int) -> NDArray[np.int64]:
    """As many as k windows of each class from the training units (all of them where there are fewer)."""
    rng = np.random.default_rng(1000 + seed)
    chosen = []
    for label in np.unique(data.labels):
        candidates = np.flatnonzero((data.labels == label) & np.isin(data.units, train))
        chosen.append(rng.permutation(candidates)[:k])
    return np.concatenate(chosen)


def whole_units(
    probability: NDArray[Any], known: NDArray[Any], units: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
    """What an alarm of each unit would be called: (pooled probability [U, K], mean of known [U], first window [U])."""
    names, first, of = np.unique(units, return_index=True, return_inverse=True)
    weight = known + _LEAST_SAY
    summed = np.zeros((len(names), probability.shape[1]))
    np.add.at(summed, of, weight[:, None] * np.log(np.maximum(probability, _LEAST_SAY)))
    pooled = np.exp(summed / np.bincount(of, weights=weight)[:, None])
    return pooled / pooled.sum(axis=1, keepdims=True), np.bincount(of, weights=known) / np.bincount(of), first


def measure(
    data: LabelledSet, method: Method, *, k: int, draws: int, features: NDArray[Any]
) -> dict[str, Any]:
    """Macro-F1, calibration error and unknown-fault AUROC of a method at k labels a class."""
    found: dict[str, list[float]] = {}
    classes = np.unique(data.labels)

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(float(value))

    for seed in range(draws):
        train, test = draw(data, seed)
        shown = examples(data, train, k, seed)
        asked = np.flatnonzero(np.isin(data.units, test))
        free = data.unlabelled(train)
        started = time.perf_counter()
        probability, known = method(data, shown, asked, free, features)
        note("learn_and_classify_s", time.perf_counter() - started)
        truth, named = data.labels[asked], classes[probability.argmax(axis=1)]
        note("macro_f1", f1_score(truth, named, average="macro"))
        note("ece", calibration_error(probability, named == truth))
        pooled, _, first = whole_units(probability, known, data.units[asked])
        note("unit_macro_f1", f1_score(truth[first], classes[pooled.argmax(axis=1)], average="macro"))
        if len(classes) > 2:
            gone = np.random.default_rng(seed).permutation(classes)[: max(1, len(classes) // 4)]
            kept = shown[~np.isin(data.labels[shown], gone)]
            probability, known = method(data, kept, asked, free, features)
            learnt = ~np.isin(truth, gone)
            note("unknown_auroc", roc_auc_score(learnt, known))
            _, known, first = whole_units(probability, known, data.units[asked])
            note("unit_unknown_auroc", roc_auc_score(learnt[first], known))
    return {name: _summary(values) for name, values in found.items()}


def _summary(values: list[float]) -> dict[str, float]:
    student = _STUDENT_95.get(len(values), 2.0)
    half = student * float(np.std(values, ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return {"mean": round(float(np.mean(values)), 4), "interval_95": round(half, 4)}


def label_efficiency(per_method: Mapping[str, Any]) -> dict[str, int | None]:
    """Fewest labels with which edge-agent is at least as good as each other method with ten; None: not with ten."""
    own = per_method.get("edge-agent", {})
    return {
        other: next(
            (k for k in _MORE_SHOTS if own[str(k)]["macro_f1"]["mean"] >= per_k["10"]["macro_f1"]["mean"]),
            None,
        )
        for other, per_k in per_method.items()
        if own and other != "edge-agent"
    }


def measure_set(
    data: LabelledSet, *, methods: Sequence[str], draws: int, held: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """What is known of the set after each method, at all numbers of labels; `held` was measured before."""
    features = np.empty((len(data.windows), 0), np.float32)
    if "MiniRocket + ridge" in methods:
        features = MiniRocket(n_features=_ROCKET_FEATURES, seed=0).fit(data.windows).transform(data.windows)
    per_method: dict[str, Any] = dict(held)
    for method in methods:
        shots = _MORE_SHOTS if method == "edge-agent" else SHOTS
        per_method[method] = {
            str(k): measure(data, METHODS[method], k=k, draws=draws, features=features) for k in shots
        }
        shown = " ".join(cell(per_method[method][str(k)]["macro_f1"]) for k in SHOTS)
        five = {key: value["mean"] for key, value in per_method[method]["5"].items()}
        print(f"{data.name:16s} {method:36s} {shown}  {five}", flush=True)
        yield {
            "size": _size(data),
            "draws": draws,
            "methods": {name: per_method[name] for name in METHODS if name in per_method},
            "label_efficiency": label_efficiency(per_method),
            **circumstances("benchmarks.diagnosis.run"),
        }


def _size(data: LabelledSet) -> str:
    n_units = len(np.unique(data.units))
    split = (
        "the set's own test units"
        if data.test_units is not None
        else "half of each class's units, drawn anew"
    )
    return (
        f"{len(data.names)} classes, {n_units} units, {len(data.labels)} windows of {data.windows.shape[1]} channels; "
        f"test: {split}."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    default = Path(os.environ.get("EDGE_AGENT_DATA", "../shared/data"))
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--sets", nargs="+", choices=_ORDER, default=_MEASURED)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--again", action="store_true", help="measure sets again that the JSON holds")
    own = parser.add_argument_group("a folder of your own")
    own.add_argument("--class-column", help="column of DIR/index.csv with the fault")
    own.add_argument("--unit-column", help="column with the physical unit (machine, bearing, run)")
    own.add_argument("--exclude", nargs="*", default=[], help="columns of the tables that are no channels")
    own.add_argument("--every", type=int, default=1, help="thin rows to every so many, for slow processes")
    options = parser.parse_args()
    if bool(options.class_column) != bool(options.unit_column):
        parser.error("--class-column and --unit-column belong together")
    return options


def _possible(method: str, data: LabelledSet) -> bool:
    """Whether the set has the description that the method looks at."""
    view = method.removeprefix("edge-agent on ")
    return view not in VIEWS or view in data.views


def _measure_named(
    name: str, options: argparse.Namespace, held: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """A set's entry in the report, again and again as it grows; nothing where `held` has all of it."""
    if name in _WHOLE:
        if not held:
            yield _WHOLE[name](options.data) | circumstances("benchmarks.diagnosis.run")
        return
    known = held.get("methods", {})
    missing = [method for method in options.methods if method not in known]
    if not missing:
        return
    if options.class_column:
        data = load_folder(
            options.data,
            class_column=options.class_column,
            unit_column=options.unit_column,
            exclude=options.exclude,
            every=options.every,
        )
    else:
        data = (LOADERS | OTHER_PLANTS)[name](options.data)
    missing = [method for method in missing if _possible(method, data)]
    yield from measure_set(data, methods=missing, draws=options.draws, held=known)


def main() -> None:
    """Measure and write."""
    options = _options()
    # One label a class is the point here, not a sign that a regression was meant.
    warnings.filterwarnings("ignore", message="The number of unique classes")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "diagnosis.json"
    report: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"sets": {}}
    order = {each: at for at, each in enumerate(_ORDER)}
    for name in [options.data.name] if options.class_column else options.sets:
        for entry in _measure_named(name, options, {} if options.again else report["sets"].get(name, {})):
            sets = report["sets"] | {name: entry}
            report["sets"] = dict(sorted(sets.items(), key=lambda item: order.get(item[0], len(order))))
            path.write_text(json.dumps(report, indent=1) + "\n")
            (options.out / "diagnosis.md").write_text(table(report))
            picture(report, options.out / "diagnosis.png")


if __name__ == "__main__":
    main()
