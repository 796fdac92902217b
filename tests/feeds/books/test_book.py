"""The states of a book: what makes it live, and what makes it stale."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from msgspec.structs import replace

from tests.feeds.books.market import change, price
from tickertape.stream.feeds.books import rules
from tickertape.stream.feeds.books.book import CROSSED_SECONDS, FEW_LEVELS, LEAST_LEVELS, Book, Broken, State
from tickertape.stream.feeds.books.held import MOST_CHANGES, MOST_LEVELS
from tickertape.stream.feeds.define.book_rule import BookRule
from tickertape.stream.feeds.define.change import Change, Level

BID, ASK = ("99", "1"), ("101", "2")


def book(rule: BookRule, most_levels: int = 5000) -> Book:
    return Book(rule, most_levels, 0.0)


def prices(of: Book) -> tuple[list[str], list[str]]:
    bids, asks = of.depth(1000)
    return [at for at, _ in bids], [at for at, _ in asks]


def broken(of: Book, change: Change, now: float = 0.0, connection: int = 0) -> str:
    """Return why the book breaks by this change."""
    with pytest.raises(Broken) as why:
        of.take(change, now, connection)
    return str(why.value)


def live(rule: BookRule, bids: Sequence[Level] = (BID,), asks: Sequence[Level] = (ASK,), last: int = 100) -> Book:
    """Return a book that is live since the time 0."""
    one = book(rule)
    if rule.ways[0] == "fetch":
        one.take(change(first=last, last=last, previous=last - 1), 0.0, 0)
    assert one.take(change(bids, asks, snapshot=True, last=last), 0.0, 0)
    assert (one.state, one.pace.due) == (State.LIVE, None)
    return one


class TestFetched:
    """The stream has no snapshots: they are fetched, and what comes before them is held."""

    def test_it_asks_once_changes_come(self) -> None:
        one = book(rules.BINANCE)
        assert one.pace.request(100.0) is None
        assert not one.take(change([BID], first=5, last=9), 100.0, 0)
        assert (one.state, one.best(), one.pace.request(100.0)) == (State.SYNCING, None, "fetch")

    def test_what_was_held_comes_after_the_snapshot(self) -> None:
        one = book(rules.BINANCE)
        one.take(change([("1", "1")], first=90, last=95), 0.0, 0)  # in the snapshot
        one.take(change([("98", "5")], first=96, last=101), 0.0, 0)
        one.take(change([("99", "0")], first=102, last=102), 0.0, 0)
        assert one.take(change([BID], [ASK], snapshot=True, last=100), 0.0, 0)
        assert (one.state, one.number, prices(one)) == (State.LIVE, 102, (["98"], ["101"]))

    def test_a_snapshot_older_than_what_is_held_is_fetched_again(self) -> None:
        one = book(rules.BINANCE)
        one.take(change([("98", "5")], first=102, last=103), 0.0, 0)
        assert one.pace.request(0.0) == "fetch"
        assert broken(one, change([BID], [ASK], snapshot=True, last=100)) == "old snapshot"
        assert (one.state, one.best(), one.pace.request(0.0)) == (State.SYNCING, None, "fetch")
        assert one.take(change([BID], [ASK], snapshot=True, last=101), 0.0, 0)
        assert prices(one) == (["99", "98"], ["101"])

    def test_a_gap_in_what_is_held_needs_a_snapshot_past_it(self) -> None:
        one = book(rules.BINANCE)
        one.take(change([("98", "5")], first=100, last=103), 0.0, 0)
        one.take(change([("97", "5")], first=105, last=106), 0.0, 0)
        assert broken(one, change([BID], [ASK], snapshot=True, last=100)) == "old snapshot"
        assert one.take(change([BID], [ASK], snapshot=True, last=104), 0.0, 0)
        assert prices(one) == (["99", "97"], ["101"])

    def test_one_connection_brings_what_the_other_has_lost(self) -> None:
        one = book(rules.BINANCE)
        for number, connection in ((101, 0), (103, 0), (100, 1), (101, 1), (102, 1)):
            one.take(change([(str(number - 100), "1")], first=number, last=number), 0.0, connection)
        assert one.take(change([BID], [ASK], snapshot=True, last=100), 0.0, 0)
        assert (one.number, prices(one)[0]) == (103, ["99", "3", "2", "1"])

    def test_after_the_snapshot_alone_the_next_change_must_begin_in_it(self) -> None:
        one = live(rules.BINANCE)
        assert broken(one, change([BID], first=102, last=103)) == "gap"
        assert (one.state, one.best(), prices(one)) == (State.STALE, None, ([], []))
        # What broke it is held for the new snapshot.
        assert one.take(change([BID], [ASK], snapshot=True, last=102), 0.0, 0)
        assert one.number == 103

    def test_no_snapshot_counts_without_a_connection(self) -> None:
        """Nothing would tell that it is no longer true."""
        one = book(rules.BINANCE)
        assert not one.take(change([BID], [ASK], snapshot=True, last=100), 0.0, 0)
        assert one.state is State.SYNCING

    def test_the_empty_book_of_a_new_pair(self) -> None:
        one = book(rules.BINANCE)
        one.take(change([BID], [ASK], first=7, last=9), 0.0, 0)
        assert one.take(change(snapshot=True, last=-1), 0.0, 0)
        assert (one.number, prices(one)) == (9, (["99"], ["101"]))

    @pytest.mark.parametrize("levels", [1, MOST_LEVELS // 10])
    def test_what_is_held_is_bounded(self, levels: int) -> None:
        one = book(rules.BINANCE)
        why = None
        for number in range(MOST_CHANGES + 1):
            try:
                one.take(change([BID] * levels, first=number, last=number), 0.0, 0)
            except Broken as error:
                why = str(error)
                break
        assert (why, number) == ("too many held", MOST_CHANGES if levels == 1 else 10)
        # It begins again with the change that had no room.
        assert one.take(change([BID], [ASK], snapshot=True, last=number - 1), 0.0, 0)
        assert one.number == number

    def test_one_change_larger_than_all_room(self) -> None:
        one = book(rules.BINANCE)
        assert broken(one, change([BID] * (MOST_LEVELS + 1), first=1, last=1)) == "too many held"
        assert len(one._held) == 0


class TestSubscribed:
    """The stream begins with a snapshot."""

    @pytest.mark.parametrize("rule", [rules.COINBASE, rules.bybit(1000), rules.OKX, rules.kraken(10)])
    def test_changes_before_the_snapshot_are_nothing(self, rule: BookRule) -> None:
        one = book(rule)
        assert not one.take(change([("98", "1")], last=90, previous=80), 0.0, 0)
        assert one.take(change([BID], [ASK], snapshot=True, last=100), 0.0, 0)
        assert (one.state, prices(one)) == (State.LIVE, (["99"], ["101"]))

    def test_a_snapshot_that_never_comes_is_asked_for(self) -> None:
        one = book(rules.kraken(27))
        assert [second for second in range(30) if one.pace.request(float(second))] == [5, 10, 15, 20, 25]

    def test_a_live_book_takes_a_new_snapshot(self) -> None:
        one = live(rules.COINBASE)
        assert one.take(change([("90", "1")], [("91", "1")], snapshot=True), 0.0, 0)
        assert prices(one) == (["90"], ["91"])

    def test_bybits_number_1_is_a_new_beginning(self) -> None:
        one = live(rules.bybit(1000))
        assert one.take(change([("90", "1")], [("91", "1")], last=1), 0.0, 0)
        assert (one.number, prices(one)) == (1, (["90"], ["91"]))
        assert one.take(change([("90", "0")], last=2), 0.0, 0)

    def test_bybits_book_of_snapshots_alone(self) -> None:
        """`orderbook.1` repeats the last one with the same number after three seconds."""
        one = live(rules.bybit(1000))
        for ms, last, bid in ((10, 101, "98"), (3010, 101, "98"), (3020, 150, "97")):
            assert one.take(change([(bid, "1")], [ASK], snapshot=True, last=last, ms=ms), 0.0, 0)
            assert prices(one) == ([bid], ["101"])
        # Another connection is a little behind.
        assert not one.take(change([("98", "1")], [ASK], snapshot=True, last=101, ms=3020), 0.0, 1)
        assert (prices(one), one.ignored) == ((["97"], ["101"]), 1)
        # After a start of the service, whose number 1 was lost.
        assert one.take(change([("96", "1")], [ASK], snapshot=True, last=7, ms=9000), 0.0, 0)
        assert prices(one) == (["96"], ["101"])

    def test_okx_goes_on_with_lower_numbers_after_maintenance(self) -> None:
        one = live(rules.OKX)
        assert one.take(change([("98", "1")], last=3, previous=100), 0.0, 0)
        assert one.take(change([("97", "1")], last=5, previous=3), 0.0, 0)
        assert (one.number, prices(one)) == (5, (["99", "98", "97"], ["101"]))
        assert broken(one, change(last=9, previous=6)) == "gap"

    def test_okx_without_a_snapshot_on_the_stream(self) -> None:
        """It is awaited, subscribed to again, and then fetched."""
        one = book(rules.OKX)
        one.take(change([("98", "1")], last=104, previous=100), 0.0, 0)
        assert [(s, way) for s in range(12) if (way := one.pace.request(float(s)))] == [(5, "subscribe"), (10, "fetch")]
        assert one.take(change([BID], [ASK], snapshot=True, last=102), 12.0, 0)
        assert (one.number, prices(one)) == (104, (["99", "98"], ["101"]))

    def test_krakens_book_is_cut_before_the_checksum(self) -> None:
        """100.5 pushes 103 out, which nobody tells. The checksum is CRC32 of ``10055 1011 991`` without the spaces."""
        one = book(rules.kraken(2))
        assert one.take(change([("99", "1")], [("101", "1"), ("103", "1")], snapshot=True), 0.0, 0)
        assert one.take(change(asks=[("100.5", "5")], checksum=0xB7135982), 0.0, 0)
        assert prices(one) == (["99"], ["100.5", "101"])
        assert broken(one, change(asks=[("100.5", "6")], checksum=0xB7135982)) == "checksum"
        assert (one.state, one.pace.request(0.0)) == (State.STALE, "subscribe")

    def test_a_snapshot_with_a_wrong_checksum(self) -> None:
        one = book(rules.kraken(10))
        assert broken(one, change([BID], [ASK], snapshot=True, checksum=1)) == "checksum"
        assert (one.state, one.pace.request(0.0)) == (State.SYNCING, "subscribe")

    def test_okxs_checksum_of_zero_is_none(self) -> None:
        one = live(rules.OKX, [("3366.1", "7"), ("3366", "6")], [("3366.8", "9"), ("3368", "8")])
        assert one.take(change(last=101, previous=100, checksum=0), 0.0, 0)
        # The example of OKX's page.
        assert one.take(change(last=102, previous=101, checksum=-1881014294), 0.0, 0)
        assert broken(one, change(last=103, previous=102, checksum=-1881014293)) == "checksum"


class TestCrossed:
    @pytest.mark.parametrize("bid", ["101", "102"])
    def test_a_crossed_book_gives_no_best_and_is_stale_after_a_second(self, bid: str) -> None:
        one = live(rules.COINBASE)
        assert one.take(change([(bid, "1")]), 10.0, 0)
        assert (one.state, one.is_crossed, one.best()) == (State.LIVE, True, None)
        one.look(10.0 + CROSSED_SECONDS)
        with pytest.raises(Broken, match="crossed"):
            one.look(10.1 + CROSSED_SECONDS)
        assert (one.state, one.pace.request(11.1)) == (State.STALE, "subscribe")

    def test_a_change_finds_it_too(self) -> None:
        one = live(rules.COINBASE)
        one.take(change([("102", "1")]), 10.0, 0)
        assert broken(one, change([("103", "1")]), 11.1) == "crossed"

    def test_a_book_that_crosses_for_a_moment(self) -> None:
        one = live(rules.COINBASE)
        one.take(change([("102", "1")]), 10.0, 0)
        one.take(change(asks=[("101", "0"), ("103", "1")]), 10.9, 0)
        assert one.best() == (("102", "1"), ("103", "1"))
        one.take(change([("104", "1")]), 11.5, 0)
        one.look(12.4)
        assert one.state is State.LIVE


class TestUsedUp:
    """Behind the last level of a snapshot that is full, others are unknown."""

    rule = replace(rules.BINANCE, snapshot_levels=500)
    bids = tuple((price(10_000 - n), "1") for n in range(500))
    asks = tuple((price(10_001 + n), "1") for n in range(400))

    def remove(self, one: Book, first: int, upto: int, now: float = 0.0) -> None:
        for n in range(first, upto):
            one.take(change([(price(10_000 - n), "0")], first=101 + n, last=101 + n), now, 0)

    def test_a_new_one_is_fetched_while_it_is_live(self) -> None:
        one = live(self.rule, self.bids, self.asks)
        self.remove(one, 0, 500 - FEW_LEVELS)
        assert one.pace.due is None
        self.remove(one, 500 - FEW_LEVELS, 501 - FEW_LEVELS)
        assert (one.state, one.pace.request(0.0)) == (State.LIVE, "fetch")
        at = one.number
        assert at is not None
        # The snapshot is of a while ago: what came since is applied to it again.
        one.take(change([(price(9_000), "1")], first=at + 1, last=at + 1), 0.0, 0)
        assert one.best() is not None
        assert price(9_000) not in prices(one)[0]
        assert one.take(change([(price(9_100), "1")], self.asks, snapshot=True, last=at), 1.0, 0)
        assert (prices(one)[0], one.number, one.pace.due) == ([price(9_100), price(9_000)], at + 1, None)

    def test_a_snapshot_that_is_too_old_does_no_harm(self) -> None:
        one = live(self.rule, self.bids, self.asks)
        self.remove(one, 0, 501 - FEW_LEVELS)
        one.pace.request(0.0)
        at = one.number
        assert at is not None
        one.take(change(first=at + 1, last=at + 1), 0.0, 0)
        assert not one.take(change([BID], [ASK], snapshot=True, last=at - 10), 0.0, 0)
        assert (one.state, len(prices(one)[0]), one.pace.request(0.0)) == (State.LIVE, FEW_LEVELS - 1, "fetch")

    def test_it_is_stale_when_nothing_comes(self) -> None:
        one = live(self.rule, self.bids, self.asks)
        self.remove(one, 0, 500 - LEAST_LEVELS)
        assert one.state is State.LIVE
        with pytest.raises(Broken, match="used up"):
            self.remove(one, 500 - LEAST_LEVELS, 501 - LEAST_LEVELS)
        assert one.state is State.STALE

    def test_a_side_with_all_its_levels_is_never_used_up(self) -> None:
        one = live(self.rule, self.bids, self.asks)
        for n in range(400):
            one.take(change(asks=[(price(10_001 + n), "0")], first=101 + n, last=101 + n), 0.0, 0)
        assert (one.state, one.pace.due, prices(one)[1]) == (State.LIVE, None, [])

    def test_many_changes_while_it_is_awaited_do_no_harm(self) -> None:
        one = live(self.rule, self.bids, self.asks)
        self.remove(one, 0, 501 - FEW_LEVELS)
        at = one.number
        assert at is not None
        for n in range(at + 1, at + 2 * MOST_CHANGES):
            one.take(change([(price(9_999), str(n))], first=n, last=n), 0.0, 0)
        assert one.state is State.LIVE


class TestConnections:
    def test_a_numbered_book_goes_on_if_nothing_is_missing(self) -> None:
        one = live(rules.BINANCE)
        one.lose(0, 1.0)
        assert (one.state, one.best()) == (State.SYNCING, None)
        assert one.take(change([("98", "1")], first=101, last=102), 2.0, 1)
        assert (one.state, one.connection, prices(one)) == (State.LIVE, 1, (["99", "98"], ["101"]))

    def test_a_numbered_book_with_a_gap_between_connections(self) -> None:
        one = live(rules.BINANCE)
        one.lose(0, 1.0)
        assert one.pace.request(100.0) is None
        assert broken(one, change(first=102, last=103), 100.0, 1) == "connection lost"
        assert one.pace.request(100.0) == "fetch"

    @pytest.mark.parametrize("rule", [rules.COINBASE, rules.kraken(10)])
    def test_a_book_without_numbers_begins_anew(self, rule: BookRule) -> None:
        one = live(rule)
        one.lose(0, 1.0)
        assert not one.take(change([("98", "1")]), 2.0, 1)
        assert (one.state, prices(one)) == (State.SYNCING, ([], []))
        assert (one.pace.request(5.9), one.pace.request(6.0)) == (None, "subscribe")

    def test_two_connections_with_numbers(self) -> None:
        one = live(rules.BINANCE)
        for number in range(101, 110):
            assert one.take(change([("98", str(number))], first=number, last=number), 0.0, number % 2)
            assert not one.take(change([("98", str(number))], first=number, last=number), 0.0, 1 - number % 2)
        assert (one.state, one.ignored) == (State.LIVE, 9)

    def test_two_connections_without_numbers(self) -> None:
        """A book is that of one of them: the other may be behind, and would bring back what was."""
        one = live(rules.COINBASE)
        assert one.take(change([("100", "1")]), 0.0, 0)
        assert not one.take(change([("99", "7")]), 0.0, 1)
        assert one.take(change([("100", "1"), BID], [ASK], snapshot=True), 0.0, 1)
        assert not one.take(change([("100", "0")]), 0.0, 0)
        assert one.take(change([("98", "1")]), 0.0, 1)
        assert prices(one) == (["100", "99", "98"], ["101"])

    def test_when_one_of_two_without_numbers_is_lost_the_other_is_asked_at_once(self) -> None:
        one = live(rules.COINBASE)
        one.take(change(), 0.0, 1)
        one.lose(0, 1.0)
        assert (one.state, one.connection, one.pace.request(1.0)) == (State.SYNCING, 1, "subscribe")
        assert one.take(change([BID], [ASK], snapshot=True), 1.1, 1)

    def test_when_the_other_was_lost_before_nobody_is_asked(self) -> None:
        one = live(rules.COINBASE)
        one.take(change(), 0.0, 1)
        one.lose(1, 1.0)
        assert one.state is State.LIVE
        one.lose(0, 2.0)
        assert (one.state, one.pace.request(6.9), one.pace.request(7.0)) == (State.SYNCING, None, "subscribe")


def test_numbers_that_fall_break_a_book() -> None:
    one = live(rules.bybit(1000))
    assert not one.take(change([("98", "1")], last=50, ms=1000), 0.0, 0)
    assert broken(one, change([("98", "1")], last=51, ms=1001)) == "numbers fell"


@pytest.mark.parametrize(
    "wrong",
    [
        change([("1", "-1")], first=101, last=101),
        change(asks=[("nan", "1")], first=101, last=101),
        change([BID]),
        change([BID], snapshot=True),
    ],
)
def test_what_is_invalid_breaks_a_book(wrong: Change) -> None:
    one = live(rules.BINANCE)
    assert broken(one, wrong) == "invalid"
    assert (one.state, one.pace.request(0.0)) == (State.STALE, "fetch")


def test_a_book_that_breaks_again_and_again_asks_less_and_less_often() -> None:
    one = book(rules.COINBASE)
    asked = []
    for tenth in range(6000):
        now = tenth / 10
        if one.pace.request(now):
            asked.append(now)
            one.take(change([BID], [ASK], snapshot=True), now, 0)
        elif one.state is State.LIVE:
            assert broken(one, change([("-1", "1")]), now) == "invalid"
    waits = [later - before for before, later in pairwise(asked)]
    assert [round(wait) for wait in waits[:9]] == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    # After a minute without a break it asks at once again.
    one.take(change([BID], [ASK], snapshot=True), 700.0, 0)
    assert broken(one, change([("-1", "1")]), 761.0) == "invalid"
    assert one.pace.request(761.0) == "subscribe"
