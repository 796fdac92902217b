"""The description of the API as OpenAPI 3.1, made from the Structs of the results."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tickertape.schemas.topics import BARS, SIGNALS
from tickertape.stream.api.answers import JSON
from tickertape.stream.api.asked import DEFAULT_RESULTS, MOST_MS, MOST_RESULTS
from tickertape.stream.api.formats import ARROW, CSV
from tickertape.stream.api.sql import Question
from tickertape.stream.recent.sinks import Sink

ROOT = "/api/v1"
#: Topics that have a short path too.
SHORT = (BARS.name, SIGNALS.name)
_TEMPLATE = "#/components/schemas/{name}"
_ERROR = {"$ref": "#/components/schemas/Error"}
# ISO 8601 in all its forms is more than the format date-time allows.
_TIME = {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0, "maximum": MOST_MS}]}
_NAMES = {"type": "array", "items": {"type": "string", "maxLength": 200}, "maxItems": 200}
_EVENTS = "text/event-stream"
_MEANINGS = {
    400: "A parameter can't be read.",
    401: "A token is needed.",
    403: "The host or the origin isn't allowed.",
    404: "There is no such topic.",
    406: "None of the forms in Accept is one of ours.",
    410: "Kafka no longer has the records after this id.",
    413: "The request is too large.",
    415: "The body isn't JSON.",
    422: "The query takes more time or memory than it may.",
    429: "Too many requests; Retry-After says when to try again.",
    503: "Kafka can't be read, or too much is asked for.",
}
_ALWAYS = (400, 401, 403, 413, 429)


def description(sinks: Mapping[str, Sink], version: str) -> dict[str, Any]:
    """Return the description.

    Parameters
    ----------
    sinks
        The sinks whose results are served.
    version
        The version of Tickertape.
    """
    records = {topic: [kind.record for kind in sink.kinds.values()] for topic, sink in sinks.items()}
    every = [record for some in records.values() for record in some]
    schemas, components = msgspec.json.schema_components(every, ref_template=_TEMPLATE)
    of = dict(zip(every, schemas, strict=True))
    result = {"anyOf": [of[record] for record in every]}
    page = {
        "type": "object",
        "required": ["results", "next"],
        "properties": {
            "results": {"type": "array", "items": result},
            "next": {"type": ["string", "null"], "description": "What to ask for as `next` to go on."},
        },
    }
    short = {
        f"{ROOT}/{topic}": _get(
            f"Results of {topic}: the same as {ROOT}/results/{topic}.",
            [*_filters(sinks, topic), *_RANGE],
            _forms(page),
            (406, 503),
        )
        for topic in SHORT
        if topic in sinks
    }
    named = _topic(sinks)
    paths = {
        f"{ROOT}/topics": _get("The outputs: topic, kind, resolutions, fields.", [], _json(_LIST)),
        f"{ROOT}/symbols": _get("The symbols with recent results.", [], _json(_LIST)),
        f"{ROOT}/results/{{topic}}": _get(
            "Results of a topic. With `from`, the first ones from then on, and `next` to go on; without, the newest.",
            [named, *_filters(sinks), *_RANGE],
            _forms(page),
            (404, 406, 503),
        ),
        **short,
        f"{ROOT}/latest/{{topic}}": _get(
            "The newest result of each series.", [named, *_filters(sinks)], _forms(page), (404, 406)
        ),
        f"{ROOT}/stream/{{topic}}": _get(
            "Each change of a result, as server-sent events; through a WebSocket, the same path sends messages.",
            [named, *_filters(sinks), _AFTER],
            {_EVENTS: {"schema": {"type": "string"}}},
            (404, 410, 503),
        ),
        f"{ROOT}/sql": {"post": _SQL},
        f"{ROOT}/pipeline": _get("Workers, partitions, lag and memory.", [], _json({"type": "object"})),
        f"{ROOT}/openapi.json": _get("This description.", [], _json({"type": "object"})),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tickertape", "version": version, "description": "Results of a pipeline: see docs/api.md."},
        "paths": paths,
        "components": {
            "schemas": components
            | {"Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _get(summary: str, parameters: list[Any], content: Any, refusals: tuple[int, ...] = ()) -> dict[str, Any]:
    return {"get": {"summary": summary, "parameters": parameters, "responses": _answers(content, refusals)}}


def _answers(content: Any, refusals: tuple[int, ...]) -> dict[str, Any]:
    answers = {"200": {"description": "What was asked for.", "content": content}}
    for status in sorted({*_ALWAYS, *refusals}):
        answers[str(status)] = {"description": _MEANINGS[status], "content": _json(_ERROR)}
    return answers


def _json(schema: Any) -> dict[str, Any]:
    return {JSON: {"schema": schema}}


def _forms(page: Any) -> dict[str, Any]:
    return {
        **_json(page),
        CSV: {"schema": {"type": "string"}},
        ARROW: {"schema": {"type": "string", "format": "binary"}},
    }


def _topic(sinks: Mapping[str, Sink]) -> dict[str, Any]:
    return {"name": "topic", "in": "path", "required": True, "schema": {"enum": sorted(sinks)}}


def _filters(sinks: Mapping[str, Sink], topic: str | None = None) -> list[dict[str, Any]]:
    kinds = [kind for name, sink in sinks.items() if topic in (None, name) for kind in sink.kinds.values()]
    widths = list(dict.fromkeys(name for kind in kinds for name in kind.resolutions))
    return [
        _query("symbol", _NAMES, "Only these symbols."),
        _query("source", _NAMES, "Only these sources; by default `all`, the results over all sources together."),
        _query("resolution", {"type": "array", "items": {"enum": widths}}, "Only these widths of windows."),
        _query("kind", _NAMES, "Only these kinds; of signals, these rules."),
        _query("finals", {"type": "boolean"}, "true: only final results."),
    ]


def _query(name: str, schema: Any, meaning: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": meaning}


_LIST = {"type": "array", "items": {"type": "object"}}
_RANGE = [
    _query("from", _TIME, "Windows that begin at this time or later: ISO 8601, or ms since 1970."),
    _query("to", _TIME, "Windows that begin before this time."),
    _query("as_of", _TIME, "What was known at this time, by the broker's clock."),
    _query(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MOST_RESULTS, "default": DEFAULT_RESULTS},
        "The most results.",
    ),
    _query("next", {"type": "string"}, "Go on after an earlier answer, with its `next`."),
]
_AFTER = _query(
    "after", {"type": "string", "pattern": r"^([0-9]+:[0-9]+(,[0-9]+:[0-9]+)*)?$"}, "Go on after this event's id."
)
_SQL = {
    "summary": "The rows of an SQL query over results. It is off unless the setting `console_sql` allows it.",
    "requestBody": {"required": True, "content": _json(msgspec.json.schema(Question))},
    "responses": _answers(
        _forms(
            {
                "type": "object",
                "required": ["rows", "is_cut"],
                "properties": {
                    "rows": {"type": "array", "items": {"type": "object"}},
                    "is_cut": {"type": "boolean", "description": "True if there would have been more rows."},
                },
            }
        ),
        (406, 415, 422, 503),
    ),
}
