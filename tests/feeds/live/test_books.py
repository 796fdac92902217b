"""Books of a live source: a server that sends changes, loses one, and is asked for snapshots."""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler

import pytest
from websockets.asyncio.server import ServerConnection

from tests.feeds.exchange import MIDNIGHT_MS, Exchange, stays
from tests.feeds.rest import Rest
from tickertape.schemas.book import Depth
from tickertape.schemas.events import Event
from tickertape.schemas.quote import Quote
from tickertape.stream.feeds.books import pace
from tickertape.stream.feeds.exchanges import binance, coinbase_advanced, kraken, okx
from tickertape.stream.feeds.live.connection import Patience
from tickertape.stream.feeds.live.live import Live

PATIENCE = Patience(silence_seconds=30.0, healthy_seconds=0.0, first_wait_seconds=0.01, longest_wait_seconds=0.05)


def run(live: Callable[[], Live], exchange: Exchange, enough: Callable[[Sequence[Event]], bool]) -> list[Event]:
    async def scenario() -> list[Event]:
        heard: list[Event] = []
        async with exchange.open(), asyncio.timeout(20), aclosing(live().batches()) as batches:
            async for events in batches:
                heard += events
                if enough(heard):
                    break
        return heard

    return asyncio.run(scenario())


def tops(heard: Sequence[Event]) -> list[tuple[float, float, float, float]]:
    return [(one.bid, one.bid_quantity, one.ask, one.ask_quantity) for one in heard if isinstance(one, Quote)]


