"""The paths under ``/api/v1`` that are answered at once."""

import asyncio
from collections.abc import Sequence
from itertools import dropwhile, islice
from typing import Any

from msgspec import structs
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from tickertape.schemas.topics import HOUR_MS
from tickertape.stream.api.answers import JSON, Refused, answer
from tickertape.stream.api.asked import (
    MOST_RESULTS,
    Range,
    check_names,
    one_in,
    position_in,
    range_in,
    selection_in,
    sink_at,
)
from tickertape.stream.api.following import Following, as_events, as_message
from tickertape.stream.api.following import Form as StreamForm
from tickertape.stream.api.formats import Form, form_in, written
from tickertape.stream.api.live import Live
from tickertape.stream.api.openapi import ROOT, SHORT, description
from tickertape.stream.api.pipeline import Pipeline
from tickertape.stream.api.sql import Sql
from tickertape.stream.api.streams import EventStream, serve_socket
from tickertape.stream.recent.held import Held
from tickertape.stream.recent.history import Gone, History, TooMuch
from tickertape.stream.recent.recent import Recent, in_order
from tickertape.stream.recent.selection import Selection
from tickertape.stream.recent.sinks import Sink

FILTERS = ("symbol", "source", "resolution", "kind", "finals")
CATCH_UP_SECONDS = 10.0
RETRY = {"Retry-After": "5"}
RANGE = ("from", "to", "as_of", "limit", "next")


