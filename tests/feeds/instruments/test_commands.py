"""``tickertape instruments`` as a process."""

import json
import os
import subprocess
import sys

import msgspec
import pytest

from tests.feeds.instruments.lists.test_lists import binance_symbol, body
from tests.feeds.rest import Rest, refuses
from tickertape.schemas.instrument import Instrument


def run(*words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    environ = os.environ | {f"TICKERTAPE_{name.upper()}": text for name, text in settings.items()}
    command = [sys.executable, "-m", "tickertape", "instruments", *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def listed(rest: Rest) -> Rest:
    rest.answers = [
        body(
            {
                "symbols": [
                    binance_symbol("ETHBTC", "ETH", "BTC", "0.00001000", "0.00010000"),
                    binance_symbol("BTCUSDT", "BTC", "USDT", "0.01000000", "0.00001000"),
                    binance_symbol("[red]USDT", "[red]", "USDT", "0.1", "0.1", status="BREAK\x1b[31m"),
                ]
            }
        )
    ]
    return rest


def test_a_table_is_printed(listed: Rest) -> None:
    done = run("binance", binance_info_url=listed.url)
    assert done.returncode == 0
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    assert rows == [
        ["BTC-USDT", "BTCUSDT", "spot", "trading", "0.01", "0.00001", "1 BTC", "-"],
        ["ETH-BTC", "ETHBTC", "spot", "trading", "0.00001", "0.0001", "1 ETH", "-"],
        ["[red]-USDT", "[red]USDT", "spot", "unknown", "0.1", "0.1", "1 [red]", "-"],
    ]
    assert "\x1b" not in done.stdout
    assert done.stderr.startswith("3 of 3 instruments, by its list of 20")


def test_some_are_printed_as_json(listed: Rest) -> None:
    done = run("binance", "--search", "usdt", "--json", binance_info_url=listed.url)
    assert done.returncode == 0
    found = msgspec.json.decode(done.stdout, type=list[Instrument])
    assert [one.name for one in found] == ["BTCUSDT", "[red]USDT"]
    assert json.loads(done.stdout)[0] == {
        "symbol": "BTC-USDT",
        "source": "binance",
        "name": "BTCUSDT",
        "base": "BTC",
        "quote": "USDT",
        "kind": "spot",
        "status": "trading",
        "source_status": "TRADING",
        "tick": "0.01",
        "step": "0.00001",
    }
    assert done.stderr.startswith("2 of 3 instruments")
    # The second time, the kept list serves.
    none = run("binance", "--kind", "future", "--json", binance_info_url=listed.url)
    assert (none.returncode, none.stdout) == (0, "[]\n")
    assert len(listed.asked) == 1


def test_without_a_list_the_built_in_one_is_printed(rest: Rest) -> None:
    rest.answers = [refuses(451)]
    done = run("binance", "--search", "BTCUSDT", binance_info_url=rest.url)
    assert done.returncode == 0
    assert "BTC-USDT" in done.stdout
    said, summary = done.stderr.splitlines()
    assert said.startswith(f"binance: can't fetch its list of instruments from {rest.url} (HTTP 451 ")
    assert summary.endswith("instruments, by the built-in list of its main pairs")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("nasdaq",), 2, "tickertape: nasdaq: no list of instruments is known; there are those of binance, "),
        (("binance", "--kind", "option"), 2, "Usage: "),
        ((), 2, "Usage: "),
    ],
)
def test_what_is_wrong_is_told(words: tuple[str, ...], code: int, told: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(told)
