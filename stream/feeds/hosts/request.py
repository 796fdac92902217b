"""Requests by HTTP, within the budget of their host."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import IO

import aiohttp
from msgspec import Struct
from yarl import URL

from tickertape.stream.errors import InputError, one_line
from tickertape.stream.feeds.hosts.budget import BUSY, LONGEST_SECONDS, Budget, asked_seconds, host_of
from tickertape.stream.feeds.hosts.limit import Limit

MOST_BYTES = 64 << 20
_REASON_BYTES = 400


class RequestError(InputError):
    """A request failed.

    Attributes
    ----------
    status
        The status of the answer; 0 if there is none.
    wait_seconds
        How long the host wants to be left alone; 0 if it doesn't say.
    """

    def __init__(self, text: str, status: int = 0, wait_seconds: float = 0.0) -> None:
        super().__init__(text)
        self.status = status
        self.wait_seconds = wait_seconds


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

    If the host says that it was asked too often (429, 418), all feeds of the machine leave it alone for as long as it
    says.

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
        raise RequestError(f"{url}: its host allows no request for {wait_seconds:.0f} s", 0, wait_seconds)
    async with _answer(url, budget, aiohttp.ClientTimeout(total=seconds), headers) as answer:
        body = await _read(answer, most_bytes)
        if len(body) > most_bytes:
            raise RequestError(f"{url}: the answer has more than {most_bytes} bytes", answer.status)
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
    """
    await budget.request()
    file.seek(0)
    file.truncate()
    limits = aiohttp.ClientTimeout(total=None, sock_connect=silence_seconds, sock_read=silence_seconds)
    async with _answer(url, budget, limits, None) as answer:
        async for part in answer.content.iter_any():
            file.write(part)
    file.flush()


@asynccontextmanager
async def _answer(
    url: str, budget: Budget, limits: aiohttp.ClientTimeout, headers: Mapping[str, str] | None
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Ask for an address, and give the answer if its status is 200.

    Raises
    ------
    RequestError
        There is no answer in time, or it has another status; or reading it failed in the block.
    """
    try:
        async with (
            aiohttp.ClientSession(
                timeout=limits,
                headers={"User-Agent": "tickertape"} | dict(headers or {}),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,
            ) as session,
            session.get(URL(url, encoded=True), allow_redirects=False) as answer,
        ):
            if answer.status == 200:
                yield answer
                return
            body = await _read(answer, _REASON_BYTES)
    except TimeoutError:
        raise RequestError(f"{url}: no answer within {limits.total or limits.sock_read:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise RequestError(f"{url}: {one_line(str(error)) or type(error).__name__}") from None
    wait_seconds = asked_seconds(answer.status, answer.headers.get("Retry-After", ""), time.time())
    if answer.status in BUSY:
        budget.block(wait_seconds)
    why = one_line(body[:_REASON_BYTES].decode(errors="replace"))
    raise RequestError(
        f"{url}: HTTP {answer.status} {answer.reason or ''}".rstrip() + (f": {why}" if why else ""),
        answer.status,
        wait_seconds,
    )


def getter(connections: Limit, requests: Limit, patience_seconds: float) -> Callable[[str, float], Awaitable[bytes]]:
    """Return a function that requests an address at a weight, within the budget of its host, and returns the body.

    The function raises OSError where asking again may help, and RequestError where it won't.
    """

    async def ask(url: str, weight: float) -> bytes:
        budget = Budget(host_of(url), connections, requests)
        try:
            return (await get(url, budget, weight=weight, patience_seconds=patience_seconds)).body
        except RequestError as error:
            if error.status in BUSY or not 400 <= error.status < 500:
                raise OSError(str(error)) from None
            raise

    return ask


async def _read(answer: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """Return a body; of one that is too large, somewhat more than the most."""
    found = bytearray()
    async for part in answer.content.iter_any():
        found += part
        if len(found) > most_bytes:
            break
    return bytes(found)
