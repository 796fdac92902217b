"""What the console costs under load, whether its memory stays, and how soon it shows something."""

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from docs.pictures import live
from docs.pictures.live import Demo

pytestmark = [pytest.mark.browser, pytest.mark.kafka, pytest.mark.long, pytest.mark.timeout(1800)]

# 10,000 trades a second, with their quotes and posts.
EVENTS_20_000 = ("--rate", "10000", "--symbols", "200")
MiB = 1 << 20
# When the chart has its first candles, in ms since the page was asked for.
FILLED = """() => new Promise((done) => {
  const look = () => {
    const filled = document.querySelector("#market-chart .legend")?.textContent;
    if (filled) done(performance.now()); else requestAnimationFrame(look);
  };
  look();
})"""


def opened(browser: Browser, demo: Demo, view: str) -> Page:
    page = browser.new_context(reduced_motion="reduce").new_page()
    page.goto(f"{demo.address}/?view={view}&symbol=BTC-USD")
    expect(page.locator("body")).to_have_attribute("data-state", "live")
    return page


@contextmanager
def watcher(demo: Demo) -> Iterator[None]:
    """What a page does on its socket, without the work of a browser."""
    results = {
        "watch": "results",
        "topic": "bars",
        "symbol": "BTC-USD",
        "source": "all",
        "resolution": "1s",
        "last": 600,
    }
    with connect(demo.address.replace("http", "ws") + "/api/v1/live", max_size=None) as socket:
        for number, watch in enumerate(({"watch": "board"}, results, {"watch": "pipeline"}), 1):
            socket.send(json.dumps({"id": number} | watch))

        def read() -> None:
            try:
                for _ in socket:
                    pass
            except ConnectionClosed:
                pass

        Thread(target=read, daemon=True).start()
        yield


def test_three_pages_take_a_quarter_of_a_core_at_most(browser: Browser, tmp_path: Path) -> None:
    with live.demo(tmp_path / "log", *EVENTS_20_000) as demo:
        pages = [opened(browser, demo, view) for view in ("market", "social", "pipeline")]
        expect(pages[0].locator("#market-chart .legend")).not_to_be_empty(timeout=120_000)
        time.sleep(30)
        before, began = demo.server.cpu_times(), time.monotonic()
        time.sleep(30)
        after, seconds = demo.server.cpu_times(), time.monotonic() - began
        rate = float(pages[0].locator("#pulse-rate").inner_text().replace(",", ""))
        share = (after.user + after.system - before.user - before.system) / seconds
        print(f"{share:.1%} of a core at {rate:,.0f} events/s; {demo.server.memory_info().rss / MiB:.0f} MiB")
        for page in pages:
            page.context.close()
    assert rate > 15_000, "the machine is too busy to tell"
    assert share < 0.25


def test_latency_is_as_good_with_the_page_as_without(tmp_path: Path) -> None:
    ratios = []
    for turn in range(3):
        found = {}
        for page in (False, True) if turn % 2 else (True, False):
            summary = tmp_path / "summary.json"
            options = (*EVENTS_20_000, "--for", "30", "--summary", str(summary), "--page" if page else "--no-page")
            with ExitStack() as stack:
                process = stack.enter_context(live.started(tmp_path / "log", *options))
                if page:
                    demo = live.with_page(tmp_path / "log", process)
                    for _ in range(3):
                        stack.enter_context(watcher(demo))
                assert process.wait(120) == 0, (tmp_path / "log").read_text()
            found[page] = json.loads(summary.read_text())["latency_p50_ms"]
        ratios.append(found[False] / found[True])
        print(found)
    assert statistics.median(ratios) >= 0.95


def test_memory_stays_for_twenty_minutes(browser: Browser, tmp_path: Path) -> None:
    # So that what is kept is full after some minutes.
    with live.demo(tmp_path / "log", "--rate", "500", recent_mib="24") as demo:
        page = opened(browser, demo, "market")
        devtools = page.context.new_cdp_session(page)
        kept = []
        for _ in range(4):
            time.sleep(300)
            devtools.send("HeapProfiler.collectGarbage")
            heap = devtools.send("Runtime.getHeapUsage")["usedSize"]
            kept.append((demo.server.memory_info().rss / MiB, heap / MiB))
            print(f"server {kept[-1][0]:.0f} MiB, page {kept[-1][1]:.1f} MiB", flush=True)
        page.context.close()
    (server, heap), (server_after, heap_after) = kept[1], kept[3]
    assert server_after < server * 1.1 + 4
    assert heap_after < heap * 1.1 + 2


def test_the_first_candles_are_there_within_a_second_and_a_half(browser: Browser, tmp_path: Path) -> None:
    # A market that leaves the machine some time for a browser.
    with live.demo(tmp_path / "log", "--rate", "500") as demo:
        opened(browser, demo, "market").evaluate(FILLED)
        took_ms = []
        for _ in range(5):
            # A context has a cache of its own.
            page = browser.new_context().new_page()
            page.goto(f"{demo.address}/?symbol=BTC-USD", wait_until="commit")
            took_ms.append(page.evaluate(FILLED))
            page.context.close()
        print(f"ms until the first candles: {took_ms}")
    assert statistics.median(took_ms) < 1500
