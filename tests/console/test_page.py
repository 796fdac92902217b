"""The page of a real demo, in a real browser."""

import re
import time
from typing import Literal

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from kafka import KafkaProducer
from playwright.sync_api import Browser, Page, expect

from docs.pictures.live import Demo
from tests.console.support import VIEWS, bar, key

pytestmark = [pytest.mark.browser, pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]


def publish(producer: KafkaProducer, symbol: str, start_ms: int, close: float, revision: int) -> None:
    made = bar(symbol, start_ms, close, revision=revision)
    producer.send("bars", key=key(made), value=msgspec.json.encode(made)).get(30)


def test_candles_move(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.address}/?symbol=BTC-USD")
    legend = page.locator("#market-chart .legend")
    expect(legend).to_contain_text("VWAP")
    before, drawn = legend.inner_text(), page.locator("#market-chart .canvas").screenshot()
    expect(legend).not_to_have_text(before)
    expect(page.locator("#market-chart figcaption")).to_contain_text("BTC-USD, all sources")
    assert page.locator("#market-chart .canvas").screenshot() != drawn
    expect(page.locator("#pulse-rate")).to_have_text(re.compile(r"^[\d,]+$"))


def test_a_symbol_a_resolution_and_a_source_change_the_candles(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.address}/?symbol=BTC-USD")
    caption = page.locator("#market-chart figcaption")
    page.locator("#grid-filler .row", has_text="ETH-USD").click()
    expect(page.locator("#view-market .name")).to_have_text("ETH-USD")
    expect(caption).to_have_text(re.compile("^ETH-USD, all sources: .* results of 1s"))
    page.get_by_role("button", name="5s", exact=True).click()
    expect(caption).to_have_text(re.compile("^ETH-USD, all sources: .* results of 5s"))
    page.locator("#view-market .sources").select_option("sim")
    expect(caption).to_have_text(re.compile("^ETH-USD, sim: .* results of 5s"))
    # The address holds all of it.
    page.reload()
    expect(caption).to_have_text(re.compile("^ETH-USD, sim: .* results of 5s"))


def test_a_killed_worker_is_seen_and_so_is_its_return(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.address}/?view=pipeline")
    expect(page.locator(".node.worker:not(.away)")).to_have_count(2)
    # The demo itself kills the first one.
    expect(page.locator("#pipeline-events")).to_contain_text("were taken over after")
    page.get_by_role("button", name="Kill a worker").click()
    expect(page.locator(".node.worker.away")).to_have_count(1)
    expect(page.locator("#pulse-workers")).to_have_text("1 of 2")
    expect(page.locator("#pipeline-events")).to_contain_text("is back, and goes on where it was")
    expect(page.locator(".node.worker:not(.away)")).to_have_count(2)
    # What the demo itself says of it.
    expect(page.locator("#pipeline-events")).to_contain_text("(kill -9)")


def test_partitions_are_added(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.address}/?view=pipeline")
    expect(page.locator("#picture-inputs .node", has_text="trades")).to_have_count(4)
    page.get_by_role("button", name="Double the partitions").click()
    expect(page.locator("#picture-inputs .node", has_text="trades")).to_have_count(8)
    expect(page.locator("#pipeline-events")).to_contain_text("trades has 4 more partitions")


def test_the_page_recovers_when_its_server_restarts(page: Page, demo: Demo, faults: list[str]) -> None:
    page.goto(f"{demo.address}/?symbol=BTC-USD")
    body, legend = page.locator("body"), page.locator("#market-chart .legend")
    expect(legend).to_contain_text("VWAP")
    demo.server.kill()
    expect(body).not_to_have_attribute("data-state", "live")
    expect(body).to_have_attribute("data-state", "live")
    before = legend.inner_text()
    expect(legend).not_to_have_text(before)
    # The browser itself reports each connection that fails.
    lost = [text for text in faults if "ERR_CONNECTION_REFUSED" in text or "ERR_INCOMPLETE" in text]
    faults[:] = [text for text in faults if text not in lost]


def test_a_corrected_bar_is_redrawn_and_marked(page: Page, demo: Demo, producer: KafkaProducer) -> None:
    start_ms = int(time.time()) * 1000 - 20_000
    publish(producer, "FIXED-USD", start_ms - 1000, 100.0, 1)
    publish(producer, "FIXED-USD", start_ms, 100.0, 1)
    page.goto(f"{demo.address}/?symbol=FIXED-USD")
    legend, newest = page.locator("#market-chart .legend"), page.locator("#card-newest")
    expect(legend).to_contain_text("C 100.000")
    expect(newest).to_contain_text("final")
    publish(producer, "FIXED-USD", start_ms, 105.0, 2)
    expect(legend).to_contain_text("C 105.000")
    expect(legend).to_contain_text("corrected")
    expect(page.locator("#market-chart figcaption")).to_contain_text("1 corrected, 0 gaps")


def test_a_gap_is_told(page: Page, demo: Demo, producer: KafkaProducer) -> None:
    start_ms = int(time.time()) * 1000 - 30_000
    for at_ms in (start_ms, start_ms + 1000, start_ms + 9000):
        publish(producer, "GAP-USD", at_ms, 7.0, 1)
    page.goto(f"{demo.address}/?symbol=GAP-USD")
    expect(page.locator("#market-chart figcaption")).to_contain_text("0 corrected, 1 gaps")


