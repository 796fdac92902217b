"""An HTTP server for pages of our own, which whoever asks slowly, or never to the end, can't keep busy."""

import socket
import time
from contextlib import suppress
from threading import BoundedSemaphore, Lock
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client.exposition import ThreadingWSGIServer

# Of one that asks: for the next bytes, and for all of it.
WAIT_SECONDS = 5.0
WHOLE_SECONDS = 15.0
# More than a Prometheus and those who look need; one more is hung up on.
MOST_REQUESTS = 16


class Handler(WSGIRequestHandler):
    timeout = WAIT_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - it is http.server's name
        """Say nothing: a scrape is no news."""


class Server(ThreadingWSGIServer):
    """Answers each request in a thread; so many at once, and none for longer than it may take."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._room = BoundedSemaphore(MOST_REQUESTS)
        self._lock = Lock()
        self._since: dict[Any, float] = {}
        super().__init__(*args, **options)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        with self._lock:
            self._since[request] = time.monotonic()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._since.pop(request, None)
            self._room.release()

    def service_actions(self) -> None:
        """Hang up on those who have taken too long; called several times a second."""
        super().service_actions()
        with self._lock:
            late = [request for request, since in self._since.items() if time.monotonic() - since > WHOLE_SECONDS]
        for request in late:
            with suppress(OSError):
                # Its thread finds the end of the line; the socket is its own to close.
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: who hung up has no answer, and that is no news."""