def change(first: int, last: int, bids: object = (), asks: object = ()) -> str:
    data = {"e": "depthUpdate", "E": MIDNIGHT_MS + last, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": asks}
    return json.dumps({"stream": "btcusdt@depth@100ms", "data": data})


def test_quotes_and_depths_of_binance_begin_with_a_snapshot_and_anew_after_a_gap(rest: Rest) -> None:
    asked: list[int] = []

    def snapshot(handler: BaseHTTPRequestHandler) -> None:
        # The first is of number 10, the second of 20.
        last = 10 * (len(asked) + 1)
        asked.append(last)
        body = json.dumps(
            {"lastUpdateId": last, "bids": [["100.0", "1.0"], ["99.0", "2.0"]], "asks": [["101.0", str(last)]]}
        ).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    rest.answers = [snapshot]

    async def says(socket: ServerConnection) -> None:
        await socket.send(change(9, 11, [["100.5", "3.0"]]))
        while not asked:  # noqa: ASYNC110 - of another thread
            await asyncio.sleep(0.01)
        await socket.send(change(12, 12, [["100.5", "0"]]))
        # 13 is lost.
        await socket.send(change(14, 14, [["100.7", "5.0"]]))
        await socket.send(change(15, 21, [["100.2", "4.0"]]))
        await stays(socket)

    exchange = Exchange(says)

    def live() -> Live:
        settings = binance.BinanceSettings(
            url=exchange.url, info_url="", channels="books", snapshot_url=rest.url, refill=False
        )
        return Live(binance.FEED.connect(settings, ["BTCUSDT"], "binance"), PATIENCE, buffer_bytes=1 << 20)

    heard = run(live, exchange, lambda heard: any(isinstance(one, Depth) and one.id == 21 for one in heard))
    # The snapshot with the change that holds its number; the removal; and, after the gap, the second snapshot with the
    # change that holds its number. Never what came after the gap on the old book.
    assert tops(heard) == [(100.5, 3.0, 101.0, 10.0), (100.0, 1.0, 101.0, 10.0), (100.2, 4.0, 101.0, 20.0)]
    depth = next(one for one in heard if isinstance(one, Depth) and one.id == 21)
    assert depth.symbol == "BTC-USDT"
    assert asked == [10, 20]


def test_a_book_of_kraken_with_a_wrong_checksum_is_subscribed_to_anew() -> None:
    said: list[dict[str, object]] = []

    def book(kind: str, bid: str, checksum: int) -> str:
        data = f'{{"symbol":"BTC/USD","bids":[{{"price":{bid},"qty":1.00}}],"asks":[{{"price":101.0,"qty":2.00}}]'
        return f'{{"channel":"book","type":"{kind}","data":[{data},"checksum":{checksum}}}]}}'

    async def says(socket: ServerConnection) -> None:
        # Of asks, then bids: 1010 200 1000 100, and 1010 200 1002 100, as zlib.crc32 has them.
        snapshots = [book("snapshot", "100.0", 123_052_387), book("snapshot", "100.2", 2_908_514_792)]
        while True:
            request = json.loads(await socket.recv())
            said.append(request)
            if request["method"] != "subscribe":
                continue
            answer = {"method": "subscribe", "success": True, "result": {"channel": "book", "symbol": "BTC/USD"}}
            await socket.send(json.dumps(answer | {"req_id": request.get("req_id")}))
            await socket.send(snapshots.pop(0))
            if len(said) == 1:
                await socket.send(book("update", "100.5", 7))

    exchange = Exchange(says)

    def live() -> Live:
        settings = kraken.KrakenSettings(url=exchange.url, info_url="", channels="books", depth=10)
        return Live(kraken.FEED.connect(settings, ["BTC-USD"], "kraken"), PATIENCE, buffer_bytes=1 << 20)

    heard = run(live, exchange, lambda heard: len(tops(heard)) == 2)
    assert tops(heard) == [(100.0, 1.0, 101.0, 2.0), (100.2, 1.0, 101.0, 2.0)]
    assert [one["method"] for one in said] == ["subscribe", "unsubscribe", "subscribe"]


def test_a_book_of_okx_that_the_stream_gives_no_snapshot_of_is_fetched(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "ANSWER_SECONDS", 0.3)
    asked: list[dict[str, object]] = []
    answers = [
        b'{"code":"50026","msg":"System error","data":[]}',
        b'{"code":"0","msg":"","data":[{"asks":[["101.0","2","0","1"]],"bids":[["100.0","1","0","1"]],'
        b'"ts":"1700000000085","seqId":12}]}',
    ]

    def book(handler: BaseHTTPRequestHandler) -> None:
        body = answers.pop(0) if len(answers) > 1 else answers[0]
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    rest.answers = [book]

    def update(previous: int, last: int, bid: str) -> str:
        data = {"asks": [], "bids": [[bid, "3", "0", "1"]], "ts": str(MIDNIGHT_MS + last), "checksum": 0}
        data |= {"prevSeqId": previous, "seqId": last}
        arg = {"channel": "books", "instId": "BTC-USDT"}
        return json.dumps({"arg": arg, "action": "update", "data": [data]})

    async def says(socket: ServerConnection) -> None:
        async for message in socket:
            if message == "ping":
                continue
            said = json.loads(message)
            asked.append(said)
            if said["op"] == "subscribe":
                await socket.send(json.dumps({"event": "subscribe", "arg": said["args"][0]}))
                if len(asked) == 1:
                    # 10 is before the snapshot's number, 11 to 13 holds it, and 13 to 15 goes on.
                    for change in (update(9, 10, "99.1"), update(11, 13, "100.2"), update(13, 15, "100.4")):
                        await socket.send(change)

    exchange = Exchange(says)

    def live() -> Live:
        url = f"ws://127.0.0.1:{exchange.port}"
        settings = okx.OkxSettings(url=url, info_url="", channels="books", snapshot_url=rest.url)
        return Live(okx.FEED.connect(settings, ["BTC-USDT"], "okx"), PATIENCE, buffer_bytes=1 << 20)

    heard = run(live, exchange, lambda heard: any(isinstance(one, Depth) for one in heard))
    assert tops(heard) == [(100.4, 3.0, 101.0, 2.0)]
    depth = next(one for one in heard if isinstance(one, Depth))
    assert (depth.id, depth.bids) == (15, [100.4, 100.2, 100.0])
    assert set(rest.asked) == {"/list?instId=BTC-USDT&sz=400"}
    assert len(rest.asked) >= 2
    assert okx.Okx.snapshots.url == "https://www.okx.com/api/v5/market/books"


def test_a_gap_in_the_numbers_of_a_connection_begins_all_of_its_books_anew() -> None:
    asked: list[dict[str, object]] = []

    def message(number: int, symbol: str, kind: str, bid: str) -> str:
        levels = [("bid", bid, "1.0"), ("offer", "101.0", "2.0")]
        updates = [{"side": side, "price_level": price, "new_quantity": quantity} for side, price, quantity in levels]
        event = {"type": kind, "product_id": symbol, "updates": updates}
        time = {"timestamp": "2023-11-14T22:13:20.000000000Z", "sequence_num": number}
        return json.dumps({"channel": "l2_data", "client_id": "", **time, "events": [event]})

    async def says(socket: ServerConnection) -> None:
        # Of heartbeats, and of both books.
        while len(asked) < 2:
            asked.append(json.loads(await socket.recv()))
        await socket.send(message(0, "BTC-USD", "snapshot", "100.0"))
        await socket.send(message(1, "ETH-USD", "snapshot", "90.0"))
        # 2 is lost. It may have been of either.
        await socket.send(message(3, "BTC-USD", "update", "100.5"))
        while len(asked) < 6:
            asked.append(json.loads(await socket.recv()))
        await socket.send(message(4, "BTC-USD", "snapshot", "100.7"))
        await socket.send(message(5, "ETH-USD", "snapshot", "90.7"))
        await stays(socket)

    exchange = Exchange(says)

    def live() -> Live:
        settings = coinbase_advanced.CoinbaseAdvancedSettings(url=exchange.url, info_url="", channels="books")
        source = coinbase_advanced.FEED.connect(settings, ["BTC-USD", "ETH-USD"], "coinbaseadvanced")
        return Live(source, PATIENCE, buffer_bytes=1 << 20)

    heard = run(live, exchange, lambda heard: len(tops(heard)) == 4)
    assert [top[0] for top in tops(heard)] == [100.0, 90.0, 100.7, 90.7]
    assert sorted(str(one["product_ids"]) for one in asked[2:] if one["type"] == "subscribe") == [
        "['BTC-USD']",
        "['ETH-USD']",
    ]
