"""Past trades of a symbol: each once and in order, whatever files and pages there are, and wherever it is cut."""

import asyncio
import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import aclosing

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feeds.backfill.exchange import DAY_MS, FAULTS, FIRST_MS, History, Made, day_of, made
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.backfill import asking, daily
from tickertape.stream.feeds.backfill.asking import Asking
from tickertape.stream.feeds.backfill.past import Past, Span
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.page import Get, Page
from tickertape.stream.feeds.define.registry import format_named
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.hosts.limit import Limit, Limits
from tickertape.stream.feeds.hosts.request import getter
from tickertape.stream.feeds.refill.refill import Seen

DAYS = 4
NOW_MS = FIRST_MS + 3 * DAY_MS + DAY_MS // 2


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "PAUSE_SECONDS", 0.001)
        patch.setattr(daily, "LIMITS", Limits(requests=Limit(10**9, 1.0)))
        yield


def past(history: History, span: Span, after: Seen | None = None, name: str = "binance") -> Past:
    source = history.source(name)
    get = getter(source.limits, 60.0)
    return Past(source, Asking(source, get, "BTC-USDT"), lambda name: format_named(name, ()), span, after, NOW_MS)


async def some(history: History, span: Span, after: Seen | None = None, most: int = 10**9) -> list[Trade]:
    """Return the trades, up to the end of the batch in which so many are reached."""
    found: list[Trade] = []
    async with aclosing(past(history, span, after).batches()) as batches:
        async for batch in batches:
            assert batch
            found += batch
            if len(found) >= most:
                break
    return found


def sent(trades: list[Trade]) -> list[Trade]:
    """Return trades without when they were received."""
    return [msgspec.structs.replace(one, received_ms=0) for one in trades]


def wanted(trades: list[Made], span: Span) -> list[Trade]:
    return [one.as_trade() for one in trades if span.from_ms <= one.time_ms < span.to_ms]


