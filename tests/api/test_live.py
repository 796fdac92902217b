"""The page's socket: a snapshot, then changes in sequence; merged for a client that is slow."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient, WebSocketTestSession

from tests.recent.made import T0, Told, bar
from tickertape.stream.api.live import MOST_WATCHES, Asked, WatchedBoard, WatchedResults
from tickertape.stream.api.pipeline import Pipeline
from tickertape.stream.api.routes import Api
from tickertape.stream.recent.history import History


@contextmanager
def socket(told: Told) -> Iterator[WebSocketTestSession]:
    pipeline = Pipeline(told.settings, [], told.recent)
    app = Starlette(routes=Api(told.recent, History(told.settings), pipeline, {"version": "1", "demo": False}).routes)
    with TestClient(app) as client, client.websocket_connect("/api/v1/live") as live:
        assert live.portal is not None
        hello = live.receive_json()["hello"]
        assert (hello["version"], hello["demo"]) == ("1", False)
        yield live


def tell(live: WebSocketTestSession, told: Told, *values: dict[str, Any]) -> None:
    live.portal.call(told.round, *values)


def closes(message: dict[str, Any], what: str) -> list[tuple[str, float]]:
    return [(one["symbol"], one["close"]) for one in message[what]["results"]]


def test_results_come_as_a_snapshot_and_then_as_changes_in_sequence() -> None:
    told = Told()
    told.rounds([bar("A", second, float(second), 1) for second in range(5)], [bar("B", 0, 50.0, 1)])
    with socket(told) as live:
        live.send_json({"id": 7, "watch": "results", "topic": "bars", "symbol": "A", "resolution": "1s", "last": 2})
        first = live.receive_json()
        assert (first["id"], first["seq"], closes(first, "snapshot")) == (7, 1, [("A", 3.0), ("A", 4.0)])
        tell(live, told, bar("B", 1, 51.0, 1))
        tell(live, told, bar("A", 4, 4.5, 2), bar("A", 5, 5.0, 1))
        second = live.receive_json()
        assert (second["seq"], closes(second, "delta")) == (2, [("A", 4.5), ("A", 5.0)])


def test_a_corrected_final_says_so() -> None:
    told = Told()
    told.rounds([bar("A", 0, 1.0, 3, final=True)])
    with socket(told) as live:
        live.send_json({"id": 1, "watch": "results", "topic": "bars", "symbol": "A"})
        (before,) = live.receive_json()["snapshot"]["results"]
        assert "corrected" not in before
        tell(live, told, bar("A", 0, 2.0, 4, final=True))
        (after,) = live.receive_json()["delta"]["results"]
        assert (after["close"], after["final"], after["revision"], after["corrected"]) == (2.0, True, 4, True)


def test_the_board_comes_too_and_ends_when_it_is_told_to() -> None:
    told = Told()
    told.rounds([bar("A", 0, 1.0, 1)])
    with socket(told) as live:
        live.send_json({"id": 1, "watch": "board"})
        assert live.receive_json()["snapshot"]["symbols"] == ["A"]
        tell(live, told, bar("A", 0, 2.0, 2))
        assert live.receive_json()["delta"]["values"]["last"] == [2.0]
        live.send_json({"id": 1, "end": True})
        live.send_json({"id": 2, "watch": "results", "topic": "bars"})
        assert live.receive_json()["id"] == 2
        tell(live, told, bar("A", 0, 3.0, 3))
        assert live.receive_json()["id"] == 2


@pytest.mark.parametrize(
    ("message", "of", "line"),
    [
        ({"id": 3, "watch": "results", "topic": "nope"}, 3, "no results are published to 'nope'"),
        ({"id": 3, "watch": "results", "topic": "bars", "resolution": "9s"}, 3, "bars has no resolution '9s'"),
        ({"id": 3, "watch": "results", "topic": "bars", "last": 0}, 3, "last must be from 1 to 10000"),
        ({"id": 3, "watch": "everything"}, 3, "Invalid enum value 'everything'"),
        ({"id": 3}, 3, "say what to watch"),
        ({"watch": "board"}, None, "missing required field `id`"),
        ([1], None, "not a message that this socket takes"),
    ],
)
def test_a_bad_message_is_answered_with_a_line_and_the_socket_goes_on(message: Any, of: int | None, line: str) -> None:
    told = Told()
    with socket(told) as live:
        live.send_json(message)
        error = live.receive_json()
        assert error["id"] == of
        assert line in error["error"]
        live.send_json({"id": 1, "watch": "board"})
        assert live.receive_json()["seq"] == 1


def test_an_id_watches_one_thing_and_a_socket_not_too_many() -> None:
    with socket(Told()) as live:
        for number in [0, *range(MOST_WATCHES + 1)]:
            live.send_json({"id": number, "watch": "board"})
        errors = {}
        while len(errors) < 2:
            message = live.receive_json()
            if "error" in message:
                errors[message["id"]] = message["error"]
        assert "0 is watched already" in errors[0]
        assert f"a socket may watch {MOST_WATCHES} things" in errors[MOST_WATCHES]


def test_what_a_slow_client_has_not_taken_is_merged_and_the_newest_counts() -> None:
    told = Told()
    told.rounds([bar("A", 0, 1.0, 1)])
    results = WatchedResults(told.recent, Asked(id=1, watch="results", topic="bars", symbol="A"))
    board = WatchedBoard(told.recent)
    results.snapshot(), board.snapshot()
    told.rounds([bar("A", 0, 2.0, 2)], [bar("A", 1, 9.0, 1)], [bar("A", 0, 3.0, 3, final=True)])
    delta = msgspec.json.decode(results.delta() or b"")
    assert [(one["start_ms"] - T0, one["close"]) for one in delta["results"]] == [(0, 3.0), (1000, 9.0)]
    assert msgspec.json.decode(board.delta() or b"")["values"]["last"] == [9.0]
    assert (results.delta(), board.delta()) == (None, None)


def test_those_who_watch_the_same_share_what_is_encoded() -> None:
    told = Told()
    told.rounds([bar("A", 0, 1.0, 1)])
    asked = Asked(id=1, watch="results", topic="bars", symbol="A")
    first, second = (WatchedResults(told.recent, asked) for _ in range(2))
    first.snapshot(), second.snapshot()
    told.rounds([bar("A", 0, 2.0, 2)])
    delta = first.delta()
    assert delta is not None
    assert second.delta() is delta
