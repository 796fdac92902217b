"""SQL over the API: what it answers, its bounds, and what it can't reach."""

import socket
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from tests.api.asking import client
from tests.api.test_openapi import whole
from tests.recent.made import T0, Told, bar
from tickertape.stream.api import sql as module

PATH = "/api/v1/sql"


@pytest.fixture(scope="module")
def asking() -> Iterator[TestClient]:
    told = Told(console_sql=True, console_requests=1e6)
    told.rounds([whole(second) | {"symbol": symbol} for second in range(3) for symbol in "AB"])
    told.rounds([whole(0) | {"revision": 7, "close": 9.0, "final": True}, whole(1) | {"source": "s", "close": 4.0}])
    with client(told) as found:
        yield found


def ask(asking: TestClient, query: str, status: int = 200, accept: str = "application/json", **more: Any) -> Any:
    found = asking.post(PATH, json={"sql": query, **more}, headers={"Accept": accept})
    assert found.status_code == status, found.text
    return found


def test_it_answers_from_memory_in_the_form_that_is_asked_for(asking: TestClient) -> None:
    query = "select symbol, sum(close) as total, count(*) as n from bars where source = 'all' group by 1 order by 1"
    assert ask(asking, query).json() == {
        "rows": [{"symbol": "A", "total": 11.0, "n": 3}, {"symbol": "B", "total": 3.0, "n": 3}],
        "is_cut": False,
    }
    assert ask(asking, query, accept="text/csv").text == "symbol,total,n\r\nA,11.0,3\r\nB,3.0,3\r\n"
    table = pa.ipc.open_stream(BytesIO(ask(asking, query, accept="application/vnd.apache.arrow.stream").content))
    assert table.read_all().to_pydict() == {"symbol": ["A", "B"], "total": [11.0, 3.0], "n": [3, 3]}
    ask(asking, query, 406, accept="image/png")


def test_it_says_which_rows_are_wanted(asking: TestClient) -> None:
    def starts(**more: Any) -> list[int]:
        rows = ask(asking, "select start_ms from bars where symbol = 'A' and source = 'all' order by 1", **more).json()
        return [(row["start_ms"] - T0) // 1000 for row in rows["rows"]]

    assert starts() == [0, 1, 2]
    assert starts(**{"from": T0 + 1000}) == [1, 2]
    assert starts(**{"from": "2023-11-14T23:00:02Z"}) == [2]
    assert starts(finals=True) == [0]
    cut = ask(asking, "from bars", rows=2)
    assert (len(cut.json()["rows"]), cut.json()["is_cut"], cut.headers["tickertape-is-cut"]) == (2, True, "true")
    # Sums of integers are numbers; every topic is a table, with the columns of all its kinds.
    assert ask(asking, "select sum(revision) as n from bars").json()["rows"] == [{"n": 7 + 5 + 1}]
    columns = ask(asking, "select column_name from (describe indicators)").json()["rows"]
    assert {"rsi", "upper", "kind", "final"} <= {row["column_name"] for row in columns}
    assert ask(asking, "select count(*) as n from quote_bars").json()["rows"] == [{"n": 0}]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"sql": ""}', 400),
        (b'{"sql": 1}', 400),
        (b'{"sql": "select 1", "seconds": 1000}', 400),
        (b'{"sql": "select 1", "rows": 10001}', 400),
        (b'{"sql": "select 1", "from": "yesterday"}', 400),
        (b'{"sql": "selec 1"}', 400),
        (b'{"sql": "select 1; select 2"}', 400),
        (b'{"sql": "select nothing from bars"}', 400),
        (b'{"sql": "\xff"}', 400),
    ],
)
def test_what_is_wrong_is_told_in_a_line(asking: TestClient, body: bytes, status: int) -> None:
    found = asking.post(PATH, content=body, headers={"Content-Type": "application/json"})
    assert found.status_code == status
    assert "\n" not in found.json()["error"]


def test_only_posts_of_json_are_taken(asking: TestClient) -> None:
    assert asking.get(PATH).status_code == 405
    assert asking.post(PATH, content=b"sql=select+1", headers={"Content-Type": "text/plain"}).status_code == 415
    headers = {"Origin": "http://evil.example"}
    assert asking.post(PATH, json={"sql": "select 1"}, headers=headers).status_code == 403


def test_it_is_off_unless_it_is_turned_on() -> None:
    with client(Told()) as asking:
        found = asking.post(PATH, json={"sql": "select 1"})
    assert (found.status_code, found.json()) == (403, {"error": "SQL is turned off here: set console_sql"})


