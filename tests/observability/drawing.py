"""The dashboards as Grafana's panel components draw them: the page in `preview/`, built, served and looked at."""

import json
import shutil
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

from benchmarks import ROOT
from tests.observability.programs import program
from tests.support.missing import missing

SOURCE = Path(__file__).with_name("preview")
DASHBOARDS = ROOT / "deploy/grafana/dashboards"
SIZE = {"width": 1280, "height": 800}
_LOOK = """section => {
  const found = {legend: [], drawn: []};
  const canvas = section.querySelector('canvas');
  if (!canvas) return found;
  const colours = [...section.querySelectorAll('[data-testid=series-icon]')].map(icon => icon.style.background);
  found.legend = colours.map(colour => (colour.match(/\\d+/g) || []).slice(0, 3).map(Number));
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const near = (at, colour) => colour.every((part, index) => Math.abs(part - data[at + index]) < 12);
  found.drawn = found.legend.map(colour => {
    let count = 0;
    for (let at = 0; at < data.length; at += 4) count += data[at + 3] > 120 && near(at, colour);
    return count;
  });
  return found;
}"""
"""The colours in a panel's legend, and how many points of the graph have each."""


def build(folder: Path) -> None:
    """The page and, beside it, the dashboards as they ship."""
    npm = program("npm", package="npm")
    if not (SOURCE / "node_modules").is_dir():
        missing("no node_modules: `make panels` installs them")
    subprocess.run([npm, "run", "--silent", "check"], cwd=SOURCE, check=True)
    subprocess.run([npm, "run", "--silent", "build", "--", str(folder)], cwd=SOURCE, check=True)
    shutil.copytree(DASHBOARDS, folder / "dashboards")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited name
        """Nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@contextmanager
def drawn(browser: Browser, url: str, dashboard: str, prometheus: int, **asked: object) -> Iterator[Page]:
    """A dashboard's page; fails where a script complained, a file was missing or a far host was asked."""
    page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.on("response", lambda answer: _note_missing(answer.status, answer.url, complaints))
    page.on("request", lambda request: _note_far(request.url, complaints))
    words = {"dashboard": f"dashboards/{dashboard}", "prometheus": f"http://127.0.0.1:{prometheus}"}
    page.goto(f"{url}?{urllib.parse.urlencode(words | asked)}")
    expect(page.locator("main, [data-wrong]").first).to_be_visible(timeout=30_000)
    page.wait_for_timeout(1000)  # graphs are drawn a moment after their panel
    yield page
    page.close()
    assert complaints == [], complaints


def _note_missing(status: int, url: str, complaints: list[str]) -> None:
    if status >= 400:
        complaints.append(f"{status} {url}")


def _note_far(url: str, complaints: list[str]) -> None:
    if urllib.parse.urlsplit(url).hostname not in ("127.0.0.1", None):
        complaints.append(url)


def wrong_panels(page: Page, told: dict[str, Any]) -> dict[str, str]:
    """Title and fault of each panel that was not drawn with data."""
    found = {}
    for panel in told["panels"]:
        if fault := _fault(page.locator(f"section[data-panel='{panel['id']}']"), panel):
            found[panel["title"]] = fault
    return found


def _fault(section: Locator, panel: dict[str, Any]) -> str:
    if section.count() != 1:
        return "absent"
    for kind in ("wrong", "empty"):
        if section.locator(f"[data-{kind}]").count():
            return f"{kind}: {section.locator(f'[data-{kind}]').inner_text()}"
    if section.locator("h2").inner_text() != panel["title"]:
        return f"title {section.locator('h2').inner_text()}"
    if panel["type"] != "timeseries":
        return "" if content(section) else "no words"
    seen = section.evaluate(_LOOK)
    if not seen["legend"]:
        return "no legend"
    return "" if max(seen["drawn"]) >= 5 else f"nothing in the colours of the legend: {seen}"


def content(section: Locator) -> str:
    """The words in a panel, but for its title."""
    words = section.locator("[data-testid='data-testid panel content']").inner_text()
    return " ".join(words.split())


def read(name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((DASHBOARDS / name).read_text())
    return told
