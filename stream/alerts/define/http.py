"""HTTP for channels: one request, with the answers that mean "later" and "never" as errors."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from msgspec import Struct

from tickertape.stream.alerts.define.message import NotSent, Refused

# How long a request may take as a whole.
REQUEST_SECONDS = 20.0
# The most of an answer that is read.
_ANSWER_BYTES = 1 << 16
# The server has read the request, and will never accept it.
_REFUSALS = {400, 405, 413, 415, 422}


class Answer(Struct, frozen=True):
    """The answer to a request that succeeded."""

    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the body's object; empty if it isn't one."""
        try:
            found = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {}
        return found if isinstance(found, dict) else {}


class Http:
    """Posts requests, and follows no redirect, which could lead a secret to another host."""

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def post(
        self,
        url: str,
        *,
        json: Any = None,
        data: aiohttp.FormData | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Post JSON or a form.

        Raises
        ------
        NotSent
            There is no answer within `REQUEST_SECONDS`, or it says that the request may succeed later.
        Refused
            The server refuses this very request.
        """
        sent: dict[str, str] = dict(headers or {})
        body: Any = data
        if data is None:
            body, sent["Content-Type"] = msgspec.json.encode(json), "application/json"
        try:
            async with self._session.post(url, data=body, headers=sent, allow_redirects=False) as answer:
                found = await answer.content.read(_ANSWER_BYTES)
                if 200 <= answer.status < 300:
                    return Answer(answer.status, found)
                why = f"HTTP {answer.status} {found[:200].decode(errors='replace')}".strip()
                if answer.status in _REFUSALS:
                    raise Refused(why)
                raise NotSent(why, _seconds(answer.headers.get("Retry-After", "")))
        # Only the kind of error: its text may have the address, which may be secret.
        except TimeoutError:
            raise NotSent(f"no answer within {REQUEST_SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotSent(f"no connection ({type(error).__name__})") from None


def _seconds(retry_after: str) -> float:
    """Return the seconds that a header ``Retry-After`` asks for: a number, or a date; 0 if it is neither."""
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0
