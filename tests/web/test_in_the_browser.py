"""The page in a real browser, before a real agent: what a technician with a phone sees, and may do."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.harness.patience import wait_until
from tests.web.conftest import HOSTILE, HOSTILE_CHANNEL, TOKEN, World
from tests.web.visits import machine_place, visit

pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    pytest.mark.xdist_group("page"),  # one browser and one agent, however many workers there are
]


def test_the_overview_shows_every_machine_with_its_state_and_the_alarm_first(
    browser: Browser, world: World
) -> None:
    with visit(browser, world.url) as page:
        card = page.locator("article.alarm", has_text="pump-1")
        expect(card).to_contain_text("pressure")
        expect(card).to_contain_text("usually")
        expect(page.locator("a.machine", has_text="fan-2")).to_contain_text("Normal")
        expect(page.locator("a.machine", has_text="mixer-5")).to_contain_text("43 %: not watched")
        expect(page.locator("a.machine").first).to_contain_text("Alarm")
        assert re.match(r"\([23]\) hall", page.title())


def test_a_machine_is_shown_with_what_was_seen_beside_what_the_model_expected(
    browser: Browser, world: World
) -> None:
    with visit(browser, world.url, machine_place("pump-1")) as page:
        first = page.locator(".channel").first
        expect(first.locator("h3")).to_have_text("pressure")
        seen, expected, usual = first.locator("dd").all_inner_texts()
        low, high = (float(part) for part in usual.split(" to "))
        assert low < 5 < high, "pressure breathes about 5"
        # The model is of autoencoding kind: what it expects is a number of the channel's own size.
        assert abs(float(expected) - 5) < 4
        assert float(seen) > 4
        expect(page.locator("svg.score")).to_have_attribute("aria-label", of_the_threshold())
        page.get_by_role("button", name="24 h").click()
        expect(page.get_by_role("button", name="24 h")).to_have_attribute("aria-pressed", "true")


def of_the_threshold() -> re.Pattern[str]:
    return re.compile(r"threshold 1$")


def test_an_alarm_says_what_is_to_be_done_and_leads_there(browser: Browser, world: World) -> None:
    with visit(browser, world.url) as page:
        card = page.locator("article.alarm", has_text="pump-1")
        expect(card).to_contain_text("What to do: Close valve 3: https://wiki.example/v3")
        expect(card.get_by_role("link", name="https://wiki.example/v3")).to_have_attribute(
            "rel", "noreferrer"
        )


def test_a_link_with_the_token_logs_in_and_leaves_no_token_in_the_address(
    browser: Browser, world: World
) -> None:
    with visit(browser, world.url, f"#/login/{TOKEN}") as page:
        expect(page.locator("a.machine", has_text="fan-2")).to_be_visible()
        assert page.url.endswith("#/")
        assert page.evaluate("sessionStorage.getItem('token')") == TOKEN
        page.locator("article.alarm", has_text="pump-1").get_by_role("button", name="Acknowledge").click()
        expect(page.locator("dialog").get_by_label("Your name")).to_be_visible()
        assert page.locator("dialog").get_by_label("Token").count() == 0


def test_without_the_right_token_nothing_is_commanded_and_with_it_the_acknowledgement_is_published(
    browser: Browser, world: World
) -> None:
    alarm = world.alarm("pump-1")
    with visit(browser, world.url) as page:
        card = page.locator("article.alarm", has_text="pump-1")
        card.get_by_role("button", name="Acknowledge").click()
        page.get_by_label("Your name").fill("Anna")
        page.get_by_label("Comment").fill("on my way")
        page.get_by_label("Token").fill("not-the-right-token-at-all")
        page.locator("dialog").get_by_role("button", name="Acknowledge").click()
        expect(page.locator(".problem")).to_contain_text("the token is not the right one")
        assert not acknowledged(world, alarm)

        page.get_by_label("Token").fill(TOKEN)
        page.locator("dialog").get_by_role("button", name="Acknowledge").click()
        expect(page.locator("dialog")).to_be_hidden()
        wait_until(lambda: acknowledged(world, alarm), what="the acknowledgement over MQTT")
        assert acknowledged(world, alarm)[-1] == {"by": "Anna (page)", "comment": "on my way"}
        expect(card).to_contain_text("Acknowledged by Anna (page): on my way")
        expect(card.get_by_role("button", name="Acknowledge")).to_have_count(0)
    said = [line for line in world.agent.log() if line["event"] == "command" and line["by"]]
    assert ("ack", "Anna (page)", "done") in [(one["command"], one["by"], one["result"]) for one in said]
    assert TOKEN not in world.agent.log_file.read_text()


def acknowledged(world: World, alarm: str) -> list[dict[str, str]]:
    marks = [told["lifecycle"]["acknowledged"] for told in world.user.alerts if told["id"] == alarm]
    return [{"by": mark["by"], "comment": mark["comment"]} for mark in marks if mark]


def test_a_machine_is_shelved_unshelved_and_its_fault_named(browser: Browser, world: World) -> None:
    alarm = world.alarm("pump-1")
    with visit(browser, world.url, machine_place("pump-1")) as page:
        page.locator("article.alarm").first.get_by_role("button", name="Shelve").click()
        page.get_by_label("15 minutes").check()
        page.get_by_label("Your name").fill("Anna")
        page.get_by_label("Token").fill(TOKEN)
        page.locator("dialog").get_by_role("button", name="Shelve").click()
        expect(page.locator("main")).to_contain_text("Shelved by Anna (page) until")

        page.get_by_role("button", name="Unshelve").click()
        page.locator("dialog").get_by_role("button", name="Unshelve").click()
        expect(
            page.locator("article.alarm").first.get_by_role("button", name="Shelve", exact=True)
        ).to_be_visible()

        page.get_by_role("button", name="Name the fault").click()
        page.locator("input[name=fault]").fill("valve stuck <b>")
        page.locator("dialog").get_by_role("button", name="Name the fault").click()
        expect(page.locator(".fault")).to_contain_text("valve stuck <b>")
    named = [told for told in world.user.alerts if told["id"] == alarm and told["fault"]["name"] != "unknown"]
    assert named[-1]["fault"]["name"] == "valve stuck <b>"


def test_hostile_names_of_machines_and_channels_are_inert(browser: Browser, world: World) -> None:
    with visit(browser, world.url) as page:
        expect(page.locator("article.alarm h2", has_text=HOSTILE)).to_be_visible()
        page.locator("a.machine", has_text=HOSTILE).click()
        expect(page.locator("h1")).to_have_text(HOSTILE)
        expect(page.locator(".channel h3", has_text=HOSTILE_CHANNEL)).to_be_visible()
        assert page.locator("main img, main script").count() == 0
        assert page.evaluate("document.body.dataset.owned") is None


PLACES = ("", machine_place("pump-1"), machine_place(HOSTILE), "#/history", "#/data", "#/model")


def walk(page: Page, *, places: tuple[str, ...]) -> Iterator[str]:
    """Each place in turn, once it is drawn."""
    for place in places:
        page.evaluate(_GO, place or "#/")
        expect(page.locator("main > *").nth(1)).to_be_attached()
        yield place


def check_edges(page: Page, width: int) -> None:
    for place in walk(page, places=PLACES):
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{place or 'the overview'} is {wide} px wide on a phone of {width} px"


def check_contrast(page: Page, places: tuple[str, ...]) -> None:
    for place in walk(page, places=places):
        least, text = page.evaluate(_CONTRAST)
        assert least >= 4.5, f"WCAG AA wants 4.5 : 1; {text!r} at {place!r} has {least:.2f}"


def test_on_a_small_phone_in_the_dark_nothing_hangs_over_the_edge_and_all_text_stands_out(
    browser: Browser, world: World
) -> None:
    with visit(browser, world.url, size={"width": 320, "height": 700}, scheme="dark") as page:
        check_edges(page, 320)
        check_contrast(page, ("", machine_place("pump-1")))


@pytest.mark.page
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1180])
def test_no_size_or_scheme_hides_or_cuts_anything(
    browser: Browser, world: World, width: int, scheme: str
) -> None:
    with visit(browser, world.url, size={"width": width, "height": 700}, scheme=scheme) as page:
        check_edges(page, width)
        check_contrast(page, PLACES)


def test_the_keyboard_reaches_the_alarm_and_the_focus_outlives_a_refresh(
    browser: Browser, world: World
) -> None:
    with visit(browser, world.url) as page:
        button = page.locator("article.alarm").first.get_by_role("button", name="Shelve")
        for _ in range(20):
            page.keyboard.press("Tab")
            if button.evaluate("node => node === document.activeElement"):
                break
        else:
            pytest.fail("twenty steps of Tab do not reach the button")
        with page.expect_response("**/api/state"):
            pass
        page.evaluate("new Promise(requestAnimationFrame)")
        assert button.evaluate("node => node === document.activeElement")
        page.keyboard.press("Enter")
        expect(page.locator("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_be_hidden()


_GO = """place => new Promise((done) => {
  addEventListener("hashchange", () => done(), { once: true });
  if (location.hash === place) done();
  location.hash = place;
})"""
_CONTRAST = """() => {
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [.2126, .7152, .0722][at], 0);
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility() || node.closest("svg, noscript, script")) continue;
    const [one, two] = [light(rgb(getComputedStyle(node).color)), light(ground(node))];
    found.push([(Math.max(one, two) + .05) / (Math.min(one, two) + .05), walker.currentNode.data]);
  }
  return found.sort(([a], [b]) => a - b)[0];
}"""
