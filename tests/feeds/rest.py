"""A server on this machine that answers requests for lists, or misbehaves."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Answer = bytes | Callable[[BaseHTTPRequestHandler], None]


class Rest:
    """A server that gives its answers one after the other; the last one again and again.

    Attributes
    ----------
    url
        The address of its list.
    answers
        A body, or what writes an answer.
    asked
        The path of each request.
    """

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[str] = []
        rest = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                rest.asked.append(self.path)
                answer = rest.answers.pop(0) if len(rest.answers) > 1 else rest.answers[0]
                with suppress(ConnectionError):
                    if callable(answer):
                        answer(self)
                        return
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/list"

    @contextmanager
    def open(self) -> Iterator[None]:
        thread = Thread(target=self.server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            self.server.shutdown()
            thread.join()
            self.server.server_close()


def refuses(status: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return answer


def products(*names: str, **more: Any) -> bytes:
    """Return Coinbase Exchange's list of these products."""
    entries = []
    for name in names:
        base, _, quote = name.partition("-")
        entries.append({"id": name, "base_currency": base, "quote_currency": quote, "status": "online", **more})
    return json.dumps(entries).encode()
