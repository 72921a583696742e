"""A case that is a week of a machine: written by the case's own program, learnt from its first day, judged row by row.

As `edge-agent replay --commission-rows 8640` does it; what counts as false and as found is what `benchmarks.everyday`
counts.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import ROOT
from benchmarks.everyday.machines import LEARNT_ROWS
from benchmarks.everyday.trial import hear
from benchmarks.everyday.verdict import judge
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from edge_agent.model.session import ModelSession
from edge_agent.recordings import tables

SHIPPED = ROOT / "edge_agent/models/pretrained"
_PROGRAM = re.compile(r"(?P<program>[\w-]+\.py) (?P<scenario>\w+:\d+)")


def week(folder: Path) -> Mapping[str, Any]:
    """What the agent made of the week that the case's text names; empty where it names none."""
    about = folder / "expect.md"
    named = _PROGRAM.search(about.read_text(encoding="utf-8")) if about.is_file() else None
    program = folder.parent / named["program"] if named else folder
    if named is None or not program.is_file():
        return {}
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, str(program.resolve()), named["scenario"]]
        subprocess.run(
            command,
            cwd=place,
            check=True,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        (path,) = Path(place).glob("*.parquet")
        recording = tables.read(path)
    heard = hear(recording, learn_rows=LEARNT_ROWS, scorer=_scorer(), hop_rows=1)
    return judge(heard, recording, learn_rows=LEARNT_ROWS)


@cache
def _scorer() -> Scorer:
    """The shipped model, as `edge-agent run` has it."""
    return Scorer(ModelSession.open(bundle.read(SHIPPED), provider="cpu", threads=1), expecting=False)