def test_what_takes_too_much_is_ended(asking: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 3.0)
    monkeypatch.setattr(module, "MIB", 128)
    found = ask(asking, "select count(*) from range(100000000) a, range(1000000) b", 422).json()
    assert found["error"] == "the query took more than 3 s and was ended: ask for less"
    assert "more than 128 MiB" in ask(asking, "select repeat('x', 2000000000)", 422).json()["error"]
    monkeypatch.setattr(module, "MOST_RESULTS", 3)
    assert "more than 3 results" in ask(asking, "select count(*) from bars", 422).json()["error"]


def test_a_client_asks_one_at_a_time(asking: TestClient) -> None:
    slow = "select count(*) as n from range(12000) a, range(12000) b where a.range + b.range = 1"
    answers: list[int] = []

    def post() -> None:
        answers.append(asking.post(PATH, json={"sql": slow}).status_code)

    threads = [threading.Thread(target=post) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 429, 429]
    # The turn is given back, also after a failure.
    ask(asking, "select nothing", 400)
    ask(asking, "select 1")


MARK = "a line that no answer may have"


def hostile(file: Path, port: int) -> list[str]:
    path, url = str(file), f"http://127.0.0.1:{port}/x"
    return [
        *(f"select * from {function}('{path}')" for function in ("read_text", "read_csv", "read_blob", "read_json")),
        f"from '{path}'",
        f"select * from glob('{file.parent}/*')",
        f"select * from query('select * from read_text(''{path}'')')",
        f"select * from query_table('{path}')",
        f"copy bars to '{path}.out'",
        f"copy (select 1) to '{path}.out'",
        f"export database '{file.parent}/out'",
        f"attach '{file.parent}/other.db'",
        f"attach 'host=127.0.0.1 port={port}' as p (type postgres)",
        *(f"select * from {function}('{url}.parquet')" for function in ("read_parquet", "parquet_scan", "read_csv")),
        f"from '{url}.csv'",
        f"select * from sqlite_scan('{path}', 't')",
        f"select * from postgres_scan('host=127.0.0.1 port={port}', 'a', 'b')",
        "install httpfs",
        "load httpfs",
        f"install httpfs from 'http://127.0.0.1:{port}'",
        "set enable_external_access = true",
        "pragma enable_external_access = true",
        "reset lock_configuration",
        "create table mine as select 1",
        "create secret s (type s3, key_id 'a', secret 'b')",
        "insert into bars select * from bars",
        "update bars set close = 0",
        "delete from bars",
        "drop view bars",
        "call pragma_version()",
        "checkpoint",
        "select getenv('HOME')",
        "from told",
        "select * from os",
        f"select 1; copy bars to '{path}.out'",
    ]


def test_it_reaches_no_file_and_no_network_and_changes_nothing(asking: TestClient, tmp_path: Path) -> None:
    file = tmp_path / "secret.csv"
    file.write_text(MARK)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        for query in hostile(file, server.getsockname()[1]):
            found = ask(asking, query, 400)
            assert MARK not in found.text, query
            with pytest.raises(BlockingIOError):
                server.accept()
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]
    assert ask(asking, "select count(*) as n from bars").json()["rows"] == [{"n": 7}]


def test_requests_are_answered_while_a_query_runs(asking: TestClient) -> None:
    slow = "select count(*) as n from range(12000) a, range(12000) b where a.range + b.range = 1"
    done = threading.Event()

    def post() -> None:
        ask(asking, slow)
        done.set()

    thread = threading.Thread(target=post)
    thread.start()
    assert asking.get("/api/v1/symbols").status_code == 200
    assert not done.is_set()
    thread.join()


def test_rows_of_the_same_query_are_the_same_as_on_the_path_of_results(asking: TestClient) -> None:
    found = ask(asking, "select * from bars where symbol = 'A' and source = 'all' and resolution = '1s'").json()["rows"]
    results = asking.get("/api/v1/bars?symbol=A&resolution=1s").json()["results"]
    assert len(results) == 3
    for row, result in zip(sorted(found, key=lambda one: int(one["start_ms"])), results, strict=True):
        assert row.items() >= result.items()


def test_the_past_is_read_from_the_topic_where_memory_does_not_reach() -> None:
    """There is no Kafka here, so that it was asked is seen by its failure."""
    told = Told(console_sql=True)
    told.rounds([bar("A", 1, 1.0, 1)])
    told.recent._complete_from_ms["bars"] = T0
    with client(told) as asking:
        assert asking.post(PATH, json={"sql": "from bars", "from": T0}).status_code == 200
        assert asking.post(PATH, json={"sql": "from bars", "from": T0 - 1}).status_code == 503
