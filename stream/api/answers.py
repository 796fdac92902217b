"""Answers as JSON, and refusals as one clear line."""

from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from tickertape.stream.errors import BrokerError

JSON = "application/json"
encode = msgspec.json.Encoder().encode


class Refused(Exception):  # noqa: N818 - an answer to the client, not a fault of the program
    """A request that isn't done.

    Parameters
    ----------
    status
        The status of HTTP.
    line
        What is wrong and what to do, in one line.
    headers
        Further headers of the answer.
    """

    def __init__(self, status: int, line: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(line)
        self.status = status
        self.headers = headers or {}


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a value as JSON."""
    return Response(encode(value), status, headers, JSON)


def refusal(refused: Refused) -> Response:
    return answer({"error": str(refused)}, refused.status, refused.headers)


async def on_refused(asked: HTTPConnection, error: Exception) -> Response | None:
    """Answer with the line of a `Refused`."""
    assert isinstance(error, Refused)
    return await _told(asked, refusal(error))


async def on_http_error(asked: HTTPConnection, error: Exception) -> Response | None:
    """Answer what Starlette itself refuses, such as an unknown path, in the same form."""
    assert isinstance(error, HTTPException)
    line = _LINES.get(error.status_code, error.detail)
    return await _told(asked, answer({"error": line}, error.status_code, dict(error.headers or {})))


async def on_broker_error(asked: HTTPConnection, error: Exception) -> Response | None:
    """Answer that Kafka can't be read, which may pass."""
    return await _told(asked, refusal(Refused(503, str(error), {"Retry-After": "5"})))


async def _told(asked: HTTPConnection, response: Response) -> Response | None:
    """Return the response to a request; to a socket that isn't accepted yet, send it."""
    if not isinstance(asked, WebSocket):
        return response
    await asked.send_denial_response(response)
    return None


async def deny(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    """Answer a request, or a socket that isn't accepted yet, with a response."""
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)


_LINES = {
    404: "there is nothing at this path: GET /api/v1/openapi.json lists what there is",
    405: "this path doesn't take that method: GET /api/v1/openapi.json lists what it takes",
}

#: What answers to the errors of routes.
HANDLERS: dict[Any, Any] = {Refused: on_refused, HTTPException: on_http_error, BrokerError: on_broker_error}
