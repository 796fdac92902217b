"""A demo on a Kafka of its own, with its page; the page's files alone; and a browser that looks at them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import psutil
import pytest
import uvicorn
from kafka import KafkaProducer
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from tests.chromium import chromium
from tests.console.support import Demo
from tickertape.stream.console import pages

UP_SECONDS = 120.0
UP = "the page is at "


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
    log = tmp_path_factory.mktemp("demo") / "demo.log"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TICKERTAPE_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tickertape", "demo", "--rate", "300", "--symbols", "12"],
            env=environ | {"TICKERTAPE_CONSOLE_PORT": "0"},
            stdout=output,
            stderr=output,
        )
    try:
        yield Demo(_address(log, process), psutil.Process(process.pid))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _address(log: Path, process: "subprocess.Popen[bytes]") -> str:
    until = time.monotonic() + UP_SECONDS
    while time.monotonic() < until and process.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith(UP):
                return line.removeprefix(UP)
        time.sleep(0.1)
    raise AssertionError(f"the demo has no page: {log.read_text()}")


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
    context.set_default_timeout(60_000)
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
