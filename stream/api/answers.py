"""Answers as JSON, and refusals as one clear line."""

from typing import Any

import msgspec
from starlette.requests import HTTPConnection
from starlette.responses import Response

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


async def on_refused(_: HTTPConnection, error: Exception) -> Response:
    """Answer with the line of a `Refused`."""
    assert isinstance(error, Refused)
    return refusal(error)


async def on_http_error(_: HTTPConnection, error: Exception) -> Response:
    """Answer what Starlette itself refuses, such as an unknown path, in the same form."""
    status = getattr(error, "status_code", 500)
    headers = dict(getattr(error, "headers", None) or {})
    line = {404: "there is nothing at this path: GET /api/v1/openapi.json lists what there is"}
    return answer({"error": line.get(status, str(getattr(error, "detail", error)))}, status, headers)
