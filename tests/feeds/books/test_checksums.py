"""The checksums of the exchanges' own examples."""

from tickertape.stream.feeds.books import checksums

# The worked example of Kraken's page "Book checksum (WebSocket v2)": BTC/USD on 2023-10-06.
BIDS = [
    ("45283.5", "0.10000000"),
    ("45283.4", "1.54582015"),
    ("45282.1", "0.10000000"),
    ("45281.0", "0.10000000"),
    ("45280.3", "1.54592586"),
    ("45279.0", "0.07990000"),
    ("45277.6", "0.03310103"),
    ("45277.5", "0.30000000"),
    ("45277.3", "1.54602737"),
    ("45276.6", "0.15445238"),
]
ASKS = [
    ("45285.2", "0.00100000"),
    ("45286.4", "1.54571953"),
    ("45286.6", "1.54571109"),
    ("45289.6", "1.54560911"),
    ("45290.2", "0.15890660"),
    ("45291.8", "1.54553491"),
    ("45294.7", "0.04454749"),
    ("45296.1", "0.35380000"),
    ("45297.5", "0.09945542"),
    ("45299.5", "0.18772827"),
]
KRAKEN = 3310070434


def test_kraken() -> None:
    assert checksums.kraken(BIDS, ASKS) == KRAKEN


def test_kraken_by_text_and_not_by_number() -> None:
    printed_again = [(price, repr(float(quantity))) for price, quantity in BIDS]
    assert checksums.kraken(printed_again, ASKS) != KRAKEN


def test_kraken_of_prices_below_one() -> None:
    """The worked example of the page for v1, which is the same checksum."""
    asks = [(f"0.0{n}", "0.00000500") for n in range(5005, 5055, 5)]
    bids = [(f"0.0{n}", "0.00000500") for n in (5000, 4995, 4990, 4980, 4975, 4970, 4965, 4960, 4955, 4950)]
    assert checksums.kraken(bids, asks) == 974947235


def test_okx() -> None:
    """Of OKX's page on checksums: both sides by turns, and what is left of the longer one."""
    asks = [("3366.8", "9"), ("3368", "8")]
    assert checksums.okx([("3366.1", "7"), ("3366", "6")], asks) == -1881014294
    assert checksums.okx([("3366.1", "7")], [*asks, ("3372", "8")]) == 831078360
