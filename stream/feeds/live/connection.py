"""A WebSocket line to a source: time-outs, back-off, and a new connection before the server ends the old one."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, NoReturn, Protocol, Self
from urllib.request import proxy_bypass

from msgspec import Struct
from picows import WSError, WSInvalidURL
from picows.websockets.asyncio.client import ClientConnection, connect
from picows.websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
)
from python_socks import ProxyError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from tickertape.stream.errors import ConfigError, InputError, one_line
from tickertape.stream.feeds.hosts.budget import Budget, asked_seconds, host_of

log = logging.getLogger(__name__)
# It would log each connection, and each fault of a server, which we tell of in our own words.
_quiet = logging.getLogger("tickertape.picows")
_quiet.setLevel(logging.CRITICAL)

# How long to wait for the answer to a closing handshake. The next connection waits for that too.
CLOSE_SECONDS = 1.0
MOST_FRAME_BYTES = 16 << 20
# After a status of 4xx another attempt would fail too, except for a time-out, too early, and one that says that the
# host was asked too often.
PASSING = frozenset({408, 425})
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
        The age at which a connection is replaced, before the server ends it. A random part of up to a tenth is taken
        off, so that two connections are not replaced at once.
    overlap_seconds
        How long an old connection is still read after the new one stands.
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


class Talk(Protocol):
    """What is said on one connection."""

    @property
    def stands(self) -> asyncio.Event:
        """Set once the connection brings what is wanted of it."""

    async def speak(self) -> None:
        """Send what there is to send, until cancelled."""

    def came(self) -> None:
        """Take note of the first message."""


class End(Protocol):
    """What a line connects to, and what receives its messages."""

    @property
    def name(self) -> str:
        """The name of the line in log lines and errors."""

    @property
    def setting(self) -> str:
        """The environment variable that sets the address, for errors."""

    @property
    def budget(self) -> Budget:
        """The budget of the host."""

    @property
    def leaves(self) -> Callable[[bytes], bool] | None:
        """Returns whether a message announces that the server will close the connection soon; None: none does."""

    def url(self) -> str:
        """Return the address; called for each connection."""

    def begin(self, send: Callable[[str], Awaitable[None]], renew: Callable[[], None]) -> Talk:
        """Begin to talk on a new connection.

        Parameters
        ----------
        send
            Sends a message.
        renew
            Has the connection replaced; the new one stands before this one is closed.
        """

    def stands(self) -> None:
        """Take note that a connection brings what is wanted."""

    def ended(self, talk: Any, *, is_last: bool) -> None:
        """Take note that a connection has ended, after its last message; and whether none is open now."""

    def receive(self, frame: bytes, talk: Any) -> bool:
        """Take a message. If there is no room, return False: the line closes, and connects once there is room."""

    async def room(self) -> None:
        """Wait until there is room."""


class _LostError(Exception):
    """A connection failed, or ended too soon. The text is for the log."""

    def __init__(self, why: str, wait_seconds: float = 0.0) -> None:
        super().__init__(why)
        self.wait_seconds = wait_seconds


class _Watch:
    """Ends its block by a TimeoutError if ``last`` isn't set for a time. That costs no timer for each message."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._clock = asyncio.get_running_loop().time
        self._limit = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle
        self.last = self._clock()

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self._look()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def _look(self) -> None:
        left_seconds = self.last + self._seconds - self._clock()
        if left_seconds <= 0:
            self._limit.reschedule(self._clock())
        else:
            self._timer = asyncio.get_running_loop().call_later(left_seconds, self._look)


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
    open
        How many are open now: two while one replaces the other.
    """

    def __init__(self, end: End, patience: Patience) -> None:
        self._end = end
        self._patience = patience
        self._jitter = wait_random_exponential(patience.first_wait_seconds, patience.longest_wait_seconds)
        self.connections = 0
        self.open = 0

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
        socket = await self._connect()
        self.connections += 1
        self.open += 1
        log.info("%s: connected", self._end.name)
        began = clock()
        age_seconds = patience.renew_seconds * random.uniform(0.9, 1.0)
        renewal = asyncio.get_running_loop().call_later(age_seconds, leaving.set)
        try:
            why = await self._listen(socket, heard, leaving)
        finally:
            renewal.cancel()
            self.open -= 1
            await socket.close()
        # The next connection is under way, or a healthy one ended: then the next attempt comes without a wait.
        if not leaving.is_set() and why:
            if clock() - began < patience.healthy_seconds:
                raise _LostError(why)
            log.warning("%s: %s; connecting again", self._end.name, why)

    async def _connect(self) -> ClientConnection:
        await self._end.budget.connection()
        patience, url = self._patience, self._end.url()
        try:
            async with asyncio.timeout(patience.open_seconds):
                return await connect(
                    url,
                    open_timeout=patience.open_seconds,
                    ping_interval=patience.ping_seconds,
                    ping_timeout=patience.ping_seconds,
                    close_timeout=CLOSE_SECONDS,
                    max_size=MOST_FRAME_BYTES,
                    logger=_quiet,
                    proxy=None if proxy_bypass(host_of(url)) else True,
                )
        except (WSInvalidURL, InvalidURI, InvalidProxy, ValueError) as error:
            raise ConfigError(f"{self._end.name}: {error}; {self._end.setting} sets its address") from None
        except InvalidStatus as error:
            raise self._refused(error) from None
        except TimeoutError:
            raise _LostError(f"can't connect (no answer within {patience.open_seconds:g} s)") from None
        except (InvalidHandshake, ProxyError, WSError, OSError, EOFError) as error:
            raise _LostError(f"can't connect ({_one_line(error)})") from None

    async def _listen(self, socket: ClientConnection, heard: asyncio.Event, leaving: asyncio.Event) -> str:
        """Receive messages until the connection ends. Return why it ended, or an empty text if we closed it."""
        end, patience, clock = self._end, self._patience, asyncio.get_running_loop().time
        recv, receive, leaves, began = socket.recv, end.receive, end.leaves, clock()

        def leave() -> None:
            # Not at once if the connection is new: the next one may be as short-lived.
            asyncio.get_running_loop().call_at(max(clock(), began + patience.healthy_seconds), leaving.set)

        talk = end.begin(socket.send, leave)
        tasks = [asyncio.create_task(talk.speak()), asyncio.create_task(self._pass_on(talk.stands, heard))]
        try:
            async with _Watch(patience.silence_seconds) as watch:
                while True:
                    frame: Any = await recv(decode=False)
                    watch.last = clock()
                    if not receive(frame, talk):
                        log.warning(
                            "%s: closed, as the buffer is full; it resumes from here once there is room", end.name
                        )
                        return ""
                    if not heard.is_set():
                        talk.came()
                    if leaves is not None and leaves(frame):
                        log.warning("%s: the server is about to close the connection; opening a new one", end.name)
                        leave()
        except TimeoutError:
            return f"nothing came for {patience.silence_seconds:g} s"
        except ConnectionClosed as error:
            return f"the connection ended ({_told(error)})"
        finally:
            for task in tasks:
                task.cancel()
            end.ended(talk, is_last=self.open == 1)
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass_on(self, stands: asyncio.Event, heard: asyncio.Event) -> None:
        await stands.wait()
        self._end.stands()
        heard.set()

    def _refused(self, error: InvalidStatus) -> Exception:
        """Return the error for an HTTP answer that refuses the handshake."""
        response = error.response
        # As much of the body as came with the headers.
        body = one_line(getattr(error.__cause__, "raw_body", b"").decode(errors="replace"), BODY_SHOWN)
        why = f"HTTP {response.status_code} {response.reason_phrase}" + (f": {body}" if body else "")
        busy_seconds = self._end.budget.limits.busy_seconds(response.status_code, body)
        is_final = 400 <= response.status_code < 500 and response.status_code not in PASSING and busy_seconds is None
        if is_final and not self.connections:
            return InputError(f"{self._end.name}: the server refuses ({why}); {self._end.setting} sets its address")
        wait_seconds = asked_seconds(response.headers.get("Retry-After", ""), busy_seconds or 0.0, time.time())
        if busy_seconds is not None:
            # For all feeds of this machine.
            self._end.budget.block(wait_seconds)
        return _LostError(f"can't connect ({why})", wait_seconds)


def _lost(state: RetryCallState) -> _LostError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, _LostError)
    return error


def _told(error: ConnectionClosed) -> str:
    """Return how a connection was closed: ``received 1001 (going away)``."""
    frames = [("received", error.rcvd), ("sent", error.sent)]
    if error.rcvd is not None and not error.rcvd_then_sent:
        frames.reverse()
    told = [f"{verb} {_code(frame.code)} ({frame.reason})" for verb, frame in frames if frame is not None]
    return ", then ".join(told) or "no close frame received or sent"


def _code(code: Any) -> int:
    return int(getattr(code, "value", code))


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__
