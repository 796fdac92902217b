"""Serve the API, and what else is added to it, inside an event loop."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from tickertape.schemas.topics import SLICES
from tickertape.stream.api.answers import HANDLERS
from tickertape.stream.api.guard import Guard, check_reach
from tickertape.stream.api.pipeline import Pipeline
from tickertape.stream.api.routes import Api
from tickertape.stream.api.sql import Sql
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.define.discovery import configured
from tickertape.stream.errors import ConfigError, TickertapeError
from tickertape.stream.recent.columns import Column, load
from tickertape.stream.recent.history import History
from tickertape.stream.recent.recent import Recent
from tickertape.stream.recent.sinks import sinks_of
from tickertape.stream.watch.worker_numbers import WorkerNumbers

# How long streams may go on when the server is told to end.
_END_SECONDS = 2
# A client that acknowledges nothing for so long is gone: the kernel ends the connection.
_GONE_MS = 30_000
_MOST_MESSAGE_BYTES = 1 << 16
# Connections that wait to be accepted.
_BACKLOG = 2048


class Console:
    """The API for one pipeline, with its readers.

    Parameters
    ----------
    settings
        The settings, with a broker.
    routes
        Further routes of the application, such as those of the page.
    demo
        True where the demo runs: the page then shows the demo's buttons.
    worker_numbers
        See `Pipeline`. None: those at ``console_metrics``.

    Attributes
    ----------
    app
        The ASGI application. It answers while `run` runs.
    recent, pipeline
        What it answers from.

    Raises
    ------
    ConfigError
        The agents or the columns can't be loaded, or others could reach it without a token.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        routes: Sequence[BaseRoute] = (),
        demo: bool = False,
        worker_numbers: Callable[[], Mapping[str, Mapping[str, float]]] | None = None,
    ) -> None:
        self._settings = settings
        self.recent = Recent(settings, sinks_of(settings), _columns(settings))
        read = [*(slicing.topic for slicing in configured(settings).slicings), SLICES]
        if worker_numbers is None and settings.console_metrics:
            worker_numbers = WorkerNumbers(f"http://{settings.console_metrics}/sd")
        self.pipeline = Pipeline(settings, read, self.recent, worker_numbers or dict)
        history = History(settings)
        hello = {"version": version("tickertape"), "demo": demo}
        sql = Sql(self.recent, history) if settings.console_sql else None
        api = Api(self.recent, history, self.pipeline, hello, sql)
        check_reach(settings)
        app = Starlette(
            routes=[*api.routes, *routes],
            exception_handlers=HANDLERS,
        )
        self.app = Guard(app, settings)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """While the block runs, serve the application; yields its address, ``http://127.0.0.1:8080``.

        Raises
        ------
        ConfigError
            The address can't be used, or the certificate can't be read.
        BrokerError
            Kafka can't be reached, or denies access. It ends the block.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                readers = [tasks.create_task(one) for one in (self.recent.run(), self.pipeline.run())]
                try:
                    # Who follows a topic goes on from where reading begins, so that has to be known.
                    begun = self.recent.begun.wait
                    async with served(self.app, self._settings, self.recent.end, begun) as address:
                        yield address
                finally:
                    for reader in readers:
                        reader.cancel()
        except BaseExceptionGroup as errors:
            # One line says what is wrong, so one error is what is raised.
            raise _first(errors.subgroup(TickertapeError) or errors) from None


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


@asynccontextmanager
async def served(
    app: ASGIApp, settings: Settings, end: Callable[[], None], ready: Callable[[], Awaitable[object]] | None = None
) -> AsyncIterator[str]:
    """While the block runs, serve an application; yields its address.

    Parameters
    ----------
    app
        The application.
    settings
        ``console_host``, ``console_port``, ``console_certificate`` and ``console_key``.
    end
        Called at the end of the block, to end what would go on for ever.
    ready
        Awaited before the first answer; None: it is ready.

    Raises
    ------
    ConfigError
        The address can't be used, or the certificate can't be read.
    """
    server = _Server(_config(app, settings))
    with _listening(settings) as listening:
        host, port = listening.getsockname()[:2]
        if ready is not None:
            await ready()
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield f"{'https' if settings.console_certificate else 'http'}://{_shown(host)}:{port}"
        finally:
            end()
            server.should_exit = True
            await asyncio.wait([serving])


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the command that serves."""
        yield


def _columns(settings: Settings) -> list[Column]:
    if settings.console_columns:
        return load(Path(settings.console_columns))
    with as_file(files("tickertape").joinpath("stream", "console", "columns.toml")) as path:
        return load(path)


def _listening(settings: Settings) -> socket.socket:
    host, port = settings.console_host, settings.console_port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Connections inherit it.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _GONE_MS)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"the page can't be served at {host}:{port}: {os.strerror(error.errno) if error.errno else error}: set "
            "console_host and console_port"
        ) from None
    listening.setblocking(False)
    return listening


def _config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http="h11",
        ws="websockets-sansio",
        ws_max_size=_MOST_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        lifespan="off",
        backlog=_BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_END_SECONDS,
        ssl_certfile=settings.console_certificate or None,
        ssl_keyfile=settings.console_key or None,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"console_certificate or console_key can't be read: {error}") from None
    return config


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
