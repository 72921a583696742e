"""Few-shot naming of faults: k labelled windows a class, split by physical unit, beside the usual baselines.

`python benchmarks/diagnosis.py --data DIR` measures `edge_agent.diagnose` and the baselines on the same draws and
writes benchmarks/results/diagnosis.{json,md,png}. A draw takes k labelled windows of each class from training units;
all windows of the test units are judged. Nothing is chosen by looking at test units.

Measures: macro-F1 (mean of the draws and its 95 % interval), expected calibration error, and how well windows of
classes that were never learnt are told from windows of learnt ones (area under the ROC curve; a quarter of the
classes, at least one, is left out at random in each draw; a baseline's "known" is its largest probability).
"""

import argparse
import json
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
sys.path.insert(0, str(Path(__file__).parent))

import matplotlib as mpl  # noqa: E402  the number of threads must be known before numpy is
import numpy as np  # noqa: E402
import sklearn  # noqa: E402
from diagnosis_sets import SETS, LabelledSet, Unlabelled, load  # noqa: E402
from minirocket import MiniRocket  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from sklearn.ensemble import RandomForestClassifier  # noqa: E402
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV  # noqa: E402
from sklearn.metrics import f1_score, roc_auc_score  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from edge_agent import diagnose  # noqa: E402

mpl.use("Agg")

SHOTS = (1, 5, 10)
_BINS = 15
_STUDENT_95 = {5: 2.776, 10: 2.262, 20: 2.093}  # 97.5 % point of Student's t for that many draws
_ROCKET_FEATURES = 2000

Answer = tuple[NDArray[Any], NDArray[Any]]
"""(probability [N, K] of the sorted classes that were learnt, known [N])."""
Method = Callable[[LabelledSet, NDArray[np.int64], NDArray[np.int64], Unlabelled, NDArray[Any]], Answer]


def ours(
    data: LabelledSet, shown: NDArray[np.int64], asked: NDArray[np.int64], free: Unlabelled, _: NDArray[Any]
) -> Answer:
    """`edge_agent.diagnose` with the calm windows and the neighbouring windows of the training units."""
    faults = diagnose.learn(
        data.described[shown], data.labels[shown], calm=free.calm, pairs=free.pairs, seed=0
    )
    return diagnose.classify(faults, data.described[asked])


def ours_calm(
    data: LabelledSet, shown: NDArray[np.int64], asked: NDArray[np.int64], free: Unlabelled, _: NDArray[Any]
) -> Answer:
    """The same with calm windows alone: what a gateway knows on its first day."""
    faults = diagnose.learn(data.described[shown], data.labels[shown], calm=free.calm, seed=0)
    return diagnose.classify(faults, data.described[asked])


def ours_scratch(
    data: LabelledSet, shown: NDArray[np.int64], asked: NDArray[np.int64], _free: Unlabelled, _: NDArray[Any]
) -> Answer:
    """The same from the examples alone: what the unlabelled windows are worth."""
    faults = diagnose.learn(data.described[shown], data.labels[shown], calm=None, seed=0)
    return diagnose.classify(faults, data.described[asked])


def forest(
    data: LabelledSet, shown: NDArray[np.int64], asked: NDArray[np.int64], _free: Unlabelled, _: NDArray[Any]
) -> Answer:
    """Random forest on hand-made window statistics."""
    trees = RandomForestClassifier(300, random_state=0).fit(data.simple[shown], data.labels[shown])
    return _confident(trees.predict_proba(data.simple[asked]))


def regression(
    data: LabelledSet, shown: NDArray[np.int64], asked: NDArray[np.int64], _free: Unlabelled, _: NDArray[Any]
) -> Answer:
    """Logistic regression on the same statistics, standardised."""
    scaler = StandardScaler().fit(data.simple[shown])
    model = LogisticRegression(max_iter=300).fit(scaler.transform(data.simple[shown]), data.labels[shown])
    return _confident(model.predict_proba(scaler.transform(data.simple[asked])))


def rocket(
    data: LabelledSet,
    shown: NDArray[np.int64],
    asked: NDArray[np.int64],
    _: Unlabelled,
    features: NDArray[Any],
) -> Answer:
    """MiniRocket features and a ridge classifier, as its authors use it."""
    scaler = StandardScaler(with_std=False).fit(features[shown])
    ridge = RidgeClassifierCV(alphas=np.logspace(-3, 3, 10))
    ridge.fit(scaler.transform(features[shown]), data.labels[shown])
    margin = ridge.decision_function(scaler.transform(features[asked]))
    if margin.ndim == 1:
        margin = np.stack([-margin, margin], axis=1)
    raised = np.exp(margin - margin.max(axis=1, keepdims=True))
    return _confident(raised / raised.sum(axis=1, keepdims=True))


METHODS: Mapping[str, Method] = {
    "edge-agent": ours,
    "edge-agent, calm windows only": ours_calm,
    "edge-agent, no unlabelled windows": ours_scratch,
    "random forest, statistics": forest,
    "logistic regression, statistics": regression,
    "MiniRocket + ridge": rocket,
}


def _confident(probability: NDArray[Any]) -> Answer:
    return probability, probability.max(axis=1)


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


