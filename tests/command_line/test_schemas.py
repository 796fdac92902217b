"""`tickertape schemas`: what each topic's records are, for other languages."""

import json
from pathlib import Path

import msgspec
import pytest

from tickertape.agents.market.indicators.defaults.ema import Ema
from tickertape.schemas.trade import Trade
from tickertape.stream.command_line.cli import cli
from tickertape.stream.configuration.settings import Settings


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("schemas")
    command = cli.commands["schemas"]
    with command.make_context("schemas", ["--out", str(out)], obj=Settings()) as context:
        command.invoke(context)
    return out


def test_there_is_one_for_each_topic_that_is_json(written: Path) -> None:
    assert {path.stem for path in written.iterdir()} == {
        *("trades", "quotes", "posts", "bars", "quote-bars", "rolling", "indicators", "social", "signals"),
        *("books", "perpetuals", "liquidations", "late", "dead-letters", "alerts", "instruments"),
    }


def test_a_records_fields_are_what_the_struct_has(written: Path) -> None:
    schema = json.loads((written / "trades.json").read_text())
    trade = schema["$defs"]["Trade"]
    assert set(trade["properties"]) == set(Trade.__struct_fields__)
    assert trade["properties"]["price"]["exclusiveMinimum"] == 0
    assert "received_ms" not in trade["required"]


def test_kinds_of_one_topic_are_told_apart(written: Path) -> None:
    schema = json.loads((written / "indicators.json").read_text())
    assert {"$ref": "#/$defs/Ema"} in schema["anyOf"]
    assert schema["$defs"]["Ema"]["properties"]["kind"] == {"enum": ["ema"]}
    late = json.loads((written / "late.json").read_text())
    assert {"$ref": "#/$defs/LateSlice"} in late["anyOf"]
    # It is a schema of what is really sent.
    one = msgspec.json.encode(Ema("A", "s", "1m", 0, 1.0, None, None, True, 1, False))
    assert set(json.loads(one)) == set(schema["$defs"]["Ema"]["properties"])