@given(
    seed=st.integers(0, 2**32),
    faults=st.lists(st.sampled_from(FAULTS), min_size=DAYS, max_size=DAYS),
    count=st.integers(0, 400),
    page=st.sampled_from([3, 50, 1000]),
    ends=st.tuples(st.integers(0, 24 * DAYS), st.integers(0, 24 * DAYS)),
    cut=st.integers(0, 300),
)
@settings(max_examples=60)
def test_each_trade_comes_once_in_order(
    seed: int, faults: list[str], count: int, page: int, ends: tuple[int, int], cut: int
) -> None:
    trades = made(count, DAYS, seed)
    # Nothing is later than the present.
    trades = [one for one in trades if one.time_ms < NOW_MS]
    first, last = sorted(ends)
    span = Span(FIRST_MS + first * 3_600_000, FIRST_MS + last * 3_600_000)
    with History({"BTCUSDT": trades}, dict(enumerate(faults)), page).open() as history:
        found = asyncio.run(some(history, span, most=max(cut, 1)))[:cut]
        after = Seen(int(found[-1].id), found[-1].time_ms) if found else None
        found += asyncio.run(some(history, span, after))
    assert sent(found) == wanted(trades, span)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_a_file(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tickertape")
    trades = made(300, 3, seed=7)
    span = Span(FIRST_MS, FIRST_MS + 3 * DAY_MS)
    with History({"BTCUSDT": trades}, {1: fault}).open() as history:
        assert sent(asyncio.run(some(history, span))) == wanted(trades, span)
        name = f"/files/data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-{day_of(1)}.zip"
    # A sound file is downloaded once, and nothing of its day is asked for.
    downloads = {"not there": 0, "no checksum": 0, "fails": 0, "checksum": 2, "cut": 2, "busy": 2}
    assert history.asked[name] == downloads.get(fault, 1)
    # One asks whether the first trade is the first, and two whether the last is the last.
    assert (history.asked["/history"] == 3) is (fault in ("", "header", "us", "busy"))
    said = {
        "checksum": "BTCUSDT-trades-2024-08-10.zip differs from its checksum",
        "cut": "BTCUSDT-trades-2024-08-10.zip differs from its checksum",
        "cut and signed": "is cut off",
        "garbage": "what is missing is asked for",
        "not there": "isn't there; its day is asked for page by page",
        "no checksum": "isn't there; its day is asked for page by page",
        "busy": "HTTP 429",
        "fails": "HTTP 500",
        "begins late": "which a file lacks, were asked for",
        "lacks": "which a file lacks, were asked for",
    }
    assert said.get(fault, "") in caplog.text


@pytest.mark.parametrize("number", [0, 1])
def test_a_first_file_that_begins_late(number: int) -> None:
    trades = made(100, 2, seed=3)
    span = Span(FIRST_MS + number * DAY_MS, FIRST_MS + 2 * DAY_MS)
    with History({"BTCUSDT": trades}, {number: "begins late"}).open() as history:
        assert sent(asyncio.run(some(history, span))) == wanted(trades, span)


def test_trades_have_the_name_that_the_source_is_given() -> None:
    # The second day is asked for page by page.
    trades = made(100, 2, seed=3)
    span = Span(FIRST_MS, FIRST_MS + 2 * DAY_MS)

    async def run(history: History) -> list[Trade]:
        return [one async for batch in past(history, span, name="of-old").batches() for one in batch]

    with History({"BTCUSDT": trades}, {1: "not there"}).open() as history:
        assert sent(asyncio.run(run(history))) == [one.as_trade(source="of-old") for one in trades]


def test_trades_that_nobody_has_are_named(caplog: pytest.LogCaptureFixture) -> None:
    trades = made(100, 2, seed=3)
    del trades[40:45]
    span = Span(FIRST_MS, FIRST_MS + 2 * DAY_MS)
    with History({"BTCUSDT": trades}, {1: "not there"}).open() as history:
        assert sent(asyncio.run(some(history, span))) == wanted(trades, span)
    assert "BTC-USDT: 5 trades can't be had, ids 1040 to 1044: the source doesn't have them" in caplog.text


def test_days_before_the_first_trade_are_not_asked_for_one_by_one() -> None:
    trades = [one for one in made(300, 3, seed=5) if one.time_ms >= FIRST_MS + 2 * DAY_MS]
    span = Span(FIRST_MS, FIRST_MS + 3 * DAY_MS)
    with History({"BTCUSDT": trades}, {0: "not there"}).open() as history:
        assert sent(asyncio.run(some(history, span))) == wanted(trades, span)
    days = [path for path in history.asked if path.endswith(".CHECKSUM")]
    assert [path[-23:-13] for path in days] == ["2024-08-09", "2024-08-11"]


class Reaching(Source):
    """Has the trades 1 to 100, a second apart, of which it has forgotten the first thirty; in pages of ten."""

    name = "x"
    refills = True
    by_number = True

    def urls(self, position: int) -> Sequence[str]:
        raise AssertionError(position)

    def normalise(self, frame: bytes, received_ms: int) -> Other:
        raise AssertionError(frame, received_ms)

    async def missed(self, get: Get, symbol: str, first: int, last: int | None, since_ms: int) -> Page:
        assert await get(symbol, 1.0) == b""
        assert since_ms == 0
        end = min(first + 10, 101 if last is None else last + 1)
        found = [
            Trade(symbol=symbol, source="x", id=n, time_ms=FIRST_MS + 1000 * n, price=1.0, quantity=1.0)
            for n in range(max(first, 31), min(end, 101))
        ]
        return Page(found, has_more=end < 101)


@pytest.mark.parametrize(
    ("seconds", "wanted"), [(0, 31), (20, 31), (31, 31), (32, 32), (77, 77), (100, 100), (101, 101)]
)
def test_a_history_that_has_forgotten_the_oldest(seconds: int, wanted: int) -> None:
    async def nothing(_: str, weight: float) -> bytes:
        assert weight
        return b""

    source = Reaching()
    found = asyncio.run(Asking(source, nothing, "A-B").first_at(FIRST_MS + 1000 * seconds))
    assert found == wanted

    async def run(after: Seen | None) -> None:
        span = Span(FIRST_MS + 1000, FIRST_MS + DAY_MS)
        async with aclosing(
            Past(
                source, Asking(source, nothing, "A-B"), lambda name: format_named(name, ()), span, after, NOW_MS
            ).batches()
        ) as batches:
            async for _ in batches:
                raise AssertionError("what it has forgotten can't be skipped in silence")

    for after in (None, Seen(5, 0)):
        with pytest.raises(InputError, match="x: A-B: the source no longer has the trades that are wanted first"):
            asyncio.run(run(after))


def test_a_history_that_is_busy_or_fails_is_asked_again() -> None:
    trades = made(50, 1)
    span = Span(FIRST_MS, FIRST_MS + DAY_MS)
    with History({"BTCUSDT": trades}, {0: "not there"}).open() as history:
        history.statuses = [429, 500, 429, 503]
        assert sent(asyncio.run(some(history, span))) == wanted(trades, span)


def test_a_history_that_never_answers_ends_with_one_line() -> None:
    with History({"BTCUSDT": made(5, 1)}, {0: "not there"}).open() as history:
        history.statuses = [500] * 100
        with pytest.raises(
            InputError, match=r"binance: BTC-USDT: can't ask for trades from id 1 on: .*HTTP 500.*again"
        ):
            asyncio.run(some(history, Span(FIRST_MS, FIRST_MS + DAY_MS)))
        history.statuses = [451]
        with pytest.raises(InputError, match="HTTP 451"):
            asyncio.run(some(history, Span(FIRST_MS, FIRST_MS + DAY_MS)))


@pytest.mark.parametrize("seed", range(8))
def test_the_first_trade_at_a_time_is_found_by_halving(seed: int) -> None:
    chance = random.Random(seed)
    trades = made(chance.randrange(2000), 1, seed, first_id=chance.randrange(10**9))

    async def first_at(history: History, time_ms: int) -> int:
        source = history.source()
        return await Asking(source, getter(source.limits, 60.0), "BTC-USDT").first_at(time_ms)

    with History({"BTCUSDT": trades}, {}, page=50).open() as history:
        for at in (0, *(chance.randrange(DAY_MS) for _ in range(3)), DAY_MS):
            later = [one.id for one in trades if one.time_ms >= FIRST_MS + at]
            found = asyncio.run(first_at(history, FIRST_MS + at))
            # Numbers between that have no trade mean the same.
            before = [one.id for one in trades if one.time_ms < FIRST_MS + at]
            assert (max(before) if before else -1) < found <= (min(later) if later else 2**63)
        assert history.asked["/history"] < 5 * 150
