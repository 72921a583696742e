"""A technician's browser before the page."""

import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Locator, Page, expect

PHONE = {"width": 390, "height": 844}
expect.set_options(timeout=60_000)  # a busy computer draws late


@contextmanager
def visit(
    browser: Browser,
    url: str,
    place: str = "",
    *,
    size: dict[str, int] = PHONE,
    scheme: str = "light",
    scale: float = 1.0,
) -> Iterator[Page]:
    """A page at `place`; fails where anything was asked of another host, or the script or the policy complained."""
    context = browser.new_context(
        viewport=size,  # type: ignore[arg-type]
        color_scheme=scheme,  # type: ignore[arg-type]
        device_scale_factor=scale,
        reduced_motion="reduce",
    )
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if "Security Policy" in line.text else None)
    page.goto(url + place)
    expect(page.locator("#live")).to_have_text("live")
    yield page
    context.close()
    assert [url for url in asked if not url.startswith(url)] == []
    assert complaints == []


def machine_place(name: str) -> str:
    return f"#/machine/{urllib.parse.quote(name, safe='')}"


def order(page: Page, place: Locator, button: str, *, token: str, **fields: str) -> None:
    """Press a button and fill its dialog in."""
    place.get_by_role("button", name=button, exact=True).click()
    dialog = page.locator("dialog")
    dialog.get_by_label("Your name").fill("Anna")
    if (asked := dialog.get_by_label("Token")).count():
        asked.fill(token)
    for label, text in fields.items():
        dialog.get_by_label(label.replace("_", " ")).fill(text)
    dialog.locator("button.main").click()
