"""Servers that channels send to, which fail when they are told to: HTTP, and SMTP."""

import json
import socketserver
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

#: What a server does with a request: answers with a status, with a status and headers, or never.
STALL, DROP = "stall", "drop"


class Request(NamedTuple):
    """A request that was received, whatever the answer was."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Web:
    """An HTTP server.

    Parameters
    ----------
    answers
        For each request in turn: a status, or a status with headers, or `STALL`, or `DROP`. After these 200.
    body
        The body of each answer.
    """

    def __init__(self, answers: Sequence[Any] = (), body: str = "{}") -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.accepted: list[Request] = []
        self.times: list[float] = []
        self.body = body
        self._lock = threading.Lock()
        self.over = threading.Event()
        self.url = ""

    def answer(self, request: Request) -> tuple[Any, dict[str, str]]:
        with self._lock:
            self.requests.append(request)
            self.times.append(time.monotonic())
            answer = self.answers.pop(0) if self.answers else 200
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            if status == 200:
                self.accepted.append(request)
        return status, headers


@contextmanager
def web(*answers: Any, body: str = "{}") -> Iterator[Web]:
    """Run an HTTP server."""
    state = Web(answers, body)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            read = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers = state.answer(Request(self.path, dict(self.headers.items()), read))
            if status == STALL:
                state.over.wait()
            if status in (STALL, DROP):
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(state.body.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield state
    finally:
        state.over.set()
        server.shutdown()
        server.server_close()


class Post:
    """An SMTP server.

    Parameters
    ----------
    answers
        What it answers to the data of each mail in turn: ``451 later``, or `DROP` after it has taken the mail. After
        these 250.
    """

    def __init__(self, answers: Sequence[str] = ()) -> None:
        self.answers = list(answers)
        self.mails: list[bytes] = []
        self.commands: list[str] = []
        self.port = 0


@contextmanager
def post(*answers: str) -> Iterator[Post]:
    """Run an SMTP server."""
    state = Post(answers)

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(line.encode() + b"\r\n")

        def handle(self) -> None:
            self.say("220 here")
            while line := self.rfile.readline().decode().strip():
                state.commands.append(line)
                word = line.split()[0].upper()
                if word == "EHLO":
                    self.say("250-here\r\n250 AUTH PLAIN")
                elif word == "DATA":
                    self.say("354 go on")
                    if not self.data():
                        return
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("235 welcome" if word == "AUTH" else "250 ok")

        def data(self) -> bool:
            lines: list[bytes] = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line)
            answer = state.answers.pop(0) if state.answers else "250 taken"
            if answer == DROP or answer.startswith("250"):
                state.mails.append(b"".join(lines))
            if answer != DROP:
                self.say(answer)
            return answer != DROP

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield state
        finally:
            server.shutdown()
