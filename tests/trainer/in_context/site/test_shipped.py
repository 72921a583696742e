"""The weights in a bundle's graph are those that were exported; what is no such graph is refused."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from edge_trainer.in_context.site import shipped

from edge_agent.config.sections import SHIPPED_BUNDLE
from edge_agent.errors import TrainingError
from edge_agent.model import bundle
from edge_agent.model import judge as judges
from tests.trainer.in_context.site.factory import SHIPPED, bundle_with_judge, networks


def test_the_weights_are_those_that_were_exported(tmp_path: Path) -> None:
    exported = networks(3)
    found = shipped.read(bundle_with_judge(tmp_path / "bundle", exported), dropout=0.2)
    assert len(found.networks) == 3
    for network, wanted in zip(found.networks, exported, strict=True):
        assert network.dropout == 0.2
        assert network.state_dict().keys() == wanted.state_dict().keys()
        for name, value in wanted.state_dict().items():
            torch.testing.assert_close(network.state_dict()[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_the_shipped_judge_can_go_on_learning() -> None:
    assert len(shipped.read(SHIPPED_BUNDLE, dropout=0.1).networks) == 3


def test_a_bundle_without_a_judge_is_refused(tmp_path: Path) -> None:
    known = bundle.read(SHIPPED)
    kept = {name: (SHIPPED / name).read_bytes() for name in known.manifest.files if name not in judges.FILES}
    path = bundle.write(tmp_path, msgspec.structs.replace(known.manifest, judge=msgspec.UNSET), kept)
    with pytest.raises(TrainingError, match="has no judge"):
        shipped.read(path, dropout=0.0)


def test_what_answers_otherwise_is_refused(tmp_path: Path) -> None:
    made = networks()
    known = bundle.read(bundle_with_judge(tmp_path / "bundle", made)).judge
    assert known is not None
    shipped._check(known, made)
    wrong = replace(known, golden=known.golden._replace(logit=known.golden.logit + np.float32(1.0)))
    with pytest.raises(TrainingError, match="answers otherwise"):
        shipped._check(wrong, made)


def test_a_graph_of_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bundle_with_judge(tmp_path / "bundle", networks())
    whole = shipped._constants
    monkeypatch.setattr(
        shipped,
        "_constants",
        lambda raw: {name: each for name, each in whole(raw).items() if name != "hidden"},
    )
    with pytest.raises(TrainingError, match="was not written by this trainer: 'hidden'"):
        shipped.read(path, dropout=0.0)
