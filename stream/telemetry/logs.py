"""Logging, as text or as JSON. A line that repeats is written at most once in ten seconds."""

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from rich.console import Console

# The least time between two equal lines.
AGAIN_SECONDS = 10.0
# The most lines that are remembered. Other lines are never held back.
MOST_LINES = 1000

TEXT = "%(asctime)s %(levelname)s %(message)s"

Format = Literal["text", "json"]


class Repeats(logging.Filter):
    """Holds back a warning or an error that was logged recently. The next one says how many were held back.

    Our own lines are equal if their whole text is. Lines of a library are equal if they differ only in arguments,
    because lines about an unreachable broker contain the address, the number of the try and the time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        ours = record.name.partition(".")[0] == "tickertape"
        key = record.name, record.getMessage() if ours else str(record.msg)
        now = time.monotonic()
        since, held = self._seen.get(key, (-AGAIN_SECONDS, 0))
        if now - since < AGAIN_SECONDS:
            self._seen[key] = since, held + 1
            return False
        if len(self._seen) >= MOST_LINES:
            self._seen = {one: seen for one, seen in self._seen.items() if now - seen[0] < AGAIN_SECONDS}
        if len(self._seen) < MOST_LINES:
            self._seen[key] = now, 0
        if held:
            record.msg, record.args = f"{record.getMessage()} ({held} more times since it was last logged)", ()
        return True


class AsJson(logging.Formatter):
    """Formats a line as an object: ``time`` (UTC), ``level``, ``logger``, ``message``, and ``exception`` if any."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(fields).decode()


def set_up(form: Format, handler: logging.Handler | None = None, text: str = TEXT) -> None:
    """Set up logging: warnings and errors of all libraries, and also infos of our own.

    Parameters
    ----------
    form
        See `Settings`, ``log_format``.
    handler
        The handler that writes the lines; None writes to standard error.
    text
        The format of a line of text.
    """
    handler = handler or logging.StreamHandler()
    handler.setFormatter(AsJson() if form == "json" else logging.Formatter(text, "%H:%M:%S"))
    handler.addFilter(Repeats())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("tickertape").setLevel(logging.INFO)


def told(line: str, process: str, form: Format) -> str:
    """Add the name of a process to one of its lines, for another process that prints it."""
    if form == "text":
        return f"{process} | {line}"
    if line.startswith("{"):
        return f'{{"process":{msgspec.json.encode(process).decode()},{line[1:]}'
    return msgspec.json.encode({"process": process, "message": line}).decode()


def set_up_beside(console: "Console", form: Format) -> None:
    """Set up logging for a process that sends events. On a terminal, log lines appear above what the console shows."""
    if console.is_terminal and form == "text":
        from rich.logging import RichHandler

        set_up(form, RichHandler(console=console, show_path=False), "%(message)s")
    else:
        set_up(form)
    # aiokafka would log many lines per second while Kafka is away. Our own messages report the consequences.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
