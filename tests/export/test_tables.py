"""Tables from the Structs of results, with columns worked out by hand."""

from typing import Any

import pytest
from msgspec import Struct

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.results import Output
from tickertape.stream.errors import ConfigError
from tickertape.stream.export.define.table import Column
from tickertape.stream.export.tables import table_of, tables_of
from tickertape.stream.recent.sinks import Kind, Sink, fields_of, sinks_of


class Head(Struct, kw_only=True):
    symbol: str
    source: str
    resolution: str
    start_ms: int
    final: bool
    revision: int


class Depth(Head, kw_only=True, tag_field="kind", tag="depth"):
    """Depth of a book.

    Attributes
    ----------
    spread_bps
        The spread.
    most
        The largest.
    """

    spread_bps: float
    most: list[tuple[str, int]]
    size: int


class Flow(Head, kw_only=True, tag_field="kind", tag="flow"):
    """Flow of orders."""

    size: float
    note: str | None = None


def sink(*results: type[Struct], topic: str = "order-books") -> Sink:
    kinds = {}
    for result in results:
        name = str(result.__struct_config__.tag or "")
        fields = fields_of(result, Settings())
        meaning = (result.__doc__ or "").partition("\n")[0]
        kinds[name] = Kind(Output(topic, name, result), {"1s": 1000}, fields, meaning, "kind" if name else "", result)
    return Sink(topic, kinds, None)


def test_kinds_of_a_topic_share_a_table() -> None:
    found = table_of(sink(Depth, Flow))
    assert found.name == "order_books"
    assert found.key == ["symbol", "source", "resolution", "kind", "start_ms"]
    assert found.comment == "Depth of a book. Flow of orders."
    columns = {column.name: column for column in found.columns}
    assert columns["spread_bps"] == Column("spread_bps", "number", True, "[basis points] The spread.")
    assert columns["most"] == Column("most", "list", True, "The largest.")
    # It is an integer in one kind and a number in the other.
    assert (columns["size"].type, columns["size"].nullable) == ("number", False)
    assert (columns["note"].type, columns["note"].nullable) == ("text", True)
    assert (columns["kind"].type, columns["final"].nullable) == ("text", False)


def test_one_kind_alone_needs_no_column_for_it() -> None:
    found = table_of(sink(Head))
    assert found.key == ["symbol", "source", "resolution", "start_ms"]
    assert [column.name for column in found.columns] == list(Head.__struct_fields__)


def test_a_field_of_two_types_is_refused() -> None:
    class Odd(Head, kw_only=True, tag_field="kind", tag="odd"):
        size: str

    with pytest.raises(ConfigError, match="order-books: the field size is number in one kind and text in another"):
        table_of(sink(Flow, Odd))


@pytest.mark.parametrize(
    "name", ["a'; drop table x; --", "a`b", "1a", "x" * 64, "a b", "\N{GREEK SMALL LETTER BETA}" * 32]
)
def test_a_field_that_can_be_no_column_is_refused(name: str) -> None:
    class Odd(Head, kw_only=True, rename={"odd": name}):
        odd: int

    with pytest.raises(ConfigError, match="can't be a column"):
        table_of(sink(Odd))


def test_two_topics_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="a-b and a_b would both be the table a_b"):
        tables_of([sink(Head, topic="a-b"), sink(Head, topic="a_b")])


def test_every_result_of_ours_has_its_place() -> None:
    tables = tables_of(list(sinks_of(Settings()).values()))
    assert {topic: table.name for topic, table in tables.items()} == {
        "bars": "bars",
        "quote-bars": "quote_bars",
        "rolling": "rolling",
        "indicators": "indicators",
        "social": "social",
        "signals": "signals",
    }
    keys: dict[str, Any] = {topic: table.key[3:-1] for topic, table in tables.items()}
    assert keys == {"bars": [], "quote-bars": [], "rolling": ["kind"], "indicators": ["kind"], "social": [],
                    "signals": ["rule"]}  # fmt: skip
    bars = {column.name: column for column in tables["bars"].columns}
    assert bars["vwap"].comment == (
        "The volume-weighted average price: notional / volume, limited to the range from low to high."
    )
    assert bars["open_ms"].comment == "[ms] The event time of the first trade."
