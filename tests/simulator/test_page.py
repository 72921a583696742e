"""The page and the picture show what there is."""

from pathlib import Path
from xml.etree import ElementTree as ET

from simulator import KINDS, main
from simulator.picture import contact_sheet

ROOT = Path(__file__).parents[2]


def test_the_page_names_every_kind_and_fault() -> None:
    page = (ROOT / "docs/simulator.md").read_text()
    for kind in KINDS.values():
        line = next(
            line for line in page.splitlines() if line.startswith(f"| `{kind.name}` | {len(kind.channels)} |")
        )
        assert [fault.name for fault in kind.faults if f"`{fault.name}`" not in line] == []
        assert all(mode.replace("_", " ") in line for mode in kind.modes)


def test_the_picture_is_the_one_that_the_command_draws(tmp_path: Path) -> None:
    assert main(["--picture", str(tmp_path / "sheet.svg")]) == 0
    drawn = (tmp_path / "sheet.svg").read_text()
    assert drawn == (ROOT / "docs/images/simulator.svg").read_text()
    assert len(drawn) < 150_000


def test_the_picture_is_sound_and_shows_every_kind() -> None:
    sheet = ET.fromstring(contact_sheet())  # noqa: S314 - our own
    texts = [node.text or "" for node in sheet.iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in texts if text in KINDS] == list(KINDS)
    curves = [node.get("d") or "" for node in sheet.iter("{http://www.w3.org/2000/svg}path")]
    assert len(curves) == 1 + 6 * len(KINDS)
