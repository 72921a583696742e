"""One word, one thing: no two classes of the agent have one name, and a wire format's name is written once."""

import ast
from collections import defaultdict
from pathlib import Path

from edge_agent.formats.table import FORMATS

AGENT = Path(__file__).parents[2] / "edge_agent"
COMMON_WORDS = frozenset({"image", "json", "number", "waveform", "line"})
"""Formats whose name is a word of other things, too: a log's form, a metric's kind."""


def test_no_two_classes_have_one_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in [*AGENT.rglob("*.py"), *AGENT.rglob("*.pyi")]:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path.relative_to(AGENT)))
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert twice == {}


def test_a_formats_name_is_written_once() -> None:
    names = FORMATS.keys() - COMMON_WORDS
    places = defaultdict(list)
    for path in AGENT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value in names:
                places[node.value].append(str(path.relative_to(AGENT)))
    assert {name: len(where) for name, where in places.items()} == dict.fromkeys(names, 1), dict(places)
