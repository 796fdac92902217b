"""Cashtags in a text, as Twitter and Bluesky mark them."""

import pytest

from tickertape.stream.feeds.networks.posts import cashtags


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$FB", ["FB"]),
        ("long $fb, short ($BRK.B)!", ["fb", "BRK.B"]),
        ("$RDS_A and $BTC-USD", ["RDS_A", "BTC"]),
        # Digits after a letter, as Bluesky has them; an amount is none.
        ("$A2Z $C98 $50 $5B", ["A2Z", "C98"]),
        ("$ABCDEF $ABCDEFG $A23456", ["ABCDEF"]),
        # The sign of full width.
        ("\uff04AAPL \uff04\uff21", ["AAPL"]),
        # Cut short by an ellipsis, it may be the beginning of another.
        ("and $AAP\u2026", []),
        ("really $AAPL...", ["AAPL"]),
        ("http://localhost/?q=$AAPL&r=$FB http://localhost/$TSLA", []),
        ("a$AAPL $$FB _$FB", []),
        ("$AAPL\u00e9 $FB\u65e5", []),
        ("\u200e$AAPL", ["AAPL"]),
        ("$AAPL$FB", ["AAPL"]),
    ],
)
def test_cashtags(text: str, found: list[str]) -> None:
    assert cashtags(text) == found
