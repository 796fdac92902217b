"""How processes log: as text or as JSON, and the same line again and again no more than once in ten seconds."""

import logging
import time
from datetime import UTC, datetime
from typing import Literal

import msgspec

# Between two lines that say the same.
AGAIN_SECONDS = 10.0
# So many different ones are told apart; a line beyond them is never held back.
MOST_LINES = 1000

TEXT = "%(asctime)s %(levelname)s %(message)s"

Format = Literal["text", "json"]


class Repeats(logging.Filter):
    """Holds back a warning or an error that was logged a moment ago; the next one says how many there were.

    A line of ours is the same where all of it is; one of a library where it is but for its arguments: of a broker that
    is away they tell by the address, by the try and by the second.
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
            record.msg, record.args = f"{record.getMessage()} ({held} times more since it was last said)", ()
        return True


class AsJson(logging.Formatter):
    """A line as an object: ``time`` (UTC), ``level``, ``logger``, ``message``, and ``exception`` where there is one."""

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
    """Log what goes wrong anywhere, and our own steps, to standard error or a handler.

    Parameters
    ----------
    form
        See `Settings`, ``log_format``.
    handler
        Where to.
    text
        The format of a line of text.
    """
    handler = handler or logging.StreamHandler()
    handler.setFormatter(AsJson() if form == "json" else logging.Formatter(text, "%H:%M:%S"))
    handler.addFilter(Repeats())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("tickertape").setLevel(logging.INFO)


def told(line: str, process: str, form: Format) -> str:
    """Return a line of a process that another prints, with that process's name."""
    if form == "text":
        return f"{process} | {line}"
    if line.startswith("{"):
        return f'{{"process":{msgspec.json.encode(process).decode()},{line[1:]}'
    return msgspec.json.encode({"process": process, "message": line}).decode()
