"""One GET of a public address, with limits of time and size."""

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from tickertape.stream.errors import one_line

if TYPE_CHECKING:
    from aiohttp import ClientResponse

# The most redirects that are followed. A request has no secret that could go elsewhere.
_REDIRECTS = 3
_MEANINGS = {
    403: "it refuses this network or program",
    418: "this address is banned for a while",
    429: "too many requests",
    451: "it doesn't serve this country",
}


class FetchError(Exception):
    """A list can't be fetched. The text says why, in one line."""


class Limits:
    """What some requests may take together.

    Parameters
    ----------
    seconds
        The time until the last byte of the last answer.
    size_bytes
        The size of all answers, unpacked.
    """

    def __init__(self, seconds: float, size_bytes: int) -> None:
        self.seconds = seconds
        self.size_bytes = size_bytes
        self._until = monotonic() + seconds
        self._left_bytes = size_bytes

    @property
    def left_seconds(self) -> float:
        return self._until - monotonic()

    def count(self, size_bytes: int) -> None:
        """Count bytes that have come.

        Raises
        ------
        FetchError
            They are too many.
        """
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise FetchError(f"it has more than {self.size_bytes:,} bytes")


def get(url: str, limits: Limits) -> bytes:
    """Return the body of an answer. It is called where no event loop runs.

    Raises
    ------
    FetchError
        The address is none of HTTP, nobody answers in time, the answer isn't 200, or it is too large.
    """
    if not url.startswith(("https://", "http://")):
        raise FetchError("its address doesn't begin with http")
    return asyncio.run(_get(url, limits))


async def _get(url: str, limits: Limits) -> bytes:
    # It is imported here, because it takes a fifth of a second, and most commands fetch nothing.
    import aiohttp

    late = f"no answer within {limits.seconds:g} s"
    try:
        # The time-out is for the whole of it: names, connecting, headers, and a body that drips.
        async with asyncio.timeout(max(0.0, limits.left_seconds)):
            async with (
                aiohttp.ClientSession(
                    headers={"User-Agent": "tickertape"}, cookie_jar=aiohttp.DummyCookieJar(), trust_env=True
                ) as session,
                session.get(url, max_redirects=_REDIRECTS) as answer,
            ):
                if answer.status != 200:
                    raise FetchError(_refusal(answer))
                pieces = []
                async for piece in answer.content.iter_any():
                    limits.count(len(piece))
                    pieces.append(piece)
                return b"".join(pieces)
    except TimeoutError:
        raise FetchError(late) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise FetchError(one_line(f"{type(error).__name__}: {error}")) from None


def _refusal(answer: "ClientResponse") -> str:
    meaning = _MEANINGS.get(answer.status, one_line(answer.reason or "", 60))
    wait = answer.headers.get("Retry-After", "")
    again = f"; it asks to wait {wait} s" if wait.isdecimal() and len(wait) < 10 else ""
    return f"HTTP {answer.status}: {meaning}{again}"
