"""One WebSocket line to a source, kept up: time-outs, back-off, and a successor before the server hangs up."""

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

# A closing handshake that the other side doesn't answer; the next connection waits for it.
CLOSE_SECONDS = 1.0
MOST_FRAME_BYTES = 16 << 20
# The client is at fault, and will be again; of 4xx these pass: time-out, too early, too many requests, and Binance's
# 418, a ban for minutes after too many of these.
PASSING = frozenset({408, 418, 425, 429})
BODY_SHOWN = 200


class Patience(Struct, frozen=True, kw_only=True):
    """How long a line waits for what.

    Attributes
    ----------
    open_seconds
        For a handshake.
    silence_seconds
        Without a message for so long, the connection is given up.
    ping_seconds
        Between two pings; one that isn't answered for as long ends the connection.
    renew_seconds
        A connection that is so old is replaced, before the server ends it.
    overlap_seconds
        An old connection is heard for so long after the first message of its successor.
    healthy_seconds
        One that lived shorter counts as an attempt that failed.
    first_wait_seconds, longest_wait_seconds
        After an attempt that failed: a random time from none up to the first, which doubles up to the longest.
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
    """What a line connects to, and what it does with what it hears."""

    @property
    def name(self) -> str:
        """As messages name it."""

    @property
    def setting(self) -> str:
        """What its address is set by, for messages."""

    @property
    def hello(self) -> Sequence[str]:
        """What is sent first: subscriptions, where they aren't in the address."""

    def url(self) -> str:
        """Return the address, asked for anew for each connection."""

    def receive(self, frame: bytes) -> bool:
        """Take a message; False where there is no room: the line hangs up then, and connects when there is."""

    def leaves(self, frame: bytes) -> bool:
        """Return whether the message says that the server is about to hang up."""

    async def room(self) -> None:
        """Return when there is room."""


class _LostError(Exception):
    """The connection wasn't made, or didn't live long enough; a message for the log."""

    def __init__(self, why: str, wait_seconds: float = 0.0) -> None:
        super().__init__(why)
        self.wait_seconds = wait_seconds


class Line:
    """A line that is always connected, as far as the other side lets it.

    A connection that was healthy and ends is replaced at once; after one that wasn't, or was never made, comes a
    random wait that widens. Where a connection grows too old, or the server says that it is about to leave, its
    successor is made first, and for a moment both are heard: what is heard twice, the one who takes it sorts out.

    Parameters
    ----------
    end
        What to connect to.
    patience
        How long to wait for what.

    Attributes
    ----------
    connections
        How many were made so far.
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
            The address is none.
        InputError
            The server refuses for good, before there ever was a connection.
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
            # One is enough to end it, and to tell of.
            raise errors.exceptions[0] from None
        raise AssertionError("a line has no end")

    async def _hold(self, heard: asyncio.Event, leaving: asyncio.Event) -> None:
        """Have one connection, whatever number of attempts it takes, until it has ended."""
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
            raise ConfigError(f"{self._end.name}: {error}; {self._end.setting} is the address") from None
        except InvalidStatus as error:
            raise self._refused(error) from None
        except (InvalidHandshake, OSError, EOFError) as error:
            raise _LostError(f"can't connect ({_one_line(error)})") from None
        # Its successor is under way, or what ended was worth having: the next attempt is a first one.
        if not leaving.is_set() and why:
            if clock() - began < patience.healthy_seconds:
                raise _LostError(why)
            log.warning("%s: %s; connecting again", self._end.name, why)

    async def _listen(self, socket: ClientConnection, heard: asyncio.Event, leaving: asyncio.Event) -> str:
        """Take what comes until it ends; return why it did, or nothing where that was our wish."""
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
                    log.warning("%s: hung up, for there is no room; it goes on from there when there is", end.name)
                    return ""
                if end.leaves(frame):
                    log.warning("%s: the server is about to leave; its successor is called", end.name)
                    # Not at once from one that has just come: the next may be as short of life.
                    loop.call_at(max(loop.time(), healthy), leaving.set)
        except asyncio.CancelledError:
            # With the code of a tidy end.
            await socket.close()
            raise
        except TimeoutError:
            # It would not answer the closing handshake either.
            socket.transport.abort()
            return f"nothing came for {patience.silence_seconds:g} s"
        except ConnectionClosed as error:
            return f"the connection ended ({_one_line(error)})"

    def _refused(self, error: InvalidStatus) -> Exception:
        """Return what to make of an answer by HTTP that is no handshake."""
        response = error.response
        body = " ".join((response.body or b"").decode(errors="replace").split())[:BODY_SHOWN]
        why = f"HTTP {response.status_code} {response.reason_phrase}" + (f": {body}" if body else "")
        if 400 <= response.status_code < 500 and response.status_code not in PASSING and not self.connections:
            return InputError(f"{self._end.name}: the server refuses ({why}); {self._end.setting} is its address")
        after = response.headers.get("Retry-After", "")
        return _LostError(f"can't connect ({why})", float(after) if after.isdecimal() else 0.0)


def _lost(state: RetryCallState) -> _LostError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, _LostError)
    return error


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__