def measure(
    data: LabelledSet, method: Method, *, k: int, draws: int, features: NDArray[Any]
) -> dict[str, Any]:
    """Macro-F1, calibration error and unknown-fault AUROC of a method at k labels a class."""
    found: dict[str, list[float]] = {
        "macro_f1": [],
        "ece": [],
        "unknown_auroc": [],
        "learn_and_classify_s": [],
    }
    classes = np.unique(data.labels)
    for seed in range(draws):
        train, test = draw(data, seed)
        shown = examples(data, train, k, seed)
        asked = np.flatnonzero(np.isin(data.units, test))
        free = data.unlabelled(train)
        started = time.perf_counter()
        probability, _ = method(data, shown, asked, free, features)
        found["learn_and_classify_s"].append(time.perf_counter() - started)
        truth, named = data.labels[asked], classes[probability.argmax(axis=1)]
        found["macro_f1"].append(float(f1_score(truth, named, average="macro")))
        found["ece"].append(calibration_error(probability, named == truth))
        if len(classes) > 2:
            gone = np.random.default_rng(seed).permutation(classes)[: max(1, len(classes) // 4)]
            _, known = method(data, shown[~np.isin(data.labels[shown], gone)], asked, free, features)
            found["unknown_auroc"].append(float(roc_auc_score(~np.isin(truth, gone), known)))
    return {name: _summary(values) for name, values in found.items() if values}


def _summary(values: list[float]) -> dict[str, float]:
    student = _STUDENT_95.get(len(values), 2.0)
    half = student * float(np.std(values, ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return {"mean": round(float(np.mean(values)), 4), "interval_95": round(half, 4)}


def table(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        "# Few-shot diagnosis",
        "",
        _circumstances(report),
        "",
        "Macro-F1 (± half of the 95 % interval over draws) at k labels a class; ECE and unknown-fault AUROC at k = 5.",
    ]
    for name, per_method in report["sets"].items():
        size = report["sizes"][name]
        lines += ["", f"## {name}", "", size, ""]
        shots = [f"k={k}" for k in SHOTS]
        lines += [
            "| method | " + " | ".join(shots) + " | ECE | unknown AUROC |",
            "|---" * (len(shots) + 3) + "|",
        ]
        for method, per_k in per_method.items():
            cells = [_cell(per_k[str(k)]["macro_f1"]) for k in SHOTS]
            five = per_k["5"]
            unknown = _cell(five["unknown_auroc"]) if "unknown_auroc" in five else "-"
            lines.append(f"| {method} | " + " | ".join(cells) + f" | {five['ece']['mean']:.3f} | {unknown} |")
    return "\n".join(lines) + "\n"


def _circumstances(report: Mapping[str, Any]) -> str:
    machine = report["machine"]
    return (
        f"{report['date']}, {report['draws']} draws, {machine['processor']}, Python {machine['python']}, "
        f"numpy {machine['numpy']}, scikit-learn {machine['sklearn']}. Command: `{report['command']}`."
    )


def _cell(summary: Mapping[str, float]) -> str:
    return f"{summary['mean']:.3f} ± {summary['interval_95']:.3f}"


def picture(report: Mapping[str, Any], path: Path) -> None:
    """Macro-F1 over the number of labels, one panel a set."""
    from matplotlib import pyplot as plt  # noqa: PLC0415  after the backend was chosen

    names = list(report["sets"])
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure, panels = plt.subplots(rows, columns, figsize=(3.6 * columns, 3.0 * rows), squeeze=False)
    for panel, name in zip(panels.flat, names, strict=False):
        for index, (method, per_k) in enumerate(report["sets"][name].items()):
            mean = [per_k[str(k)]["macro_f1"]["mean"] for k in SHOTS]
            half = [per_k[str(k)]["macro_f1"]["interval_95"] for k in SHOTS]
            style = "-" if method == "edge-agent" else "--" if method.startswith("edge-agent") else ":"
            panel.errorbar(SHOTS, mean, half, label=method, linestyle=style, color=f"C{index}", capsize=2)
        panel.set_title(name)
        panel.set_xticks(SHOTS)
        panel.set_ylim(0, 1)
        panel.set_xlabel("labelled windows a class")
    for panel in panels.flat[len(names) :]:
        panel.axis("off")
    panels[0, 0].set_ylabel("macro-F1")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=3, fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0.1, 1, 1))
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("EDGE_AGENT_DATA", "../shared/data"))
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--draws", type=int, default=10)
    options = parser.parse_args()
    report: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": "python benchmarks/diagnosis.py " + " ".join(sys.argv[1:]),
        "draws": options.draws,
        "machine": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "sklearn": sklearn.__version__,
            "processor": f"{platform.machine()}, {os.cpu_count()} cores",
        },
        "sizes": {},
        "sets": {},
    }
    # One label a class is the point here, not a sign that a regression was meant.
    warnings.filterwarnings("ignore", message="The number of unique classes")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.sets:
        data = load(name, options.data)
        report["sizes"][data.name] = _size(data)
        features = np.empty((len(data.windows), 0), np.float32)
        if "MiniRocket + ridge" in options.methods:
            features = (
                MiniRocket(n_features=_ROCKET_FEATURES, seed=0).fit(data.windows).transform(data.windows)
            )
        per_method = report["sets"][data.name] = {}
        for method in options.methods:
            per_method[method] = {
                str(k): measure(data, METHODS[method], k=k, draws=options.draws, features=features)
                for k in SHOTS
            }
            shown = " ".join(_cell(per_method[method][str(k)]["macro_f1"]) for k in SHOTS)
            five = {key: value["mean"] for key, value in per_method[method]["5"].items()}
            print(f"{data.name:16s} {method:36s} {shown}  {five}", flush=True)
        (options.out / "diagnosis.json").write_text(json.dumps(report, indent=1) + "\n")
        (options.out / "diagnosis.md").write_text(table(report))
        picture(report, options.out / "diagnosis.png")


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


if __name__ == "__main__":
    main()
