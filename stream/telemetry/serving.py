"""The server of ``/metrics``, with limits, so clients that send slowly or never finish can't block it."""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore, Lock, Thread
from typing import Any, TypeAlias
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError

PATH = "/metrics"
# How often the server checks whether it must end.
_POLL_SECONDS = 0.1
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


#: Returns the contents of a page; its argument is the host and port that the client asked.
Page: TypeAlias = Callable[[str], bytes]


@contextmanager
def served(settings: Settings, registry: CollectorRegistry, pages: Mapping[str, Page] | None = None) -> Iterator[str]:
    """Serve metrics over HTTP while the ``with`` block runs.

    Parameters
    ----------
    settings
        The settings; ``metrics_port`` and ``metrics_host`` are used.
    registry
        The metrics to serve.
    pages
        Further pages of JSON, by path; None for none.

    Yields
    ------
    str
        The address, ``http://127.0.0.1:9108``; empty if the settings turn metrics off.

    Raises
    ------
    ConfigError
        The server can't listen at this host and port.
    """
    if settings.metrics_port < 0:
        yield ""
        return
    show, other = make_wsgi_app(registry), pages or {}

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        page = other.get(environ["PATH_INFO"])
        if page is None:
            return show(environ, start_response)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [page(environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}")]

    host, port = settings.metrics_host, settings.metrics_port
    try:
        server = make_server(host, port, answer, Server, Handler)
    except OSError as error:
        raise ConfigError(
            f"metrics can't be served at {host}:{port} ({error.strerror}): set TICKERTAPE_METRICS_PORT to another "
            "port, to 0 for a free one, or to -1 for none"
        ) from None
    with server:
        Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="metrics", daemon=True).start()
        try:
            yield f"http://{host}:{server.server_port}"
        finally:
            server.shutdown()


def reserve(host: str, port: int = 0) -> socket.socket:
    """Reserve a port for another process; by default, a free one.

    On Linux, no process is given this port by chance, but a process that asks for it by number can listen there: two
    sockets may share an address while neither listens.

    Raises
    ------
    OSError
        The port is taken, or the host can't be used.
    """
    held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind((host, port))
    except OSError:
        held.close()
        raise
    return held
