"""Make the pictures of the console anew, from a real demo: ``python -m docs.pictures``. It takes five minutes."""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from docs.pictures.colours import reduce
from docs.pictures.live import Demo, chromium, demo
from docs.pictures.moving import Film, pixels

HERE = Path(__file__).parent
VIEWS = ("market", "social", "signals", "pipeline")
DESK = (1280, 800)
PHONE = (390, 844)
FILM = (1280, 800)
# Posts have a baseline once there are two dozen windows, and charts are full.
GROWN_SECONDS = 210.0
SLOW_MS = 60_000
MOST_BYTES = {"pictures": 400_000, "film": 3_000_000}


def main() -> None:
    """Make all pictures; fails if one is larger than a page should carry."""
    program = chromium()
    if program is None:
        sys.exit("this needs Chromium: on Debian and Ubuntu, apt-get install chromium")
    with TemporaryDirectory() as folder, demo(Path(folder) / "log", "--rate", "2000") as running:
        time.sleep(GROWN_SECONDS)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            _film(browser, running, HERE / "live.png")
            for colours in ("dark", "light"):
                _views(browser, running, colours, DESK, "")
            _views(browser, running, "dark", PHONE, "-phone")
            browser.close()


def _open(browser: Browser, running: Demo, colours: str, size: tuple[int, int], view: str) -> Page:
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="light" if colours == "light" else "dark",
        timezone_id="UTC",
    )
    page = context.new_page()
    page.set_default_timeout(SLOW_MS)
    page.goto(f"{running.address}/?view={view}&symbol=BTC-USD")
    expect(page.locator("body")).to_have_attribute("data-state", "live", timeout=SLOW_MS)
    return page


def _views(browser: Browser, running: Demo, colours: str, size: tuple[int, int], ending: str) -> None:
    for view in VIEWS:
        page = _open(browser, running, colours, size, view)
        _filled(page, view)
        path = HERE / f"{view}-{colours}{ending}.png"
        palette, (places,) = reduce([pixels(page.screenshot())])
        picture = Image.fromarray(places, "P")
        picture.putpalette(palette.tobytes())
        picture.save(path, optimize=True)
        _weigh(path, MOST_BYTES["pictures"])
        page.context.close()


def _filled(page: Page, view: str) -> None:
    """Wait until a view shows what moves on it."""
    if view == "pipeline":
        expect(page.locator("#pulse-rate")).to_contain_text(",", timeout=SLOW_MS)
        expect(page.locator(".node.worker:not(.away)")).to_have_count(2, timeout=SLOW_MS)
    else:
        expect(page.locator(f"#{view}-chart .legend")).not_to_be_empty(timeout=SLOW_MS)
    # Sparks, numbers and dots have come too.
    page.wait_for_timeout(3000)


def _film(browser: Browser, running: Demo, path: Path) -> None:
    """Candles that move; then a worker that is killed, and its return."""
    page = _open(browser, running, "dark", FILM, "market")
    _filled(page, "market")
    film = Film(page)
    film.take(5.0, 0.3)
    page.keyboard.press("4")
    film.take(1.5, 0.3)
    page.get_by_role("button", name="Kill a worker").click()
    page.mouse.move(0, 0)
    film.take(2.5, 0.3)
    back = page.locator(".node.worker.away")
    until = time.monotonic() + 20.0
    while back.count() and time.monotonic() < until:
        film.take(0.5, 0.5)
    film.take(3.0, 0.3)
    page.context.close()
    film.save(path)
    _weigh(path, MOST_BYTES["film"])


def _weigh(path: Path, most: int) -> None:
    size = path.stat().st_size
    print(f"{path.name}: {size / 1000:,.0f} kB", flush=True)
    if size > most:
        sys.exit(f"{path.name} is larger than {most / 1000:,.0f} kB")


if __name__ == "__main__":
    main()
