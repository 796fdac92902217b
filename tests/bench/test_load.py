"""The load that all contestants read."""

from itertools import islice

from bench import load


def test_fewer_trades_are_the_first_of_them() -> None:
    assert list(load.first(30, 50)) == list(islice(load.trades(50), 30))


def test_more_trades_are_all_of_them_again_in_later_seconds() -> None:
    once, twice = list(load.trades(20)), list(load.first(35, 20))
    assert twice[:20] == once
    assert [trade.id for trade in twice] == list(range(35))
    assert [(trade.symbol, trade.price) for trade in twice[20:]] == [(trade.symbol, trade.price) for trade in once[:15]]
    # 20 trades take two ms, so the next begin with the next second: no second has trades of both.
    assert [twice[20].time_ms, twice[20].received_ms] == [load.START_MS + 1000, load.START_MS + 1003]
