"""SQL over recent results: one query, read only, in a process of its own, with bounds on time, memory and rows."""

import asyncio
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Annotated, Any

import msgspec
import pyarrow as pa
from msgspec import Meta, Struct, field
from starlette.requests import Request
from starlette.responses import Response

from tickertape.stream.api.answers import JSON, Refused
from tickertape.stream.api.asked import MOST_MS, time_of
from tickertape.stream.api.formats import ARROW, Form, arrow, as_table, form_in, in_csv
from tickertape.stream.errors import ConfigError, InputError
from tickertape.stream.recent.history import History, TooMuch
from tickertape.stream.recent.recent import Recent
from tickertape.stream.recent.selection import Selection
from tickertape.stream.recent.sinks import Sink
from tickertape.stream.sql.question import Answer, Bounds, answer, check

SECONDS, MIB = 10.0, 256
# How many queries run at once, of all clients.
MOST_QUERIES = 2
# The results that the tables of a query may have, together.
MOST_RESULTS = 200_000
RETRY = {"Retry-After": "2"}
_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


class Question(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request.

    Attributes
    ----------
    sql
        The query.
    since
        Only results whose windows begin at this time or later: ISO 8601, or ms since 1970. Null: those in memory.
    finals
        True for final results only.
    rows
        The most rows.
    """

    sql: Annotated[str, Meta(min_length=1, max_length=20_000)]
    since: Annotated[str, Meta(max_length=40)] | Annotated[int, Meta(ge=0, le=MOST_MS)] | None = field(
        default=None, name="from"
    )
    finals: bool = False
    rows: Annotated[int, Meta(ge=1, le=10_000)] = 1000


class Sql:
    """Answers queries, one of each client at a time.

    Parameters
    ----------
    recent, history
        The results: those in memory, and older ones.

    Raises
    ------
    ConfigError
        DuckDB isn't installed.
    """

    def __init__(self, recent: Recent, history: History) -> None:
        check()
        self._recent, self._history = recent, history
        self._topics = {topic.replace("-", "_"): sink for topic, sink in recent.sinks.items()}
        self._busy: set[str] = set()

    async def answer(self, request: Request) -> Response:
        """Return the rows of a query.

        Raises
        ------
        Refused
            The query is wrong, takes too much, or isn't the client's only one.
        """
        form = form_in(request.headers.get("accept", ""))
        question = _question(request.headers.get("content-type", ""), await request.body())
        client = request.client.host if request.client else ""
        if client in self._busy:
            raise Refused(429, "your last query still runs: ask one at a time", RETRY)
        if len(self._busy) >= MOST_QUERIES:
            raise Refused(503, "too many queries run at the moment: try again later", RETRY)
        self._busy.add(client)
        try:
            found = await self._answer(question)
        except ConfigError as error:
            raise Refused(400, str(error)) from None
        except InputError as error:
            raise Refused(422, str(error)) from None
        except TooMuch as error:
            raise Refused(503, str(error), RETRY) from None
        finally:
            self._busy.discard(client)
        headers = {"Vary": "Accept", "Tickertape-Is-Cut": "true" if found.is_cut else "false"}
        return Response(await asyncio.to_thread(_written, form, found), headers=headers, media_type=form)

    async def _answer(self, question: Question) -> Answer:
        loop = asyncio.get_running_loop()
        since_ms = None if question.since is None else time_of(str(question.since), "from")

        def tables(names: Collection[str]) -> Mapping[str, pa.Table]:
            wanted = [name for name in self._topics if name in names]
            # What is in memory is changed by the event loop, so it is read there.
            held = asyncio.run_coroutine_threadsafe(self._held(wanted, since_ms, question.finals), loop).result()
            return {name: as_table(sink, held.get(name, ())) for name, sink in self._topics.items()}

        bounds = Bounds(seconds=SECONDS, mib=MIB, rows=question.rows)
        return await asyncio.to_thread(answer, question.sql, tables, bounds)

    async def _held(self, names: Collection[str], since_ms: int | None, finals: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        left = MOST_RESULTS
        for name in names:
            found[name] = await self._of(self._topics[name], since_ms, Selection(sources=None, finals=finals), left)
            left -= len(found[name])
            if left < 0:
                raise InputError(f"the query reads more than {MOST_RESULTS:,} results: give a later `from`")
        return found

    async def _of(self, sink: Sink, since_ms: int | None, selection: Selection, most: int) -> list[Any]:
        begins = self._recent.complete_from_ms(sink.topic, selection)
        if since_ms is not None and since_ms < begins:
            return await self._history.between(sink, selection, since_ms, MOST_MS)
        return list(islice(self._recent.between(sink.topic, selection, since_ms or 0, MOST_MS), most + 1))


def _question(content_type: str, body: bytes) -> Question:
    if content_type.partition(";")[0].strip().lower() != JSON:
        raise Refused(415, f"the body has to be {JSON}")
    try:
        return msgspec.json.decode(body, type=Question)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(400, f"the body can't be read: {error}") from None


def _written(form: Form, found: Answer) -> bytes:
    if form == ARROW:
        return arrow(found.table)
    if form == JSON:
        return _encode({"rows": found.table.to_pylist(), "is_cut": found.is_cut})
    columns = [column.to_pylist() for column in found.table.columns]
    return in_csv(found.table.column_names, zip(*columns, strict=True)).encode(errors="replace")
