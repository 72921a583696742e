"""What is compared in the diagnosis benchmark: the agent's own naming, parts of it, and the usual baselines.

Each method is one function of the same arguments: the set, the windows shown with their labels, the windows asked
about, what is known without labels, and the set's MiniRocket features.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.preprocessing import StandardScaler

from benchmarks.diagnosis.datasets import LabelledSet, Unlabelled
from benchmarks.diagnosis.spectral_views import VIEWS
from edge_agent.diagnose import classifier

Answer = tuple[NDArray[Any], NDArray[Any]]
"""(probability [N, K] of the sorted classes that were learnt, known [N])."""
Method = Callable[[LabelledSet, NDArray[np.int64], NDArray[np.int64], Unlabelled, NDArray[Any]], Answer]


def ours(
    data: LabelledSet, shown: NDArray[np.int64], asked: NDArray[np.int64], free: Unlabelled, _: NDArray[Any]
) -> Answer:
    """`edge_agent.diagnose.classifier` with the normal windows and the neighbouring windows of the training units."""
    return _ours(data, shown, asked, free)


def ours_normal(
    data: LabelledSet, shown: NDArray[np.int64], asked: NDArray[np.int64], free: Unlabelled, _: NDArray[Any]
) -> Answer:
    """The same with normal windows alone: what a gateway knows on its first day."""
    return _ours(data, shown, asked, Unlabelled(free.normal, None))


def ours_scratch(
    data: LabelledSet, shown: NDArray[np.int64], asked: NDArray[np.int64], _free: Unlabelled, _: NDArray[Any]
) -> Answer:
    """The same from the examples alone: what the unlabelled windows are worth."""
    return _ours(data, shown, asked, Unlabelled(None, None))


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


def seen_otherwise(view: str) -> Method:
    """`ours` on another description of the same windows; only of sets that have it."""

    def method(
        data: LabelledSet,
        shown: NDArray[np.int64],
        asked: NDArray[np.int64],
        free: Unlabelled,
        features: NDArray[Any],
    ) -> Answer:
        seen = data.views[view]
        free = seen.unlabelled(np.setdiff1d(data.units, data.units[asked]))
        other = replace(data, described=seen.described, unlabelled=seen.unlabelled)
        return ours(other, shown, asked, free, features)

    return method


METHODS: Mapping[str, Method] = {
    "edge-agent": ours,
    "edge-agent, calm windows only": ours_normal,
    "edge-agent, no unlabelled windows": ours_scratch,
    "random forest, statistics": forest,
    "logistic regression, statistics": regression,
    "MiniRocket + ridge": rocket,
    **{f"edge-agent on {view}": seen_otherwise(view) for view in VIEWS},
}


def _ours(data: LabelledSet, shown: NDArray[np.int64], asked: NDArray[np.int64], free: Unlabelled) -> Answer:
    """A label is a window here; which of them are of one run is known, as it is of the windows of an alarm."""
    faults = classifier.learn(
        data.described[shown],
        data.labels[shown],
        normal=free.normal,
        pairs=free.pairs,
        cases=data.units[shown],
        seed=0,
    )
    return classifier.classify(faults, data.described[asked])


def _confident(probability: NDArray[Any]) -> Answer:
    return probability, probability.max(axis=1)
