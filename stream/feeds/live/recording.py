"""Recording the messages of a line into files that ``tickertape feed file`` reads."""

import gzip
import logging
import time
from datetime import UTC, datetime
from pathlib import Path

from tickertape.stream.errors import InputError

log = logging.getLogger(__name__)

# Messages are written once they have this size, or earlier by `flush`.
FLUSH_BYTES = 256 << 10
HOUR_NS = 3600 * 1_000_000_000
# The usual 9 takes three times as long to save 5 %.
LEVEL = 4


class Recording:
    """Lines of ``<ns received> <message>`` in one file per hour (UTC), compressed: ``binance-0-20240809T00.jsonl.gz``.

    Every write appends a whole gzip member. However the process ends, the file is complete up to the last `flush`, and
    a feed that starts again appends to it. If a file can't be written any more, that is logged, and the feed goes on
    without recording.

    Parameters
    ----------
    folder
        Where the files are written; it is created if it doesn't exist.
    name
        The beginning of the files' names.

    Raises
    ------
    InputError
        The folder can't be written to.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._lines: list[bytes] = []
        self._bytes = 0
        self._hour = 0
        self._broken = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._path(time.time_ns()).open("ab"):
                pass
        except OSError as error:
            raise InputError(f"{error.filename or folder}: can't be written ({error.strerror or error})") from None

    def add(self, frame: bytes, received_ns: int) -> None:
        """Add a message; it is written by the next `flush`, or once enough are waiting."""
        hour = received_ns // HOUR_NS
        if hour != self._hour:
            self.flush()
            self._hour = hour
        # A newline can't be inside a JSON string; elsewhere a space means the same.
        self._lines.append(b"%d %s\n" % (received_ns, frame.replace(b"\n", b" ")))
        self._bytes += len(frame)
        if self._bytes >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the messages that are waiting."""
        if not self._lines:
            return
        text, received_ns = b"".join(self._lines), self._hour * HOUR_NS
        self._lines.clear()
        self._bytes = 0
        if self._broken:
            return
        try:
            with self._path(received_ns).open("ab", buffering=0) as file:
                file.write(gzip.compress(text, LEVEL))
        except OSError as error:
            self._broken = True
            log.error("%s: can't be written (%s); nothing more is recorded", error.filename or self._folder, error)

    def _path(self, time_ns: int) -> Path:
        return self._folder / f"{self._name}-{datetime.fromtimestamp(time_ns // 1_000_000_000, UTC):%Y%m%dT%H}.jsonl.gz"
