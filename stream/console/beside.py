"""Serve the page beside a pipeline that this process runs, by a process of its own, so that the pipeline isn't slowed.

The process is started again when it ends, at the same address; the pages in browsers connect again by themselves.
"""

import errno
import socket
import sys
import time
from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from tickertape.stream.cluster.process_numbers import ProcessNumbers
from tickertape.stream.cluster.slot import Slot
from tickertape.stream.configuration.environment import environment
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.console.browser import open_page
from tickertape.stream.console.told import ASKED, UP, Note, Told
from tickertape.stream.errors import ConfigError
from tickertape.stream.telemetry.serving import reserve

NAME = "page"
# How often the page's process is told about the workers.
TELL_SECONDS = 1.0
STOP_SECONDS = 3.0


class PageOptions(Struct, frozen=True):
    """Whether and where a page is served beside a pipeline.

    Attributes
    ----------
    serve
        False serves none.
    port
        The port. None: the setting ``console_port``, or a free one if that is taken.
    open
        True opens the page in the user's browser.
    """

    serve: bool = True
    port: int | None = None
    open: bool = False


class Beside:
    """The page's process, while a block runs.

    Parameters
    ----------
    settings
        The settings, with a broker.
    options
        Where it is served.
    numbers
        Those of the pipeline's workers, which the page is told.
    say
        Receives each line to show; called from another thread.
    asked
        Makes this the page of a demo: called with ``kill`` or ``scale`` when that button is pressed, from another
        thread.

    Attributes
    ----------
    address
        The page's address; empty if none is served.

    Raises
    ------
    ConfigError
        The port is taken, and was asked for.
    """

    def __init__(
        self,
        settings: Settings,
        options: PageOptions,
        numbers: ProcessNumbers,
        say: Callable[[str], None],
        asked: Callable[[str], None] | None = None,
    ) -> None:
        self._settings = settings
        self._options = options
        self._numbers = numbers
        self._say = say
        self._asked = asked
        self._slot: Slot | None = None
        self._held: socket.socket | None = None
        self._opened = not options.open
        self._ending = Event()
        self.address = ""

    def __enter__(self) -> Self:
        if not self._options.serve:
            return self
        host = self._settings.console_host
        self._held = _port(host, self._options.port, self._settings.console_port, self._say)
        port = self._held.getsockname()[1]
        secure = "s" if self._settings.console_certificate else ""
        self.address = f"http{secure}://{host}:{port}"
        command = [sys.executable, "-m", "tickertape", "console", "--port", str(port), "--supervised"]
        self._slot = Slot(
            command if self._asked is None else [*command, "--demo"],
            environment(self._settings),
            NAME,
            self._line,
            self._ended,
        )
        Thread(target=self._tell, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        if self._slot is not None:
            self._slot.end()
            self._slot.join(time.monotonic() + STOP_SECONDS)
        if self._held is not None:
            self._held.close()

    def note(self, text: str) -> None:
        """Show a note on the page of a demo."""
        self._write(Told(note=Note(int(time.time() * 1000), text)))

    def _tell(self) -> None:
        while not self._ending.wait(TELL_SECONDS):
            self._write(Told(workers=self._numbers()))

    def _write(self, told: Told) -> None:
        if self._slot is not None:
            self._slot.write(msgspec.json.encode(told).decode() + "\n")

    def _line(self, told: str) -> None:
        line = told.removeprefix(f"{NAME} | ")
        if line.startswith(ASKED):
            if self._asked is not None:
                self._asked(line.removeprefix(ASKED))
            return
        if line.startswith(UP) and not self._opened:
            self._opened = True
            Thread(target=open_page, args=(self.address, self._say), daemon=True).start()
        self._say(line if line.startswith(UP) else told)

    def _ended(self, code: int) -> bool:
        return code != ConfigError.exit_code


def _port(host: str, asked: int | None, usual: int, say: Callable[[str], None]) -> socket.socket:
    """Reserve the port that was asked for; or the usual one, or a free one if that is taken.

    Raises
    ------
    ConfigError
        The port that was asked for is taken, or the host can't be used.
    """
    port = usual if asked is None else asked
    try:
        return reserve(host, port)
    except OSError as error:
        if asked is None and error.errno == errno.EADDRINUSE:
            say(f"port {port} is taken, so the page takes a free one")
            return reserve(host)
        raise ConfigError(f"the page can't be served at {host}:{port}: {error.strerror}") from None
