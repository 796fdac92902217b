"""A pseudo-terminal with a command in it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager

COLUMNS, LINES = 120, 34
CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[PX^_].*?\x1b\\|.)", re.DOTALL)
CTRL_C = b"\x03"
LEFT_AS_IT_WAS = "\x1b[?1049l"


class Terminal:
    """A terminal with a command in it, and all that the command has written."""

    def __init__(self, *words: str, environ: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            # Its size is the terminal's own, whatever that of who runs the tests is.
            env={name: text for name, text in environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
            | {"TERM": "xterm-256color"},
            start_new_session=True,
            # Keys such as Ctrl-C reach who is in its foreground.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self._written = bytearray()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        # Once the command has ended, reading fails.
        try:
            while read := os.read(self._ours, 1 << 16):
                self._written += read
        except OSError:
            pass

    @property
    def raw(self) -> str:
        return self._written.decode(errors="replace")

    @property
    def text(self) -> str:
        """What was written, in the order of writing, without colours and places."""
        return CONTROL.sub("", self.raw)

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)


@contextmanager
def terminal(*words: str, environ: dict[str, str]) -> Iterator[Terminal]:
    found = Terminal(*words, environ=environ)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.process.kill()
        found.process.wait(10)
