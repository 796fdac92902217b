"""The paths under ``/api/v1`` that are answered at once."""

from collections.abc import Sequence
from typing import Any

from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from tickertape.stream.api.answers import JSON, answer
from tickertape.stream.api.asked import check_names, range_in, selection_in, sink_at
from tickertape.stream.api.live import Live
from tickertape.stream.api.pipeline import Pipeline
from tickertape.stream.recent.held import Held
from tickertape.stream.recent.recent import Recent

ROOT = "/api/v1"
FILTERS = ("symbol", "source", "resolution", "kind", "finals")
RANGE = ("from", "to", "as_of", "limit", "next")


class Api:
    """The paths of the API.

    Parameters
    ----------
    recent
        The results.
    pipeline
        The state of the pipeline.
    hello
        What the page's socket is told first: ``version``, and whether this is the ``demo``.
    """

    def __init__(self, recent: Recent, pipeline: Pipeline, hello: dict[str, Any]) -> None:
        self._recent = recent
        self._pipeline = pipeline
        self._hello = hello

    @property
    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route(f"{ROOT}/topics", self.topics),
            Route(f"{ROOT}/symbols", self.symbols),
            Route(f"{ROOT}/results/{{topic}}", self.results),
            Route(f"{ROOT}/pipeline", self.pipeline),
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
        """Return results of a topic."""
        query = request.query_params
        check_names(query, (*FILTERS, *RANGE))
        sink = sink_at(self._recent.sinks, request.path_params["topic"])
        selection, asked = selection_in(query, sink), range_in(query)
        found = self._recent.between(sink.topic, selection, asked.from_ms or 0, asked.to_ms)
        if asked.after is not None:
            found = [held for held in found if (held.start_ms, *held.series) > asked.after]
        if asked.from_ms is None:
            return _as_json(found[-asked.limit :], None)
        following = None
        if len(found) > asked.limit:
            found = found[: asked.limit]
            following = "|".join(map(str, (found[-1].start_ms, *found[-1].series)))
        return _as_json(found, following)

    async def pipeline(self, request: Request) -> Response:
        """Return the state of the pipeline."""
        check_names(request.query_params, ())
        return Response(await self._pipeline.now(), media_type=JSON)

    async def live(self, socket: WebSocket) -> None:
        """Serve the page's socket."""
        await Live(socket, self._recent, self._pipeline, self._hello).run()


def _as_json(found: list[Held], following: str | None) -> Response:
    results = b",".join([held.json for held in found])
    return Response(b'{"results":[%s],"next":%s}' % (results, answer(following).body), media_type=JSON)
