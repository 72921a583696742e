"""The page about a training holds what the stages left, loads nothing, and its label curve is an honest one."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from edge_trainer.config import Config
from edge_trainer.evaluation import evaluate
from edge_trainer.evaluation.label_efficiency import Embedded, curve
from edge_trainer.report import svg, training_report
from matplotlib.figure import Figure

from edge_agent.errors import TrainingError


class Links(HTMLParser):
    """Everything on a page that could be fetched, and every id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "link", "iframe", "object"}
        for name, value in attrs:
            if name in {"src", "href", "xlink:href"} and value:
                self.fetched.append(value)
            if name == "id" and value:
                self.ids.append(value)


def test_the_report_of_a_whole_run_shows_every_part_and_loads_nothing(trained: Config) -> None:
    evaluate.run(trained)
    page = training_report.write(trained.run.out).read_text(encoding="utf-8")
    sections = re.findall(r"<h2>(.*?)</h2>", page)
    for title in (
        "Losses", "Embeddings", "Scores", "Restored windows", "Naming of faults", "Label efficiency", "Model card",
    ):  # fmt: skip
        assert title in sections
    assert page.count("<svg") == 10
    links = Links(page)
    assert all(one.startswith(("#", "data:")) for one in links.fetched)
    assert "@import" not in page
    assert set(re.findall(r"url\((.)", page)) <= {"#"}
    # What is referred to is there, once: ids of several pictures do not meet.
    wanted = {one[1:] for one in links.fetched if one.startswith("#")} | set(
        re.findall(r"url\(#([^)]+)\)", page)
    )
    assert wanted <= set(links.ids)
    assert len(links.ids) == len(set(links.ids))


def test_a_run_without_evaluation_has_a_shorter_report(trained: Config) -> None:
    page = training_report.write(trained.run.out).read_text(encoding="utf-8")
    assert 'id="losses"' in page
    assert 'id="scores"' not in page
    assert "Faults found" not in page


def test_a_card_cannot_smuggle_markup_or_pictures_in(
    trained: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = training_report._bundle(trained.run.out)
    assert found is not None

    class Shady:
        manifest, digest = found.manifest, found.digest
        card = "# x <script>alert(1)</script>\n\n![p](http://example.org/p.png) [l](http://example.org)"

    monkeypatch.setattr(training_report, "_bundle", lambda _run: Shady)
    page = training_report.write(trained.run.out).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not [one for one in Links(page).fetched if "example.org" in one]


def test_an_empty_directory_is_told(tmp_path: object) -> None:
    with pytest.raises(TrainingError, match="train first"):
        training_report.write(tmp_path)  # type: ignore[arg-type]


def test_a_picture_takes_the_colour_of_its_page() -> None:
    figure = Figure()
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="C0", label="line")
    axes.plot([0, 1], [1, 0], color="0.25")
    axes.plot([0, 1], [1, 1], color="0.3")
    axes.legend()
    drawn = svg.inline(figure, prefix="a")
    assert drawn.startswith("<svg")
    assert "currentColor" in drawn
    assert "#1f77b4" in drawn  # colours that mean something stay
    assert "#000000" not in drawn
    assert "#404040" not in drawn
    assert "#4c4c4c" not in drawn
    assert "<metadata" not in drawn
    assert 'height="' not in drawn.partition(">")[0]
    assert svg.inline(figure, prefix="a") == drawn


def classes(n: int, apart: float, seed: int) -> Embedded:
    rng = np.random.default_rng(seed)
    target = np.arange(n) % 3
    centre = np.eye(3, 6)[target] * apart
    return Embedded((centre + rng.normal(0, 1.0, (n, 6))).astype(np.float32), target)


def test_more_labels_name_more_windows_and_chance_stays_chance() -> None:
    points = curve(classes(300, 3.0, 0), classes(150, 3.0, 1), seed=0)
    assert [point.labels_per_class for point in points] == [1, 2, 4, 8, 16, 32]
    assert points[-1].macro_f1 > points[0].macro_f1 + 0.1
    assert all(point.lowest <= point.macro_f1 <= point.highest for point in points)
    nothing = curve(classes(300, 0.0, 0), classes(600, 0.0, 1), seed=0)
    assert nothing[-1].macro_f1 == pytest.approx(1 / 3, abs=0.05)


def test_no_more_labels_are_drawn_than_the_rarest_class_has() -> None:
    rare = classes(33, 3.0, 0)
    assert [point.labels_per_class for point in curve(rare, rare, seed=0)] == [1, 2, 4, 8]
