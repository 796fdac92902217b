"""The budget of a host: connections and requests, over all feeds of the machine, also after a restart.

Limits and bans are an address's, not a process's. So the feeds of a machine share a small file for each host.
"""

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct, field

from tickertape.stream.feeds.hosts.cache import cache_folder
from tickertape.stream.feeds.hosts.limit import Limits

log = logging.getLogger(__name__)

# The longest ban that is known, Binance's. A host that asks for more, or a clock that was wrong, is not obeyed.
LONGEST_SECONDS = 3 * 24 * 3600.0
# A process holds the lock for microseconds, unless it is frozen; the others then go on without it.
LOCK_TRIES = 50
LOCK_PAUSE_SECONDS = 0.002
# Waits that are shorter aren't logged.
TOLD_SECONDS = 1.0


class _Use(Struct):
    """How much is used of a limit, as of a time; it wears off."""

    used: float = 0.0
    at: float = 0.0


class _State(Struct):
    until: float = 0.0
    connections: _Use = field(default_factory=_Use)
    requests: _Use = field(default_factory=_Use)


_decode = msgspec.json.Decoder(_State).decode
_encode = msgspec.json.Encoder().encode


# The last of each host in this process, by the host's name.
_budgets: dict[str, "Budget"] = {}


def used_ratios() -> dict[tuple[str, str], float]:
    """Return how much of each host's budgets is used, by host and by ``connections`` or ``requests``.

    It is a part of what is allowed at once; at 1, the feeds of the machine wait.
    """
    return {(host, name): ratio for host, one in _budgets.items() for name, ratio in one.used_ratios().items()}


class Budget:
    """What may be asked of one host.

    Parameters
    ----------
    host
        Its name, without a port.
    limits
        Its limits.
    folder
        Where its file is; None for the cache folder of the user.
    clock
        Returns the time, s since 1970: the file outlives the process, and the machine.

    Attributes
    ----------
    limits
        As given.
    """

    def __init__(
        self,
        host: str,
        limits: Limits = Limits(),  # noqa: B008 - it is frozen
        *,
        folder: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self.limits = limits
        self._by_name = {"connections": limits.connections, "requests": limits.requests}
        self._folder = folder
        self._clock = clock
        self._state = _State()
        self._is_told = False
        _budgets[host] = self

    async def connection(self) -> None:
        """Wait until another attempt to connect is allowed, and count it."""
        await self._take("connections", 1.0, LONGEST_SECONDS)

    async def request(self, weight: float = 1.0, within_seconds: float = LONGEST_SECONDS) -> float:
        """Wait until a request of this weight is allowed, and count it.

        Returns
        -------
        float
            0; or, if that takes longer than ``within_seconds``, how long it takes: then nothing is counted.
        """
        return await self._take("requests", weight, within_seconds)

    def block(self, seconds: float) -> None:
        """Let no feed of this machine ask anything of the host for a time, because it said so."""
        with self._open() as state:
            state.until = max(state.until, self._clock() + min(seconds, LONGEST_SECONDS))

    @property
    def blocked_seconds(self) -> float:
        """For how long the host is to be left alone, as far as this process knows."""
        return max(self._state.until - self._clock(), 0.0)

    def used_ratios(self) -> dict[str, float]:
        """Return how much of each limit is used; see the function of this name. It waits for no lock."""
        with suppress(OSError, RuntimeError):
            line, end, _ = self._path().read_bytes().partition(b"\n")
            self._state = _state_of(line) if end else self._state
        found = {"connections": self._state.connections, "requests": self._state.requests}
        return {name: self._left(name, use) / self._by_name[name].at_once for name, use in found.items()}

    def _left(self, name: str, use: _Use) -> float:
        """Return how much of a use hasn't worn off."""
        return max(use.used - max(self._clock() - use.at, 0.0) * self._by_name[name].per_second, 0.0)

    def _path(self) -> Path:
        return (self._folder or cache_folder("hosts")) / f"{quote(self._host, safe='')}.json"

    async def _take(self, name: str, weight: float, within_seconds: float) -> float:
        until, is_told = self._clock() + within_seconds, False
        while wait_seconds := self._ask(name, weight):
            if self._clock() + wait_seconds > until:
                return wait_seconds
            if wait_seconds > TOLD_SECONDS and not is_told:
                log.warning("%s: no %s are allowed for %.1f s", self._host, name, wait_seconds)
                is_told = True
            await asyncio.sleep(wait_seconds)
        return 0.0

    def _ask(self, name: str, weight: float) -> float:
        """Count a use and return 0; or return how long it isn't allowed."""
        now, limit = self._clock(), self._by_name[name]
        with self._open() as state:
            if now < state.until <= now + LONGEST_SECONDS:
                return state.until - now
            use: _Use = getattr(state, name)
            used = self._left(name, use)
            # A single one that is heavier than all is allowed when nothing else is used.
            over = used + min(weight, limit.at_once) - limit.at_once
            # A thousandth is the error of rounding.
            if over > 1e-3:
                return over / limit.per_second
            use.used, use.at = used + weight, now
        return 0.0

    @contextmanager
    def _open(self) -> Iterator[_State]:
        """Give the state to read and change, and keep what was changed. Without a file, it is this process's alone."""
        with self._file() as file:
            if file is not None:
                # The line's end says that it is whole.
                line, end, _ = file.read().partition(b"\n")
                if end:
                    self._state = _state_of(line)
            yield self._state
            if file is not None:
                try:
                    file.seek(0)
                    file.write(_encode(self._state) + b"\n")
                    file.truncate()
                except OSError as error:
                    self._tell(error)

    @contextmanager
    def _file(self) -> Iterator[IO[bytes] | None]:
        try:
            path = self._path()
            path.parent.mkdir(parents=True, exist_ok=True)
            number = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except (OSError, RuntimeError) as error:
            # A RuntimeError says that there is no home folder.
            self._tell(error)
            yield None
            return
        with os.fdopen(number, "r+b", buffering=0) as file:
            for _ in range(LOCK_TRIES):
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    time.sleep(LOCK_PAUSE_SECONDS)
            yield file

    def _tell(self, error: Exception) -> None:
        if not self._is_told:
            self._is_told = True
            log.warning("the budget of %s isn't shared with other feeds: %s", self._host, error)


def host_of(url: str) -> str:
    """Return the host of an address, whose budget it is; ``unknown`` for what is no address."""
    try:
        return urlsplit(url).hostname or "unknown"
    except ValueError:
        return "unknown"


def asked_seconds(retry_after: str, unsaid_seconds: float, now: float) -> float:
    """Return how long a host wants to be left alone.

    Parameters
    ----------
    retry_after
        The header ``Retry-After`` of its answer: seconds or a date; empty if it has none.
    unsaid_seconds
        How long if the header doesn't say.
    now
        The time, s since 1970.
    """
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return unsaid_seconds
    return max(at.replace(tzinfo=at.tzinfo or UTC).timestamp() - now, 0.0)


def _state_of(line: bytes) -> _State:
    try:
        return _decode(line)
    except (ValueError, RecursionError):
        return _State()
