"""What is in the log isn't sent again, and what it lacks is, whatever a crash has left on which partition."""

from hypothesis import given
from hypothesis import strategies as st

from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.backfill.ledger import Ledger
from tickertape.stream.feeds.refill.refill import Seen

T = 1_700_000_000_000


def trade(number: int, symbol: str = "BTC-USDT", last: int | None = None) -> Trade:
    return Trade(
        symbol=symbol, source="x", id=number, last_id=last, time_ms=T + number, price=1.0, quantity=1.0, side="buy"
    )


def numbers(trades: list[Trade]) -> dict[str, list[tuple[int, int, int]]]:
    found: dict[str, list[tuple[int, int, int]]] = {}
    for one in trades:
        assert isinstance(one.id, int)
        found.setdefault(one.symbol, []).append((one.id, one.last_id or one.id, one.time_ms))
    return found


@given(
    # How many trades each has on each of two partitions, and how much of that was acknowledged.
    st.lists(st.tuples(st.booleans(), st.integers(1, 3)), max_size=30),
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(0, 10),
)
def test_each_is_sent_once_after_a_crash(
    each: list[tuple[bool, int]], on_first: int, on_second: int, stored: int
) -> None:
    trades, number = [], 5
    for _, count in each:
        trades.append(trade(number, last=None if count == 1 else number + count - 1))
        # Of every other one, the exchange itself left out a number.
        number += count + len(trades) % 2
    partitions = [
        [one for one, (first, _) in zip(trades, each, strict=True) if first is which] for which in (True, False)
    ]
    stored = min(stored, len(trades))
    log = list(trades[:stored])
    log += [one for one in partitions[0][:on_first] + partitions[1][:on_second] if one not in log]
    last = trades[stored - 1] if stored else None
    ledger = Ledger({} if last is None else {"BTC-USDT": Seen(int(last.last_id or last.id), last.time_ms)})
    ledger.found(numbers(log))
    after = ledger.complete.get("BTC-USDT")
    # Nothing before that is missing, so a run may go on there.
    assert all(one in log for one in trades if after and int(one.id) <= after.id)
    sent = ledger.take([one for one in trades if after is None or int(one.id) > after.id])
    assert sorted([*log, *sent], key=lambda one: one.id) == trades
    assert ledger.is_plain
    if trades:
        assert ledger.complete == {"BTC-USDT": Seen(int(trades[-1].last_id or trades[-1].id), trades[-1].time_ms)}


def test_what_a_clean_stop_has_sent_is_complete() -> None:
    ledger = Ledger({"BTC-USDT": Seen(3, T + 3)})
    ledger.found(numbers([trade(3), trade(4), trade(7), trade(8), trade(1, "ETH-USDT")]))
    assert not ledger.is_plain
    assert ledger.complete == {"BTC-USDT": Seen(4, T + 4)}
    ledger.settle()
    assert ledger.complete == {"BTC-USDT": Seen(8, T + 8), "ETH-USDT": Seen(1, T + 1)}
    assert ledger.is_plain


def test_a_run_that_has_not_reached_what_the_log_has_is_not_plain() -> None:
    ledger = Ledger({"BTC-USDT": Seen(3, T + 3)})
    ledger.found(numbers([trade(6), trade(7)]))
    assert ledger.take([trade(4), trade(5)]) == [trade(4), trade(5)]
    assert not ledger.is_plain
    assert ledger.take([trade(6), trade(7), trade(8)]) == [trade(8)]
    assert ledger.is_plain