class Api:
    """The paths of the API.

    Parameters
    ----------
    recent, history
        The results: those in memory, and older ones.
    pipeline
        The state of the pipeline.
    hello
        What the page's socket is told first: ``version``, and whether this is the ``demo``.
    sql
        What answers SQL; None: nothing does.
    """

    def __init__(
        self, recent: Recent, history: History, pipeline: Pipeline, hello: dict[str, Any], sql: Sql | None = None
    ) -> None:
        self._recent = recent
        self._history = history
        self._pipeline = pipeline
        self._hello = hello
        self._sql = sql

    @property
    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route(f"{ROOT}/topics", self.topics),
            Route(f"{ROOT}/symbols", self.symbols),
            Route(f"{ROOT}/results/{{topic}}", self.results),
            *(Route(f"{ROOT}/{topic}", self.results) for topic in SHORT if topic in self._recent.sinks),
            Route(f"{ROOT}/latest/{{topic}}", self.latest),
            Route(f"{ROOT}/stream/{{topic}}", self.events),
            WebSocketRoute(f"{ROOT}/stream/{{topic}}", self.changes),
            Route(f"{ROOT}/sql", self.sql, methods=["POST"]),
            Route(f"{ROOT}/pipeline", self.pipeline),
            Route(f"{ROOT}/openapi.json", self.openapi),
            WebSocketRoute(f"{ROOT}/live", self.live),
        ]

    async def topics(self, request: Request) -> Response:
        """List the outputs: topic, kind, resolutions and fields."""
        check_names(request.query_params, ())
        return answer(
            [
                {
                    "topic": sink.topic,
                    "kind": name,
                    "resolutions": kind.resolutions,
                    "key": ["symbol", "source", "resolution", "start_ms", *([kind.named] if kind.named else [])],
                    "meaning": kind.meaning,
                    "fields": [structs.asdict(field) for field in kind.fields],
                }
                for sink in self._recent.sinks.values()
                for name, kind in sink.kinds.items()
            ]
        )

    async def symbols(self, request: Request) -> Response:
        """List the symbols that have recent results, with their sources and topics."""
        check_names(request.query_params, ())
        found: dict[str, tuple[set[str], set[str]]] = {}
        for topic, series in self._recent.series:
            sources, topics = found.setdefault(series.symbol, (set(), set()))
            sources.add(series.source)
            topics.add(topic)
        return answer(
            [
                {"symbol": symbol, "sources": sorted(sources), "topics": sorted(topics)}
                for symbol, (sources, topics) in sorted(found.items())
            ]
        )

    async def results(self, request: Request) -> Response:
        """Return results of a topic: from memory as far as it reaches, and from the topic beyond."""
        query, (sink, selection, form) = request.query_params, self._asked(request, RANGE)
        asked = range_in(query)
        begins = self._recent.complete_from_ms(sink.topic, selection)
        if asked.as_of_ms is not None or (asked.from_ms is not None and asked.from_ms < begins):
            # Without a begin, what was known at a time are the newest of the hour before.
            from_ms = (asked.as_of_ms or 0) - HOUR_MS if asked.from_ms is None else asked.from_ms
            found = sorted(
                await self._older(sink, selection, max(from_ms, 0), asked.to_ms, asked.as_of_ms), key=in_order
            )
            if asked.from_ms is None:
                found = found[-asked.limit :]
        elif asked.from_ms is None:
            newest = self._recent.between(sink.topic, selection, 0, asked.to_ms, newest_first=True)
            found = list(islice(newest, asked.limit))[::-1]
        else:
            held = self._recent.between(sink.topic, selection, asked.from_ms, asked.to_ms)
            found = list(islice(dropwhile(lambda one: _is_before(one, asked), held), asked.limit + 1))
        found = [one for one in found if not _is_before(one, asked)]
        following = None
        if asked.from_ms is not None and len(found) > asked.limit:
            found = found[: asked.limit]
            following = "|".join(map(str, (found[-1].start_ms, *found[-1].series)))
        return _page(form, sink, found, following, request)

    async def latest(self, request: Request) -> Response:
        """Return the newest result of each series of a topic."""
        sink, selection, form = self._asked(request, ())
        return _page(form, sink, self._recent.newest(sink.topic, selection)[:MOST_RESULTS], None, request)

    async def events(self, request: Request) -> Response:
        """Send a topic's changes as server-sent events."""
        parts = (await self._following(request, as_events)).parts()
        try:
            return EventStream(await anext(parts), parts)
        except Gone as gone:
            raise Refused(410, str(gone)) from None
        except TooMuch as too_much:
            raise Refused(503, str(too_much), RETRY) from None

    async def changes(self, socket: WebSocket) -> None:
        """Send a topic's changes through a socket."""
        await serve_socket(socket, await self._following(socket, as_message))

    async def _following(self, request: HTTPConnection, form: StreamForm) -> Following:
        query = request.query_params
        check_names(query, (*FILTERS, "after"))
        sink = sink_at(self._recent.sinks, request.path_params["topic"])
        selection = selection_in(query, sink)
        text = one_in(query, "after")
        text = request.headers.get("last-event-id") if text is None else text
        position = position_in(text) if text else None
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                await self._recent.caught_up.wait()
        except TimeoutError:
            raise Refused(503, "the recent past is still being read: try again later", RETRY) from None
        here = self._recent.rounds[sink.topic].position
        if position is not None and any(offset > here.get(number, 0) for number, offset in position.items()):
            # A client may be ahead by a moment, but not of the topic.
            try:
                await self._history.check(sink.topic, position)
            except Gone as gone:
                raise Refused(410, str(gone)) from None
        return Following(self._recent, self._history, sink, selection, form, position)

    def _asked(self, request: Request, more: Sequence[str]) -> tuple[Sink, Selection, Form]:
        check_names(request.query_params, (*FILTERS, *more))
        sink = sink_at(self._recent.sinks, request.path_params.get("topic") or request.url.path.rpartition("/")[2])
        return sink, selection_in(request.query_params, sink), form_in(request.headers.get("accept", ""))

    async def _older(self, sink: Sink, *asked: Any) -> list[Held]:
        try:
            return await self._history.between(sink, *asked)
        except TooMuch as too_much:
            raise Refused(503, str(too_much), RETRY) from None

    async def sql(self, request: Request) -> Response:
        """Answer an SQL query."""
        check_names(request.query_params, ())
        if self._sql is None:
            raise Refused(403, "SQL is turned off here: set console_sql")
        return await self._sql.answer(request)

    async def pipeline(self, request: Request) -> Response:
        """Return the state of the pipeline."""
        check_names(request.query_params, ())
        return Response(await self._pipeline.now(), media_type=JSON)

    async def openapi(self, request: Request) -> Response:
        """Describe all paths, as OpenAPI."""
        check_names(request.query_params, ())
        return answer(description(self._recent.sinks, self._hello["version"]))

    async def live(self, socket: WebSocket) -> None:
        """Serve the page's socket."""
        await Live(socket, self._recent, self._pipeline, self._hello).run()


def _is_before(held: Held, asked: Range) -> bool:
    """Return whether an earlier answer had a result already."""
    return asked.after is not None and (held.start_ms, *held.series) <= asked.after


def _page(form: Form, sink: Sink, found: list[Held], following: str | None, request: Request) -> Response:
    headers = {"Vary": "Accept"}
    if following is not None:
        url = request.url.remove_query_params("token").include_query_params(next=following)
        headers["Link"] = f'<{url}>; rel="next"'
    return Response(written(form, sink, found, following), headers=headers, media_type=form)
