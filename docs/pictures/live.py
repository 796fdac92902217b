"""A demo with its page, and the browser in which the page is looked at."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from tickertape.stream.console.told import UP

UP_SECONDS = 120.0
END_SECONDS = 60.0
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """Return the path of Chromium, or None where there is none."""
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


class Demo(NamedTuple):
    """A demo that runs.

    Attributes
    ----------
    address
        The page's address.
    process
        Its process.
    """

    address: str
    process: psutil.Process

    @property
    def server(self) -> psutil.Process:
        """The process that serves the page."""
        (found,) = (one for one in self.process.children() if "console" in one.cmdline())
        return found

    @property
    def broker(self) -> str:
        return str(self.server.environ()["TICKERTAPE_BROKER"])


@contextmanager
def demo(log: Path, *options: str, **settings: str) -> Iterator[Demo]:
    """Run a demo with its page, on a Kafka of its own, while a block runs.

    Parameters
    ----------
    log
        The file for what it prints.
    options
        Options of ``tickertape demo``.
    settings
        Settings, as texts.
    """
    with started(log, *options, **settings) as process:
        yield with_page(log, process)


@contextmanager
def started(log: Path, *options: str, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a demo as `demo` does, whether it has a page or not, and end it after the block if it still runs."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TICKERTAPE_")}
    environ |= {f"TICKERTAPE_{name.upper()}": value for name, value in settings.items()}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tickertape", "demo", *options],
            env=environ | {"TICKERTAPE_CONSOLE_PORT": "0"},
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(END_SECONDS)


def with_page(log: Path, process: "subprocess.Popen[bytes]") -> Demo:
    """Wait until a demo that was started has its page.

    Raises
    ------
    RuntimeError
        It has ended, or takes too long.
    """
    until = time.monotonic() + UP_SECONDS
    while time.monotonic() < until and process.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith(UP):
                return Demo(line.removeprefix(UP), psutil.Process(process.pid))
        time.sleep(0.1)
    raise RuntimeError(f"the demo has no page: {log.read_text()}")
