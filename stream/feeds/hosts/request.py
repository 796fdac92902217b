"""Requests by HTTP, within the budget of their host."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import IO, TYPE_CHECKING

from msgspec import Struct

from tickertape.stream.errors import InputError, one_line
from tickertape.stream.feeds.hosts.budget import LONGEST_SECONDS, Budget, asked_seconds, host_of
from tickertape.stream.feeds.hosts.limit import Limits

if TYPE_CHECKING:
    from aiohttp import ClientResponse

MOST_BYTES = 64 << 20
_REASON_BYTES = 400


class RequestError(InputError):
    """A request failed.

    Parameters
    ----------
    url
        Its address.
    why
        The reason, in one line.
    status, wait_seconds, may_pass
        As below.

    Attributes
    ----------
    why
        The reason, without the address.
    status
        The status of the answer; 0 if there is none.
    wait_seconds
        How long the host wants to be left alone; 0 if it doesn't say.
    may_pass
        Whether asking again may help.
    """

    def __init__(
        self, url: str, why: str, status: int = 0, wait_seconds: float = 0.0, *, may_pass: bool = True
    ) -> None:
        super().__init__(f"{url}: {why}")
        self.why = why
        self.status = status
        self.wait_seconds = wait_seconds
        self.may_pass = may_pass


class Answered(Struct, frozen=True):
    """What a host answered.

    Attributes
    ----------
    body
        The body, unpacked.
    headers
        The headers, by their names in lower case.
    """

    body: bytes
    headers: Mapping[str, str]


async def get(
    url: str,
    budget: Budget,
    *,
    weight: float = 1.0,
    headers: Mapping[str, str] | None = None,
    seconds: float = 10.0,
    most_bytes: int = MOST_BYTES,
    patience_seconds: float = LONGEST_SECONDS,
) -> Answered:
    """Ask for a page, once the budget of its host allows it. Redirects aren't followed.

    If the host says that it was asked too often, all feeds of the machine leave it alone for as long as it says; see
    `Limits`.

    Parameters
    ----------
    url
        Its address.
    budget
        The budget of its host.
    weight
        How much of the budget it costs.
    headers
        More headers.
    seconds
        The most time for the whole answer.
    most_bytes
        The most bytes of an answer.
    patience_seconds
        The most time to wait for the budget.

    Raises
    ------
    RequestError
        There is no answer in time, it has another status than 200, it is too large, or the budget is used up.
    """
    if wait_seconds := await budget.request(weight, patience_seconds):
        raise RequestError(url, f"its host allows no request for {wait_seconds:.0f} s", 0, wait_seconds)
    async with _answer(url, budget, headers=headers, seconds=seconds) as (answer, begin):
        body = begin + await _read(answer, most_bytes - len(begin))
        if len(body) > most_bytes:
            raise RequestError(url, f"the answer has more than {most_bytes:,} bytes", answer.status)
        return Answered(body, {name.lower(): value for name, value in answer.headers.items()})


async def download(url: str, budget: Budget, file: IO[bytes], *, silence_seconds: float = 60.0) -> None:
    """Write an answer of any size to a file, as `get` asks for it.

    Parameters
    ----------
    url, budget
        See `get`.
    file
        The file; it is emptied first.
    silence_seconds
        The most time without a byte.

    Raises
    ------
    RequestError
        See `get`.
    InputError
        The file can't be written: to ask again wouldn't help.
    """
    await budget.request()
    file.seek(0)
    file.truncate()

    def write(part: bytes) -> None:
        try:
            file.write(part)
            file.flush()
        except OSError as error:
            raise InputError(f"{url}: can't be kept on this machine: {error}") from None

    async with _answer(url, budget, silence_seconds=silence_seconds) as (answer, begin):
        write(begin)
        async for part in answer.content.iter_any():
            write(part)


@asynccontextmanager
async def _answer(
    url: str,
    budget: Budget,
    *,
    headers: Mapping[str, str] | None = None,
    seconds: float | None = None,
    silence_seconds: float | None = None,
) -> "AsyncIterator[tuple[ClientResponse, bytes]]":
    """Ask for an address, and give the answer and the beginning of its body, if it is what was asked for.

    Raises
    ------
    RequestError
        There is no answer in time, it has another status than 200, or it says that the host is busy; or reading it
        failed in the block.
    """
    # They take a fifth of a second, and most commands ask for nothing.
    import aiohttp
    from yarl import URL

    try:
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=silence_seconds, sock_read=silence_seconds),
                headers={"User-Agent": "tickertape"} | dict(headers or {}),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,
            ) as session,
            session.get(URL(url, encoded=True), allow_redirects=False) as answer,
        ):
            begin = await _read(answer, _REASON_BYTES)
            why = begin[:_REASON_BYTES].decode(errors="replace")
            busy_seconds = budget.limits.busy_seconds(answer.status, why)
            if answer.status == 200 and busy_seconds is None:
                yield answer, begin
                return
    except TimeoutError:
        raise RequestError(url, f"no answer within {seconds or silence_seconds:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise RequestError(url, one_line(str(error)) or type(error).__name__) from None
    wait_seconds = asked_seconds(answer.headers.get("Retry-After", ""), busy_seconds or 0.0, time.time())
    if busy_seconds is not None:
        budget.block(wait_seconds)
    why = one_line(why)
    raise RequestError(
        url,
        f"HTTP {answer.status} {answer.reason or ''}".rstrip() + (f": {why}" if why else ""),
        answer.status,
        wait_seconds,
        may_pass=busy_seconds is not None or not 400 <= answer.status < 500,
    )


def getter(limits: Limits, patience_seconds: float) -> Callable[[str, float], Awaitable[bytes]]:
    """Return a function that requests an address at a weight, within the budget of its host, and returns the body.

    The function raises OSError where asking again may help, and RequestError where it won't.
    """

    async def ask(url: str, weight: float) -> bytes:
        budget = Budget(host_of(url), limits)
        try:
            return (await get(url, budget, weight=weight, patience_seconds=patience_seconds)).body
        except RequestError as error:
            if error.may_pass:
                raise OSError(str(error)) from None
            raise

    return ask


async def _read(answer: "ClientResponse", most_bytes: int) -> bytes:
    """Return a body; of one that is too large, somewhat more than the most."""
    found = bytearray()
    async for part in answer.content.iter_any():
        found += part
        if len(found) > most_bytes:
            break
    return bytes(found)
