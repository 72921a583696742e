"""What people read: fitted to a terminal, a line a row for programs."""

from rich.text import Text

from edge_agent.cli.tables import grid, text


def test_a_pipe_gets_one_line_a_row_without_colour_or_trailing_blanks() -> None:
    table = grid("machine", "alarm")
    table.add_row("pump-1", Text("[red] is no markup: " + "x" * 500))
    table.add_row("m", "")
    lines = text("head", table).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["head", "machine", "pump-1", "m"]
    assert "[red] is no markup" in lines[2]
    assert all(line == line.rstrip() and "\x1b" not in line for line in lines)
