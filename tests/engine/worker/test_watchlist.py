"""The newest results of watched symbols, as they are scraped."""

import msgspec
from msgspec import Struct
from prometheus_client import CollectorRegistry

from tickertape.stream.engine.core.results import Output, Result
from tickertape.stream.engine.worker.watchlist import Watchlist


class Anything(Struct):
    """A result says what it says."""


def result(sink: str, symbol: str, start_ms: int, source: str = "all", **fields: object) -> Result:
    identity = {"symbol": symbol, "source": source, "resolution": "1m", "start_ms": start_ms}
    value = msgspec.json.encode(identity | {"final": False, "revision": 3} | fields)
    kind = str(fields.get("kind", ""))
    key = f"{symbol}|{source}|1m|{start_ms}" + (f"|{kind}" if kind else "")
    return Output(sink, kind, Anything), symbol, key.encode(), value


def note(watched: Watchlist, *results: Result) -> None:
    for output, symbol, key, value in results:
        watched.note(output, [symbol], [(key, value)])


def shown(watched: Watchlist) -> dict[tuple[str, str], float]:
    """Return what a scrape finds, by name and symbol, of all sources together."""
    registry = CollectorRegistry()
    registry.register(watched)
    return {
        (sample.name, sample.labels["symbol"]): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.labels == {"symbol": sample.labels["symbol"], "source": "all", "resolution": "1m"}
    }


def test_numbers_of_watched_symbols_are_gauges() -> None:
    watched = Watchlist(["BTC-USD"])
    note(
        watched,
        result("bars", "BTC-USD", 60_000, close=9.5, count=4, open_ms=61_500),
        result("bars", "X", 60_000, close=1),
    )
    assert shown(watched) == {
        ("tickertape_bars_start_seconds", "BTC-USD"): 60.0,
        ("tickertape_bars_close", "BTC-USD"): 9.5,
        ("tickertape_bars_count", "BTC-USD"): 4.0,
        ("tickertape_bars_open_seconds", "BTC-USD"): 61.5,
    }


def test_the_newest_window_holds_and_its_latest_record() -> None:
    watched = Watchlist(["BTC-USD"])
    note(watched, result("quote-bars", "BTC-USD", 60_000, mid=1.0), result("quote-bars", "BTC-USD", 120_000, mid=2.0))
    note(watched, result("quote-bars", "BTC-USD", 120_000, mid=3.0))
    # A correction of what is past, and another source.
    note(
        watched,
        result("quote-bars", "BTC-USD", 60_000, mid=4.0),
        result("quote-bars", "BTC-USD", 180_000, "binance", mid=5.0),
    )
    assert shown(watched)["tickertape_quote_bars_mid", "BTC-USD"] == 3.0


def test_what_has_no_number_has_no_gauge() -> None:
    watched = Watchlist(["BTC-USD"])
    note(watched, result("social", "BTC-USD", 0, top=["#a"], text="x", spread=None))
    assert set(shown(watched)) == {("tickertape_social_start_seconds", "BTC-USD")}


def test_two_kinds_of_one_topic_have_a_label_that_tells_them_apart() -> None:
    watched = Watchlist(["A"])
    for kind in ("trades", "quotes"):
        note(watched, result("rolling", "A", 0, kind=kind, low=1.0))
    (low,) = [family for family in watched.collect() if family.name == "tickertape_rolling_low"]
    assert sorted(sample.labels["kind"] for sample in low.samples) == ["quotes", "trades"]


def test_signals_of_two_rules_have_a_label_that_tells_them_apart() -> None:
    watched = Watchlist(["A"])
    for rule in ("rally", "turn"):
        value = msgspec.json.encode({"rule": rule, "symbol": "A", "source": "all", "resolution": "1s", "value": 2.0})
        note(watched, (Output("signals", rule, Anything), "A", f"A|all|1s|0|{rule}".encode(), value))
    (values,) = watched.collect()
    assert [(sample.name, sample.labels["rule"]) for sample in values.samples] == [
        ("tickertape_signals_value", "rally"),
        ("tickertape_signals_value", "turn"),
    ]


def test_gauges_go_when_the_shards_do() -> None:
    watched = Watchlist(["A"])
    note(watched, result("bars", "A", 0, close=1.0))
    watched.clear()
    assert shown(watched) == {}


def test_an_empty_list_keeps_nothing() -> None:
    watched = Watchlist([])
    note(watched, result("bars", "A", 0, close=1.0))
    assert shown(watched) == {}
