"""No markup of ours eats what somebody reads: brackets, colons and slashes are shown as they were written.

An error once said "install edge-agent" where "install edge-agent[recordings]" was meant, and a topic may hold anything.
"""

import ast
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from edge_agent import errors
from edge_agent.cli import app as command
from edge_agent.cli import tables
from edge_agent.cli.doctor.findings import Finding, row
from edge_agent.cli.replay import play as replaying

SOURCE = Path(errors.__file__).parent
HOSTILE = ("edge-agent[recordings]", "[[source]] [source.map]", "a[/b] [bold]c[/] [red", ":warning: line:1:2")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def nodes() -> Iterator[tuple[Path, ast.AST]]:
    """All that our own source consists of."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            yield path, node


NODES = [
    (path.name, node)
    for path, node in nodes()
    if isinstance(node, ast.Constant) or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name))
]


def constants() -> Iterator[str]:
    """What our own source may say with something in brackets: texts, and the fixed parts of those put together."""
    for _, node in NODES:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
            yield node.value


BRACKETED = sorted({text for text in constants() if re.search(r"\[[a-z/]|:[a-z_]+:", text)})
SAID = (*HOSTILE, *BRACKETED)


def flat(text: str) -> str:
    """Without colours, whatever was wrapped or indented on one line."""
    return " ".join(_COLOURS.sub("", text).split())


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What people see: colours, and a width in which nothing is wrapped."""
    seen = io.StringIO()
    monkeypatch.setattr(
        tables,
        "Console",
        lambda **how: Console(**how | {"file": seen, "force_terminal": True, "width": 4000, "stderr": False}),
    )
    return seen


def test_the_source_says_things_in_brackets() -> None:
    assert any("edge-agent[recordings]" in text for text in BRACKETED)
    assert any("[source.value]" in text for text in BRACKETED)


def test_every_error_is_told_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for said in SAID:
        for error in (errors.UsageError(said), errors.RecordingError(Path("a[b].csv"), said)):
            tables.tell_error(error)
            assert flat(str(error)) in flat(capsys.readouterr().err)
    seen = on_a_terminal(monkeypatch)
    for said in SAID:
        tables.tell_error(errors.ConfigError(Path("x[y].toml"), (("source[0]", said),)))
        assert flat(said) in flat(seen.getvalue())
        seen.seek(0)
        seen.truncate()


def test_every_table_and_line_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = on_a_terminal(monkeypatch)
    for said in SAID:
        table = tables.grid(said)
        table.add_row(said)
        finding = Finding("data", "warn", said, said)
        parts = (said, Text(said), table, row(finding))
        tables.show(*parts)
        for shown in (tables.text(*parts), seen.getvalue()):
            assert flat(shown).count(flat(said)) >= 6, shown
        seen.seek(0)
        seen.truncate()


def test_a_recording_of_any_name_is_shown_while_it_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    for said in HOSTILE:
        seen = io.StringIO()
        drawn = Console(file=seen, force_terminal=True, width=400, legacy_windows=False)
        monkeypatch.setattr(replaying, "console", lambda drawn=drawn, **_: drawn)
        with replaying.progress_bar(said, rows=2, shown=True) as done:
            done(1)
        assert said in _COLOURS.sub("", seen.getvalue())


@pytest.mark.parametrize("said", HOSTILE)
def test_what_was_typed_wrong_is_quoted_as_it_was_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    for arguments in ((said,), ("check", said), ("completion", said)):
        monkeypatch.setattr(sys, "argv", ["edge-agent", *arguments])
        with pytest.raises(SystemExit) as left:
            command.main()
        assert left.value.code == 2
        assert flat(said) in flat(capsys.readouterr().err)


@pytest.mark.parametrize("asked", ["-h", "--help"])
@pytest.mark.parametrize("name", ["", *command.COMMANDS, *command.GROUPS, "alarms list", "machines show"])
def test_help_comes_by_its_short_name_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, asked: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["edge-agent", *name.split(), asked])
    with pytest.raises(SystemExit) as left:
        command.main()
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert f"Usage: edge-agent {name}".rstrip() in said
    assert "-h, --help" in said


def test_everything_is_drawn_by_consoles_that_know_no_markup() -> None:
    made = [
        name
        for name, node in NODES
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Console"
    ]
    assert made == ["tables.py"]