def test_keys_filter_and_a_saved_list(page: Page, demo: Demo) -> None:
    page.goto(demo.address)
    rows = page.locator("#grid-filler .row:visible")
    expect(rows.first).to_be_visible()
    for number, view in enumerate(VIEWS, 1):
        page.keyboard.press(str(number))
        expect(page.locator(f"#view-{view}")).to_be_visible()
    page.keyboard.press("1")
    page.keyboard.press("/")
    # The list is filtered by the first word before the second is typed.
    page.locator("#list-find").fill("eth ")
    page.wait_for_url("**find=eth*")
    page.keyboard.type("last>0")
    expect(page.locator("#list-count")).to_contain_text("1 of")
    page.keyboard.press("Enter")
    expect(page.locator("#view-market .name")).to_have_text("ETH-USD")
    page.get_by_role("button", name="Save list").click()
    page.locator("#save-as").fill("Mine")
    page.locator("#save-as").press("Enter")
    expect(page.locator("#list-which")).to_have_value("Mine")
    page.reload()
    expect(rows).to_have_count(1)
    page.locator("#list-which").select_option("")
    page.locator("#grid").focus()
    expect(rows.nth(1)).to_be_visible()
    page.keyboard.press("Home")
    first = page.locator("#view-market .name").inner_text()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#view-market .name")).not_to_have_text(first)
    page.keyboard.press("s")
    expect(page.locator("#view-market .star")).to_have_attribute("aria-pressed", "true")


def test_times_are_in_the_chosen_zone_and_colours_are_kept(page: Page, demo: Demo) -> None:
    page.goto(demo.address)
    page.locator("#zone").select_option("UTC")
    utc = page.locator("#clock").inner_text()
    page.locator("#zone").select_option("Asia/Tokyo")
    # Tokyo is nine hours ahead, in summer too; the minute may have changed since.
    tokyo = page.locator("#clock").inner_text()
    assert (int(tokyo[:2]) * 60 + int(tokyo[3:5]) - int(utc[:2]) * 60 - int(utc[3:5])) % 1440 in (540, 541)
    for _ in range(2):
        page.locator("#theme").click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(page.locator("#zone")).to_have_value("Asia/Tokyo")


def test_a_hidden_tab_watches_nothing(page: Page, demo: Demo) -> None:
    page.goto(demo.address)
    body = page.locator("body")
    expect(body).to_have_attribute("data-state", "live")
    hide = "hidden => {Object.defineProperty(document, 'hidden', {value: hidden, configurable: true}); "
    hide += "document.dispatchEvent(new Event('visibilitychange'))}"
    page.evaluate(hide, True)
    expect(body).to_have_attribute("data-state", "resting")
    page.evaluate(hide, False)
    expect(body).to_have_attribute("data-state", "live")


def test_nothing_comes_from_another_host(page: Page, demo: Demo) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for view in VIEWS:
        page.goto(f"{demo.address}/?view={view}")
        expect(page.locator("body")).to_have_attribute("data-state", "live")
    assert any(url.endswith("lightweight-charts.js") for url in asked)
    assert [url for url in asked if not url.startswith(demo.address)] == []


# `make test` has time for one of the four: where faults are most likely.
@pytest.mark.parametrize(
    ("colours", "width"),
    [
        ("light", 390),
        *(pytest.param(*rest, marks=pytest.mark.long) for rest in (("dark", 1440), ("light", 1440), ("dark", 390))),
    ],
)
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_window(
    browser: Browser, demo: Demo, colours: Literal["dark", "light"], width: int
) -> None:
    # Axe's own script isn't the page's, so the policy is passed over here alone.
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=colours, bypass_csp=True)
    page = context.new_page()
    page.goto(f"{demo.address}/?symbol=BTC-USD")
    expect(page.locator("body")).to_have_attribute("data-state", "live")
    found = []
    for number, view in enumerate(VIEWS, 1):
        page.keyboard.press(str(number))
        expect(page.locator(f"#view-{view}")).to_be_visible()
        if view in ("market", "social", "results"):
            expect(page.locator(f"#{view}-chart .legend")).not_to_be_empty()
        found += [
            (view, one["id"], one["nodes"][0]["html"])
            for one in Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
    context.close()
    assert found == []


@pytest.mark.long
def test_five_thousand_symbols_scroll(page: Page, demo: Demo, producer: KafkaProducer) -> None:
    start_ms = int(time.time()) * 1000 - 5000
    for number in range(5000):
        made = bar(f"S{number:04}-USD", start_ms, 1.0 + number)
        producer.send("bars", key=key(made), value=msgspec.json.encode(made))
    producer.flush(60)
    page.goto(f"{demo.address}/?sort=symbol")
    expect(page.locator("#list-count")).to_have_text(re.compile(r"^5,0\d\d$"))
    page.locator("#grid").focus()
    page.keyboard.press("End")
    last = page.locator("#grid-filler .row", has_text="XRP-USD")
    expect(last).to_be_in_viewport()
    expect(last).to_have_attribute("aria-selected", "true")
    page.locator("#list-find").fill("S4999")
    expect(page.locator("#grid-filler .row:visible")).to_have_count(1)
    page.locator("#list-find").fill("")
    expect(page.locator("#list-count")).to_have_text(re.compile(r"^5,0\d\d$"))
    for _ in range(20):
        page.locator("#grid").hover()
        page.mouse.wheel(0, 5000)
    expect(page.locator("#grid-filler .row:visible").first).to_be_visible()
    # Only what is in sight is on the page.
    assert page.locator("#grid-filler .row").count() < 60
