"""A demo on a Kafka of its own, with its page; the page's files alone; and a browser that looks at them."""

import time
from collections.abc import Iterator
from threading import Thread

import pytest
import uvicorn
from kafka import KafkaProducer
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from docs.pictures import live
from docs.pictures.live import Demo, chromium
from tickertape.stream.console import pages

UP_SECONDS = 30.0
# The machine may be busy; what is waited for usually comes at once.
SLOW_MS = 120_000
expect.set_options(timeout=SLOW_MS)


@pytest.fixture(scope="module")
def files() -> Iterator[str]:
    """The address of an empty page beside the page's files, without a pipeline."""
    empty = Route("/empty", lambda _: HTMLResponse('<link rel="icon" href="icon.svg">'))
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=[empty, *pages.routes()]), port=0, log_level="error"))
    thread = Thread(target=server.run)
    thread.start()
    until = time.monotonic() + UP_SECONDS
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    (held,) = server.servers[0].sockets
    yield f"http://127.0.0.1:{held.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo with a quiet market; the machine may be slow, so nothing here depends on its speed."""
    with live.demo(tmp_path_factory.mktemp("demo") / "demo.log", "--rate", "300", "--symbols", "12") as running:
        yield running


@pytest.fixture
def producer(demo: Demo) -> Iterator[KafkaProducer]:
    """Publishes to the demo's Kafka by hand."""
    producer = KafkaProducer(bootstrap_servers=demo.broker)
    yield producer
    producer.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1440, "height": 860}, color_scheme="dark")
    context.set_default_timeout(SLOW_MS)
    yield context
    context.close()


@pytest.fixture
def faults() -> list[str]:
    """What the page complained about."""
    return []


@pytest.fixture
def page(context: BrowserContext, faults: list[str]) -> Iterator[Page]:
    """A page; it fails the test if there is an error on its console that the test doesn't take out of `faults`."""
    page = context.new_page()
    page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    assert faults == []
