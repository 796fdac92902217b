"""``tickertape feed check``: what comes of each symbol, and why nothing does. No Kafka is needed."""

import asyncio
import json
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from tests.feeds.exchange import Exchange, refusal
from tests.feeds.together.lemons import Lemons, feeds, said

pytestmark = pytest.mark.timeout(60)


def checked(exchange: Exchange, *words: str, file: Path | None = None) -> tuple[int | None, str, str]:
    """Return the exit code and what was said, about one feed or about those of a file."""

    async def scenario() -> tuple[int | None, str, str]:
        async with exchange.open():
            environ = {"TICKERTAPE_LEMON_URL": exchange.url, "TICKERTAPE_BINANCE_URL": exchange.url}
            async with feeds("check", *([file] if file else []), *words, **environ) as process:
                return await said(process)

    return asyncio.run(scenario())


def rows(out: str) -> dict[str, dict[str, Any]]:
    return {row["symbol"]: row for row in map(json.loads, out.splitlines())}


def test_what_came_and_what_did_not() -> None:
    exchange = Exchange(Lemons(refused=["XRP_USD"], mute=["ETH_USD"], behind_ms=2000))
    code, out, err = checked(exchange, "lemon", "BTC-USD", "ETH-USD", "XRP-USD", "BTC-EUR", "--for", "4", "--json")
    assert code == 1, err
    found = rows(out)
    assert list(found) == ["BTC-USD", "ETH-USD", "XRP-USD", "BTC-EUR"]
    bitcoin = found["BTC-USD"]
    # One each 20 ms at most.
    assert 1 <= bitcoin["events"]["trades"] <= 200
    assert bitcoin["price"] == 100.5
    assert 2000 <= bitcoin["delay_ms"] < 10_000
    assert bitcoin["age_seconds"] >= 0
    assert bitcoin["problems"] == []
    assert found["ETH-USD"]["problems"] == ["no trades in 4 s: quiet, or the source doesn't know the symbol"]
    assert found["XRP-USD"]["problems"] == ["trades is refused: XRP_USD isn't traded"]
    assert found["BTC-EUR"]["problems"] == [
        "unknown: lemon: no pair BTC-EUR; all of Lemon's are in USD, such as BTC-USD"
    ]
    silent = {"events": {}, "delay_ms": None, "price": None, "age_seconds": None}
    for symbol in ("ETH-USD", "XRP-USD", "BTC-EUR"):
        assert {key: found[symbol][key] for key in silent} == silent


def test_all_is_well() -> None:
    code, out, err = checked(Exchange(Lemons()), "lemon", "BTC-USD", "ETH-USD", "--for", "3")
    assert (code, err) == (0, "")
    head, *lines = out.splitlines()
    assert head.split() == ["source", "symbol", "trades", "delay", "price", "age"]
    assert [line.split()[:2] for line in lines] == [["lemon", "BTC-USD"], ["lemon", "ETH-USD"]]
    assert [line.split()[5] for line in lines] == ["100.5", "100.5"]


@pytest.mark.parametrize(
    ("behind_ms", "told"),
    [
        (-60_000, r"the clock of this machine is (5\d|60)\.\d s behind the source's, and workers reject such events"),
        (-3_000, r"the clock of this machine is [0-3]\.\d s behind the source's"),
        (60_000, r"events are 6\d s old: the source is late, or the clock of this machine is ahead"),
    ],
)
def test_a_clock_is_off(behind_ms: int, told: str) -> None:
    code, out, _ = checked(Exchange(Lemons(behind_ms=behind_ms)), "lemon", "BTC-USD", "--for", "3", "--json")
    assert code == 0
    (problem,) = rows(out)["BTC-USD"]["problems"]
    assert re.fullmatch(told, problem)


def test_near_names_of_an_exchange_s_list() -> None:
    code, out, _ = checked(Exchange(Lemons()), "binance", "BTC-USDZ", "--for", "1", "--json")
    assert code == 1
    (problem,) = rows(out)["BTC-USDZ"]["problems"]
    assert problem.startswith("unknown: binance: no instrument 'BTC-USDZ' in ")
    assert "did you mean BTC-USDT" in problem


def test_a_server_that_refuses_and_one_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "feeds.toml"
    file.write_text("""
[feeds.lemon]
symbols = ["BTC-USD"]
url = "ws://127.0.0.1:1"

[feeds.binance]
symbols = ["BTC-USDT"]
""")
    # What the file doesn't say comes from the settings, as Binance's address does.
    exchange = Exchange(refusal(HTTPStatus.FORBIDDEN, "not from here"))
    code, out, err = checked(exchange, "--for", "1.5", "--json", file=file)
    assert code == 1
    found = rows(out)
    assert found["BTC-USD"]["problems"] == ["no connection: the log line says why"]
    assert "lemon: can't connect" in err
    (refused,) = found["BTC-USDT"]["problems"]
    assert refused.startswith("binance: the server refuses (HTTP 403 Forbidden: not from here)")


FAULTY = """
from tickertape import Feed, Source, Trade


class Plum(Source):
    name, setting, kinds, symbols = "plum", "TICKERTAPE_PLUM_URL", (Trade,), ("BTC-USD",)

    def __init__(self, *_):
        self.hello = ['{"ask": ["BTC_USD"]}']

    def urls(self, position):
        return ["URL"]

    def normalise(self, frame, received_ms):
        return {}["price"]


FEED = Feed("plum", "trades.", Plum)
"""


def test_a_fault_of_a_feed_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    exchange = Exchange(Lemons())
    more, file = tmp_path / "more", tmp_path / "feeds.toml"
    more.mkdir()
    file.write_text('[feeds.plum]\nsymbols = ["BTC-USD"]\n[feeds.lemon]\nsymbols = ["ETH-USD"]\n')

    async def scenario() -> tuple[int | None, str, str]:
        async with exchange.open():
            (more / "plum.py").write_text(FAULTY.replace("URL", exchange.url))
            environ = {"TICKERTAPE_LEMON_URL": exchange.url, "TICKERTAPE_AGENTS": str(more)}
            async with feeds("check", file, "--for", "3", "--json", **environ) as process:
                return await said(process)

    code, out, err = asyncio.run(scenario())
    assert code == 1, err
    found = rows(out)
    assert found["BTC-USD"]["problems"] == ["KeyError: 'price'"]
    assert (found["ETH-USD"]["problems"], found["ETH-USD"]["events"]["trades"] > 0) == ([], True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["lemno", "BTC-USD"], "no feed is called lemno; did you mean lemon?"),
        (["lemon"], "lemon needs at least one symbol"),
        (["bluesky", "BTC-USD"], "bluesky takes no symbols"),
        (["nowhere.toml"], "nowhere.toml: No such file or directory"),
    ],
)
def test_what_is_wrong_is_one_line(words: list[str], told: str) -> None:
    code, out, err = checked(Exchange(Lemons()), *words)
    assert (code, out, err) == (2, "", f"tickertape: {told}\n")
