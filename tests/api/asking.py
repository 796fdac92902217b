"""The API over recent results that are told by hand."""

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.applications import Starlette
from starlette.testclient import TestClient

from tests.recent.made import Told
from tickertape.stream.api.answers import HANDLERS
from tickertape.stream.api.guard import Guard
from tickertape.stream.api.pipeline import Pipeline
from tickertape.stream.api.routes import Api
from tickertape.stream.api.sql import Sql
from tickertape.stream.recent.history import History


def app(told: Told) -> Guard:
    """Return the whole application, guard included."""
    pipeline = Pipeline(told.settings, [], told.recent)
    history = History(told.settings, 5.0)
    sql = Sql(told.recent, history) if told.settings.console_sql else None
    api = Api(told.recent, history, pipeline, {"version": "1", "demo": False}, sql)
    told.recent.caught_up.set()
    return Guard(Starlette(routes=list(api.routes), exception_handlers=HANDLERS), told.settings)


@contextmanager
def client(told: Told, base_url: str = "http://127.0.0.1") -> Iterator[TestClient]:
    with TestClient(app(told), base_url=base_url, follow_redirects=False) as found:
        yield found
