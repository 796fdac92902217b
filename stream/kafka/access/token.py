"""Tokens for OAUTHBEARER, from a file or from an endpoint that issues them for client credentials."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from msgspec import Struct

from tickertape.stream.configuration.connection import Connection
from tickertape.stream.errors import AccessError, ConfigError, one_line

# The time limit of a request, from the name look-up to the end of the answer.
ENDPOINT_SECONDS = 10.0
ANSWER_BYTES = 64 << 10
# A token is used for new connections until this share of its lifetime has passed.
FRESH = 0.8


class _Answer(Struct):
    """An endpoint's answer (RFC 6749, sections 5.1 and 5.2)."""

    access_token: str = ""
    expires_in: float = 0.0
    error: str = ""
    error_description: str = ""


#: By endpoint, client and scope: a token, and the time until which it is used, by the monotonic clock.
_fresh: dict[tuple[str, str, str], tuple[str, float]] = {}


async def token(connection: Connection) -> str:
    """Return a token for a new connection.

    Raises
    ------
    ConfigError
        The token's file can't be read, or holds no token.
    AccessError
        The endpoint can't be reached, or refuses.
    """
    if connection.sasl_token_file:
        return _from_file(connection.sasl_token_file)
    key = connection.sasl_token_url, connection.sasl_username, connection.sasl_scope
    known, until = _fresh.get(key, ("", 0.0))
    if time.monotonic() < until:
        return known
    answer = await _ask(connection)
    _fresh[key] = answer.access_token, time.monotonic() + answer.expires_in * FRESH
    return answer.access_token


def blocking_token(connection: Connection) -> str:
    """Run `token` to its end; this works inside a running event loop, too."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, token(connection)).result()


def _from_file(path: str) -> str:
    try:
        found = Path(path).read_text().strip()
    except UnicodeDecodeError:
        found = ""
    except OSError as error:
        raise ConfigError(f"setting: sasl_token_file: {path} can't be read: {error.strerror}") from None
    if not _is_token(found):
        raise ConfigError(f"setting: sasl_token_file: {path} holds no token")
    return found


def _is_token(text: str) -> bool:
    """Return whether a text can be sent as a token. To Kafka, control characters separate the token from other data."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


async def _ask(connection: Connection) -> _Answer:
    import aiohttp

    url = connection.sasl_token_url
    form = {"grant_type": "client_credentials"}
    if connection.sasl_scope:
        form["scope"] = connection.sasl_scope
    who = aiohttp.BasicAuth(connection.sasl_username, connection.password(), "utf-8")
    limit = aiohttp.ClientTimeout(total=ENDPOINT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, trust_env=True) as session,
            # No redirects: the secret must go only to the address in the settings.
            session.post(url, data=form, auth=who, allow_redirects=False) as response,
        ):
            body, status = b"", response.status
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > ANSWER_BYTES:
                    break
    except TimeoutError:
        raise AccessError(f"no token from {url}: no answer in {ENDPOINT_SECONDS:g} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise AccessError(f"no token from {url}: {one_line(str(error) or type(error).__name__)}") from None
    try:
        answer = msgspec.json.decode(body, type=_Answer, strict=False)
    except msgspec.MsgspecError:
        answer = _Answer()
    if status != 200 or answer.error or not _is_token(answer.access_token):
        said = ": ".join(filter(None, (answer.error, answer.error_description))) or f"HTTP status {status}, no token"
        raise AccessError(
            f"no token from {url} for client {connection.sasl_username}: {one_line(said)}; check sasl_username, "
            "sasl_password and sasl_scope"
        )
    return answer
