"""An HTTP server with limits, so clients that send slowly or never finish can't block it."""

import socket
import time
from contextlib import suppress
from threading import BoundedSemaphore, Lock
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client.exposition import ThreadingWSGIServer

# How long a request may take: for its next bytes, and as a whole.
WAIT_SECONDS = 5.0
WHOLE_SECONDS = 15.0
# More than a Prometheus and a few people need. A further connection is closed.
MOST_REQUESTS = 16


class Handler(WSGIRequestHandler):
    timeout = WAIT_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - it is http.server's name
        """Log nothing for a request."""


class Server(ThreadingWSGIServer):
    """Answers each request in a thread of its own, with limits on the number of requests and on their time."""

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
        """Close connections whose request takes too long; called several times per second."""
        super().service_actions()
        with self._lock:
            late = [request for request, since in self._since.items() if time.monotonic() - since > WHOLE_SECONDS]
        for request in late:
            with suppress(OSError):
                # The request's thread then reads the end of the stream, and closes the socket.
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing for a client that closed its connection."""
