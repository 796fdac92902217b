"""A WebSocket line to a source: time-outs, back-off, and a new connection before the server ends the old one."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import NoReturn, Protocol

from msgspec import Struct
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidProxy, InvalidStatus, InvalidURI

from tickertape.stream.errors import ConfigError, InputError

log = logging.getLogger(__name__)

# How long to wait for the answer to a closing handshake. The next connection waits for that too.
CLOSE_SECONDS = 1.0
MOST_FRAME_BYTES = 16 << 20
# After a status of 4xx another attempt would fail too, except for these: time-out, too early, too many requests, and
# Binance's 418, a ban for minutes after too many requests.
PASSING = frozenset({408, 418, 425, 429})
BODY_SHOWN = 200


class Patience(Struct, frozen=True, kw_only=True):
    """The time limits of a line.

    Attributes
    ----------
    open_seconds
        The longest time for a handshake.
    silence_seconds
        A connection without a message for this long is given up.
    ping_seconds
        The time between two pings. A ping without an answer for this long ends the connection.
    renew_seconds
        The age at which a connection is replaced, before the server ends it.
    overlap_seconds
        How long an old connection is still read after the first message of the new one.
    healthy_seconds
        A connection that lived for less counts as a failed attempt.
    first_wait_seconds, longest_wait_seconds
        The wait after a failed attempt is random, from 0 to a bound. The bound begins at the first value and doubles
        up to the longest.
    """

    open_seconds: float = 10.0
    silence_seconds: float = 60.0
    ping_seconds: float = 20.0
    renew_seconds: float = 23 * 3600.0
    overlap_seconds: float = 2.0
    healthy_seconds: float = 10.0
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 60.0


class End(Protocol):
    """What a line connects to, and what receives its messages."""

    @property
    def name(self) -> str:
        """The name of the line in log lines and errors."""

    @property
    def setting(self) -> str:
        """The environment variable that sets the address, for errors."""

    @property
    def hello(self) -> Sequence[str]:
        """The messages to send first, such as subscriptions that are not in the address."""

    def url(self) -> str:
        """Return the address; called for each connection."""

    def receive(self, frame: bytes) -> bool:
        """Take a message. If there is no room, return False: the line closes, and connects once there is room."""

    def leaves(self, frame: bytes) -> bool:
        """Return whether the message announces that the server will close the connection soon."""

    async def room(self) -> None:
        """Wait until there is room."""


class _LostError(Exception):
    """A connection failed, or ended too soon. The text is for the log."""

    def __init__(self, why: str, wait_seconds: float = 0.0) -> None:
        super().__init__(why)
        self.wait_seconds = wait_seconds


class Line:
    """A line that stays connected whenever the server allows it.

    A healthy connection that ends is replaced at once. After a failed attempt, or a connection that ended too soon, the
    line waits for a random time, which grows. If a connection is too old, or the server announces its end, the new
    connection is opened first. For a moment both are read, and the receiver drops what comes twice.

    Parameters
    ----------
    end
        What to connect to.
    patience
        The time limits.

    Attributes
    ----------
    connections
        The number of connections so far.
    """

    def __init__(self, end: End, patience: Patience) -> None:
        self._end = end
        self._patience = patience
        self._jitter = wait_random_exponential(patience.first_wait_seconds, patience.longest_wait_seconds)
        self.connections = 0

    async def run(self) -> NoReturn:
        """Stay connected until cancelled.

        Raises
        ------
        ConfigError
            The address is invalid.
        InputError
            The server refuses permanently, and no connection was made before.
        """
        try:
            async with asyncio.TaskGroup() as group:
                elders: list[asyncio.Task[None]] = []
                while True:
                    heard, leaving = asyncio.Event(), asyncio.Event()
                    held = group.create_task(self._hold(heard, leaving))
                    if elders:
                        group.create_task(self._retire(elders, heard))
                    await leaving.wait()
                    elders = [*(elder for elder in elders if not elder.done()), held]
        except BaseExceptionGroup as errors:
            # The first error ends the line, and is the one to report.
            raise errors.exceptions[0] from None
        raise AssertionError("a line never ends")

    async def _hold(self, heard: asyncio.Event, leaving: asyncio.Event) -> None:
        """Open a connection, with as many attempts as it takes, and keep it until it ends."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_LostError), wait=self._wait, before_sleep=self._tell, reraise=True
        )
        try:
            await self._end.room()
            await retrying(self._once, heard, leaving)
        finally:
            leaving.set()

    async def _retire(self, elders: Iterable[asyncio.Task[None]], heard: asyncio.Event) -> None:
        await heard.wait()
        await asyncio.sleep(self._patience.overlap_seconds)
        for elder in elders:
            elder.cancel()

    def _wait(self, state: RetryCallState) -> float:
        return max(self._jitter(state), _lost(state).wait_seconds)

    def _tell(self, state: RetryCallState) -> None:
        seconds = state.next_action.sleep if state.next_action else 0.0
        log.warning("%s: %s; trying again in %.1f s", self._end.name, _lost(state), seconds)

    async def _once(self, heard: asyncio.Event, leaving: asyncio.Event) -> None:
        patience, clock = self._patience, asyncio.get_running_loop().time
        try:
            connecting = connect(
                self._end.url(),
                open_timeout=patience.open_seconds,
                ping_interval=patience.ping_seconds,
                ping_timeout=patience.ping_seconds,
                close_timeout=CLOSE_SECONDS,
                max_size=MOST_FRAME_BYTES,
            )
            async with connecting as socket:
                self.connections += 1
                log.info("%s: connected", self._end.name)
                began = clock()
                renewal = asyncio.get_running_loop().call_later(patience.renew_seconds, leaving.set)
                try:
                    why = await self._listen(socket, heard, leaving)
                finally:
                    renewal.cancel()
        except (InvalidURI, InvalidProxy) as error:
            raise ConfigError(f"{self._end.name}: {error}; {self._end.setting} sets its address") from None
        except InvalidStatus as error:
            raise self._refused(error) from None
        except (InvalidHandshake, OSError, EOFError) as error:
            raise _LostError(f"can't connect ({_one_line(error)})") from None
        # The next connection is under way, or a healthy one ended: then the next attempt comes without a wait.
        if not leaving.is_set() and why:
            if clock() - began < patience.healthy_seconds:
                raise _LostError(why)
            log.warning("%s: %s; connecting again", self._end.name, why)

    async def _listen(self, socket: ClientConnection, heard: asyncio.Event, leaving: asyncio.Event) -> str:
        """Receive messages until the connection ends. Return why it ended, or an empty text if we closed it."""
        end, patience, loop = self._end, self._patience, asyncio.get_running_loop()
        healthy = loop.time() + patience.healthy_seconds
        try:
            for message in end.hello:
                await socket.send(message)
            while True:
                async with asyncio.timeout(patience.silence_seconds):
                    frame = await socket.recv(decode=False)
                heard.set()
                if not end.receive(frame):
                    log.warning("%s: closed, as the buffer is full; it resumes from here once there is room", end.name)
                    return ""
                if end.leaves(frame):
                    log.warning("%s: the server is about to close the connection; opening a new one", end.name)
                    # Not at once if the connection is new: the next one may be as short-lived.
                    loop.call_at(max(loop.time(), healthy), leaving.set)
        except asyncio.CancelledError:
            # This sends the code of a normal end.
            await socket.close()
            raise
        except TimeoutError:
            # The server would not answer the closing handshake either.
            socket.transport.abort()
            return f"nothing came for {patience.silence_seconds:g} s"
        except ConnectionClosed as error:
            return f"the connection ended ({_one_line(error)})"

    def _refused(self, error: InvalidStatus) -> Exception:
        """Return the error for an HTTP answer that refuses the handshake."""
        response = error.response
        body = " ".join((response.body or b"").decode(errors="replace").split())[:BODY_SHOWN]
        why = f"HTTP {response.status_code} {response.reason_phrase}" + (f": {body}" if body else "")
        if 400 <= response.status_code < 500 and response.status_code not in PASSING and not self.connections:
            return InputError(f"{self._end.name}: the server refuses ({why}); {self._end.setting} sets its address")
        after = response.headers.get("Retry-After", "")
        return _LostError(f"can't connect ({why})", float(after) if after.isdecimal() else 0.0)


def _lost(state: RetryCallState) -> _LostError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, _LostError)
    return error


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__
