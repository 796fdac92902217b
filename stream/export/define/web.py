"""HTTP for databases: one request, with the answers that mean "later" and "never" as errors."""

from base64 import b64encode
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from tickertape.stream.configuration.connection import Secret, is_here
from tickertape.stream.errors import DatabaseError, one_line
from tickertape.stream.export.define.database import Unavailable, Writer

# How long a request may take as a whole, and until a connection stands.
REQUEST_SECONDS, CONNECT_SECONDS = 60.0, 10.0
# The most of an answer that is read.
_ANSWER_BYTES = 64 << 20
# Timeouts, and too much at once.
_LATER = {408, 425, 429}


class Web:
    """Sends requests to one database, and follows no redirect, which could lead a secret to another host.

    Parameters
    ----------
    url
        The database's address.
    headers
        Headers of every request.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url.rstrip("/")
        self._headers = dict(headers)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, query: Mapping[str, str], body: bytes = b"") -> bytes:
        """Return the body of the answer to a request.

        Raises
        ------
        Unavailable
            There is no answer, or one that says that the request may succeed later.
        DatabaseError
            The database refuses this very request.
        """
        try:
            async with self._session.request(
                method, f"{self._url}{path}", params=query, data=body, allow_redirects=False
            ) as answer:
                found = await answer.content.read(_ANSWER_BYTES + 1) if answer.status != 200 else await _whole(answer)
                if 200 <= answer.status < 300:
                    return found
                why = f"HTTP {answer.status} {one_line(found[:400].decode(errors='replace'))}".strip()
        # Only the kind of error: its text may have the address, which may be secret.
        except TimeoutError:
            raise Unavailable(f"no answer within {REQUEST_SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"no connection ({type(error).__name__})") from None
        if answer.status >= 500 or answer.status in _LATER:
            raise Unavailable(why)
        raise DatabaseError(why)


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    found = bytearray()
    async for part in answer.content.iter_any():
        found += part
        if len(found) > _ANSWER_BYTES:
            raise DatabaseError(f"an answer has more than {_ANSWER_BYTES >> 20} MiB")
    return bytes(found)


class WebWriter(Writer):
    """The base of a writer that reaches its database by HTTP alone.

    Parameters
    ----------
    url
        The database's address.
    authorization
        The header ``Authorization``; empty: none.
    """

    def __init__(self, url: str, authorization: str = "") -> None:
        self.web = Web(url, {"Authorization": authorization} if authorization else {})

    async def __aenter__(self) -> Self:
        await self.web.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.web.__aexit__(kind, error, trace)


def basic(user: str, password: Secret) -> str:
    """Return the header ``Authorization`` of a user."""
    return "Basic " + b64encode(f"{user}:{password.reveal()}".encode()).decode()


def wrong_url(url: str, *secrets: Any) -> str:
    """Return what is wrong with a database's address; empty if nothing is. A secret needs TLS, or this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "url is no address"
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        return "url has to be an address such as https://host:8443"
    if parts.username or parts.password:
        return "url may not have a user or a password: set user, and password_env or password_file"
    if any(secrets) and parts.scheme == "http" and not is_here(host):
        return "url must begin with https://, because a secret is sent there"
    return ""
