"""The paths that are answered at once."""

from io import BytesIO
from typing import Any

import pyarrow as pa
import pytest

from tests.api.asking import client
from tests.recent.made import T0, Told, bar

ARROW = "application/vnd.apache.arrow.stream"


def ask(told: Told, path: str, status: int = 200, **headers: str) -> Any:
    with client(told) as asking:
        found = asking.get(f"/api/v1/{path}", headers=headers)
        assert found.status_code == status, found.text
        return found.json()


def seconds(page: dict[str, Any]) -> list[tuple[str, int]]:
    return [(one["symbol"], (one["start_ms"] - T0) // 1000) for one in page["results"]]


def told_bars() -> Told:
    told = Told()
    told.rounds([bar(symbol, second, 1.0, 1, final=second < 3) for second in range(5) for symbol in "BA"])
    told.rounds([bar("A", 0, 5.0, 1, source="s"), bar("A", 0, 6.0, 1, resolution="1m")])
    return told


def test_topics_are_described_by_their_structs() -> None:
    found = {(one["topic"], one["kind"]): one for one in ask(Told(), "topics")}
    assert {("bars", ""), ("indicators", "rsi"), ("signals", "*"), ("social", "")} <= found.keys()
    bars = found["bars", ""]
    assert bars["resolutions"] == {"1s": 1000, "1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000}
    fields = {one["name"]: one for one in bars["fields"]}
    assert fields["open_ms"] == {
        "name": "open_ms",
        "type": "integer",
        "nullable": False,
        "unit": "ms",
        "meaning": "The event time of the first trade.",
    }
    assert fields["buy_share"]["nullable"]
    assert (found["indicators", "rsi"]["key"][-1], found["signals", "*"]["key"][-1]) == ("kind", "rule")
    assert found["rolling", "trades"]["meaning"].startswith("Metrics of the trades in the last 10 seconds")


def test_symbols_have_their_sources_and_topics() -> None:
    assert ask(told_bars(), "symbols") == [
        {"symbol": "A", "sources": ["all", "s"], "topics": ["bars"]},
        {"symbol": "B", "sources": ["all"], "topics": ["bars"]},
    ]


def test_without_a_begin_the_newest_come_and_with_one_the_first() -> None:
    told = told_bars()
    assert seconds(ask(told, "results/bars?symbol=A&resolution=1s&limit=2")) == [("A", 3), ("A", 4)]
    page = ask(told, f"bars?symbol=A&symbol=B&resolution=1s&limit=3&from={T0 + 1000}&to={T0 + 4000}")
    assert seconds(page) == [("A", 1), ("B", 1), ("A", 2)]
    page = ask(told, f"bars?symbol=A&symbol=B&resolution=1s&limit=3&to={T0 + 4000}&next={page['next']}")
    assert (seconds(page), page["next"]) == ([("B", 2), ("A", 3), ("B", 3)], None)


def test_a_time_may_be_written_in_iso_8601() -> None:
    # T0 is 2023-11-14 23:00 UTC.
    for text in ("2023-11-14T23:00:03Z", "2023-11-15T00:00:03%2B01:00", "2023-11-15T00:00:03+01:00"):
        page = ask(told_bars(), f"bars?symbol=A&resolution=1s&from={text}")
        assert seconds(page) == [("A", 3), ("A", 4)]


def test_filters_choose() -> None:
    told = told_bars()
    assert seconds(ask(told, "bars?finals=true&symbol=B")) == [("B", 0), ("B", 1), ("B", 2)]
    (one,) = ask(told, "bars?source=s")["results"]
    assert one["close"] == 5.0
    assert [one["close"] for one in ask(told, "latest/bars?symbol=A")["results"]] == [6.0, 1.0]
    assert seconds(ask(told, "latest/bars?symbol=A&resolution=1s&finals=true")) == [("A", 2)]


def test_results_come_as_csv_and_as_arrow() -> None:
    told = Told()
    whole = dict.fromkeys(("open", "high", "low", "notional", "vwap", "buy_volume", "largest"), 1.5)
    whole |= {"open_ms": 1, "close_ms": 2, "buy_share": None, "realised_volatility": 0.0, "missing": 0}
    whole |= {"incomplete": False}
    told.rounds([bar('A,"x"', 0, 1.25, 1, final=True, **whole)], [bar('A,"x"', 0, 1.5, 2, final=True, **whole)])
    told.rounds([bar("B", 0, 1.0, 1)])
    with client(told) as asking:
        text = asking.get("/api/v1/bars", headers={"Accept": "text/csv"})
        assert text.headers["content-type"] == "text/csv; charset=utf-8"
        # B isn't a whole bar.
        head, row, end = text.text.split("\r\n")
        assert (head.split(",")[0], head.split(",")[-2:], end) == ("symbol", ["trades", "corrected"], "")
        assert row.startswith('"A,""x""",all,1s,1700002800000,1.5,')
        assert row.endswith(",0.0,0,true,2,false,2,true")
        streamed = asking.get("/api/v1/bars", headers={"Accept": f"text/html, {ARROW};q=0.5"})
        table = pa.ipc.open_stream(BytesIO(streamed.content)).read_all()
        assert (table["symbol"].to_pylist(), table["corrected"].to_pylist()) == (['A,"x"'], [True])
        empty = asking.get("/api/v1/latest/indicators", headers={"Accept": ARROW})
        names = pa.ipc.open_stream(BytesIO(empty.content)).read_all().column_names
        assert {"kind", "rsi", "corrected"} <= set(names)


@pytest.mark.parametrize(
    ("path", "status", "line"),
    [
        ("nothing", 404, "there is nothing at this path"),
        ("results/nothing", 404, "no results are published to 'nothing': choose bars, "),
        ("bars?colour=red", 400, "there is no parameter 'colour' here"),
        ("bars?resolution=7s", 400, "bars has no resolution '7s': choose 15m, 1h, 1m, 1s, 5m"),
        ("latest/indicators?kind=x", 400, "indicators has no kind 'x': choose bollinger, ema, mentions, rsi"),
        ("bars?limit=0", 400, "limit must be a whole number from 1 to 10000"),
        ("bars?limit=1&limit=2", 400, "limit is given 2 times"),
        ("bars?from=yesterday", 400, "from must be a time"),
        ("bars?from=10&to=9", 400, "from is later than to"),
        ("bars?next=x", 400, "next isn't what an earlier answer gave"),
        ("bars?finals=yes", 400, "finals must be true or false"),
        ("stream/bars?after=1:2,1:3", 400, "offsets by partition"),
    ],
)
def test_a_wrong_request_is_told_in_one_line(path: str, status: int, line: str) -> None:
    error = ask(Told(), path, status)
    assert line in error["error"]
    assert "\n" not in error["error"]


def test_a_form_that_is_not_ours_is_refused() -> None:
    assert "text/csv" in ask(Told(), "bars", 406, Accept="text/html")["error"]


def test_only_get_is_allowed() -> None:
    with client(Told()) as asking:
        assert asking.post("/api/v1/bars").status_code == 405
