"""The description of the API, and every path asked what it allows, by schemathesis, on a real Kafka."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.routing import Route

from tests.api.asking import app, client
from tests.recent.made import Told, bar
from tests.recent.published import made_topics
from tickertape.stream.api.openapi import description
from tickertape.stream.api.pipeline import Pipeline
from tickertape.stream.api.routes import Api
from tickertape.stream.recent.history import History


def whole(second: int) -> dict[str, Any]:
    """Return a bar with all its fields."""
    prices = dict.fromkeys(("open", "high", "low", "notional", "vwap", "buy_volume", "largest"), 1.5)
    others = {"open_ms": 1, "close_ms": 2, "buy_share": None, "realised_volatility": 0.0, "missing": 0}
    return bar("A", second, 1.0, 1, incomplete=False, **prices, **others)


@pytest.fixture(scope="module")
def schema() -> Iterator[Any]:
    with made_topics() as made:
        told = Told(broker=made.broker, console_requests=1e6, console_sql=True)
        told.rounds([whole(second) for second in range(3)])
        # A stream then ends after its beginning.
        told.recent.end()
        yield schemathesis.openapi.from_asgi("/api/v1/openapi.json", app(told), headers={"Host": "127.0.0.1"})


api = schemathesis.pytest.from_fixture("schema")


@pytest.mark.kafka
@pytest.mark.slow
@api.parametrize()
@settings(max_examples=25, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_path_answers_as_it_says(case: Any) -> None:
    # Whether a kind or a resolution exists depends on the topic, which a description can't say.
    case.call_and_validate(headers={"Host": "127.0.0.1"}, excluded_checks=[positive_data_acceptance])


def test_the_description_names_every_path_and_every_result() -> None:
    told = Told()
    api = Api(told.recent, History(told.settings), Pipeline(told.settings, [], told.recent), {"version": "1"})
    paths = {route.path for route in api.routes if isinstance(route, Route)}
    found = description(told.recent.sinks, "1")
    assert found["paths"].keys() == paths
    schemas = found["components"]["schemas"]
    assert {"Bar", "QuoteBar", "Rsi", "Chatter", "Signal", "Error"} <= schemas.keys()
    assert schemas["Bar"]["properties"]["corrected"] == {"type": "boolean", "default": False}
    assert "corrected" not in schemas["Bar"]["required"]
    with client(told) as asking:
        assert asking.get("/api/v1/openapi.json").json()["paths"].keys() == paths
