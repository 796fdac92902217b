"""The metrics by symbol: of the first symbols of a source, and of all the others together."""

from collections.abc import Sequence

from tests.feeds.live.acme import Acme, stream
from tickertape.stream.feeds.live.ids import Ids
from tickertape.stream.feeds.live.symbol_metrics import SymbolMetrics
from tickertape.stream.telemetry.feed_metrics import MOST_SYMBOLS
from tickertape.stream.telemetry.registries import FEED


def source(name: str, symbols: Sequence[str]) -> Acme:
    found = Acme("ws://x", symbols)
    found.name = name
    return found


def shown(name: str, source: str, symbol: str) -> float | None:
    return FEED.get_sample_value(f"tickertape_feed_{name}", {"source": source, "symbol": symbol})


def test_each_symbol_has_its_own() -> None:
    metrics = SymbolMetrics(source("acme-1", ["BTC-USD", "ETH-USD"]))
    assert shown("gaps", "acme-1", "ETH-USD") == 0
    ids = Ids("acme-1", "trades", contiguous=True)
    for number in (1, 4, 7):
        ids.is_new("BTC-USD", number, 0.0, 1)
    metrics.look([ids], [stream("ETH-USD")], {"BTC-USD": 1_700_000_000_500_000_000})
    names = ("gaps", "missing_records", "silent_streams", "received_timestamp_seconds")
    assert [shown(name, "acme-1", "BTC-USD") for name in names] == [2, 4, 0, 1_700_000_000.5]
    assert [shown(name, "acme-1", "ETH-USD") for name in names] == [0, 0, 1, None]
    # What fills a gap, and what speaks again.
    for number in (2, 3, 5):
        ids.is_new("BTC-USD", number, 0.0, 1)
    metrics.look([ids], [], {})
    assert [shown(name, "acme-1", "BTC-USD") for name in names[:3]] == [1, 1, 0]
    assert shown("silent_streams", "acme-1", "ETH-USD") == 0


def test_many_symbols_have_one_label() -> None:
    symbols = [f"A{number}-USD" for number in range(MOST_SYMBOLS + 2)]
    metrics = SymbolMetrics(source("acme-2", symbols))
    ids = Ids("acme-2", "trades", contiguous=True)
    for symbol in (symbols[0], *symbols[-2:]):
        ids.is_new(symbol, 1, 0.0, 1)
        ids.is_new(symbol, 3, 0.0, 1)
    metrics.look([ids], [], {symbols[-2]: 1_000_000_000, symbols[-1]: 2_000_000_000})
    assert shown("gaps", "acme-2", symbols[0]) == 1
    assert shown("gaps", "acme-2", symbols[-1]) is None
    assert shown("gaps", "acme-2", "others") == 2
    assert shown("received_timestamp_seconds", "acme-2", "others") == 2.0
