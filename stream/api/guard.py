"""Who may ask, and how much: the token, the names by which this server is reached, origins, and rates."""

import hmac
import time
from collections import OrderedDict
from hashlib import blake2b
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tickertape.stream.api.answers import Refused, deny, refusal
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError

COOKIE = "tickertape"
MOST_BODY_BYTES = 1 << 16
#: The most requests and sockets that are open at once.
MOST_OPEN = 4096
# A client may make the requests of so many seconds at once.
BURST_SECONDS = 4.0
MOST_ADDRESSES = 10_000
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}


def check_reach(settings: Settings) -> None:
    """Check that a server that others can reach asks for a token.

    Raises
    ------
    ConfigError
        It would be open to everybody.
    """
    if not settings.console_token and not _is_loopback(settings.console_host):
        raise ConfigError(
            f"console_host is {settings.console_host}, so others could reach the page: set console_token, or "
            "console_host to 127.0.0.1"
        )


class Rates:
    """How many requests each address may still make: a bucket that fills at a rate.

    Parameters
    ----------
    per_second
        The rate.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._most = max(1.0, per_second * BURST_SECONDS)
        # By address: what is left, and since when; the address that was seen last is at the end.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def takes(self, address: str, now: float) -> bool:
        """Return whether an address may make a request at a time, s; it is then counted."""
        left, since = self._left.pop(address, (self._most, now))
        left = min(self._most, left + (now - since) * self._per_second)
        allowed = left >= 1
        self._left[address] = (left - 1 if allowed else left), now
        if len(self._left) > MOST_ADDRESSES:
            self._left.popitem(last=False)
        return allowed


class Guard:
    """Lets through to an application only what may pass.

    Parameters
    ----------
    app
        The application.
    settings
        The settings whose names begin with ``console_``.

    Attributes
    ----------
    open
        The number of requests and sockets that are open.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._token = settings.console_token.reveal().encode()
        self._cookie = blake2b(b"page", key=self._token[:64]).hexdigest().encode()
        self._hosts = {"localhost", settings.console_host.lower(), *map(str.lower, settings.console_hosts)}
        self._is_secure = bool(settings.console_certificate)
        self._rates = Rates(settings.console_requests)
        self.open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        try:
            self._check(asked)
            brings_token = self._check_token(asked)
        except Refused as refused:
            await deny(scope, receive, send, refusal(refused))
            return
        is_page = scope["type"] == "http" and not scope["path"].startswith("/api/")
        if brings_token and is_page:
            # The token is kept in a cookie, and taken out of what the browser shows and remembers.
            url = asked.url.remove_query_params("token")
            response = RedirectResponse(f"/{url.path.lstrip('/')}{url.query and '?' + url.query}", 303)
            response.set_cookie(COOKIE, self._cookie.decode(), httponly=True, samesite="strict", secure=self._is_secure)
            await response(scope, receive, send)
            return
        self.open += 1
        try:
            await self._app(scope, receive, _with_headers(send))
        finally:
            self.open -= 1

    def _check(self, asked: HTTPConnection) -> None:
        host = asked.headers.get("host", "")
        if not self._is_ours(host):
            raise Refused(403, "this server isn't reached by that name: add it to console_hosts")
        origin = asked.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise Refused(403, "a page of another origin may not ask here")
        address = asked.client.host if asked.client else ""
        if not self._rates.takes(address, time.monotonic()):
            raise Refused(429, "too many requests: wait a second", {"Retry-After": "1"})
        if self.open >= MOST_OPEN:
            raise Refused(503, "too many clients at once: try again later", {"Retry-After": "5"})
        length = asked.headers.get("content-length", "0")
        if "transfer-encoding" in asked.headers or not length.isdigit() or int(length) > MOST_BODY_BYTES:
            raise Refused(413, f"a request's body has at most {MOST_BODY_BYTES} bytes, and says how many it has")

    def _is_ours(self, host: str) -> bool:
        """Return whether a header ``Host`` names this server. A name of others may lead here, an address can't."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._hosts or _is_address(name)

    def _check_token(self, asked: HTTPConnection) -> bool:
        """Check the token, and return whether it came in the query.

        Raises
        ------
        Refused
            It is missing or wrong.
        """
        if not self._token:
            return False
        scheme, _, given = asked.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token):
            return False
        if hmac.compare_digest(asked.query_params.get("token", "").encode(), self._token):
            return True
        if hmac.compare_digest(asked.cookies.get(COOKIE, "").encode(), self._cookie):
            return False
        raise Refused(
            401, "a token is needed: send Authorization: Bearer TOKEN, or ?token=TOKEN", {"WWW-Authenticate": "Bearer"}
        )


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
